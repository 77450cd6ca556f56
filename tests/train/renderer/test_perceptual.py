"""The perceptual loss: its figures by hand, its VGG as an argument of the update, and
the options that need each other."""

import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.checkpoint import (
    Contents,
    fill,
    leaf_shapes,
    leaves_of,
    save_checkpoint,
)
from jaxportrait.models.parts import abstract
from jaxportrait.models.vgg import VGGConfig
from tests.models.networks import draw_leaf
from tests.train.frames import make_frames
from tests.train.renderer.test_stage import TINY
from train.engine.config import ConfigError
from train.engine.mesh import make_mesh
from train.engine.run import check_unchanged
from train.engine.toml import apply
from train.renderer.config import LossWeights, RendererConfig
from train.renderer.data import pair_inputs
from train.renderer.losses import perceptual_error
from train.renderer.stage import RendererStage, open_renderer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames, and two checkpoints of VGGs whose weights differ."""
    folder = tmp_path_factory.mktemp("perceptual")
    make_frames(folder / "frames")
    # Weights of the second are twice the first's.
    for name, scale in (("vgg", 1), ("other", 2)):
        network = abstract(VGGConfig.tiny())
        leaves = {
            path: scale * draw_leaf(path, leaf.shape)
            for path, leaf in leaf_shapes(network).items()
        }
        fill(network, leaves)
        save_checkpoint(
            folder / name,
            Contents(parts={"perceptual": VGGConfig.tiny()}),
            {"perceptual": leaves_of(network)},
        )
    return folder


def open_stage(folder: Path, vgg: str | None, config: RendererConfig) -> RendererStage:
    perceptual = None if vgg is None else folder / vgg
    return open_renderer(config, folder / "frames", perceptual=perceptual)


def config(weight: float, scales: int = 1) -> RendererConfig:
    tiny = apply(RendererConfig(), tomllib.loads(TINY), "tiny")
    losses = LossWeights(perceptual=weight, equivariance=0.0, adversarial=0.0)
    return replace(tiny, scales=scales, losses=losses)


def test_differences_of_maps_are_summed_over_maps_and_scales():
    target = jnp.zeros((1, 4, 4, 3))
    image = target.at[:, 0, 0].set(1.0)
    mean = 1 / 16  # of the picture, and of the one half as fine

    def network(image: jax.Array) -> list[jax.Array]:
        return [image, -3 * image]

    error_of = partial(perceptual_error, network, scales=2)
    measure = jax.jit(jax.value_and_grad(error_of, argnums=(0, 1)))
    error, (to_image, to_target) = measure(image, target)
    np.testing.assert_allclose(error, 2 * (1 + 3) * mean, rtol=1e-6)
    assert np.any(to_image)
    assert not np.any(to_target)
    assert measure(image, image)[0] == 0


def test_the_vgg_is_an_argument_of_the_update_and_of_no_state(folder):
    stage = open_stage(folder, "vgg", config(10.0))
    state = stage.program.on(make_mesh(1)).state
    (vgg,) = stage.program.frozen
    assert not any("stages.4" in name for name in state.average)
    batch = {
        name: jax.ShapeDtypeStruct((8, *sample.shape), sample.dtype)
        for name, sample in pair_inputs(stage.dataset).items()
    }
    with jax.numpy_dtype_promotion("standard"):  # optax counts on it
        trace = jax.make_jaxpr(stage.program.step, return_shape=True)
        program, (_, terms) = trace(vgg, jax.random.key(0), state, batch)
    assert "perceptual" in terms
    # Constants of the program would be stored in it, and compiled with it.
    kernels = {leaf.shape for leaf in jax.tree.leaves(vgg)}
    assert not any(const.shape in kernels for const in program.consts)


@pytest.mark.parametrize(
    ("vgg", "config", "complaint"),
    [
        (
            None,
            config(10.0),
            r"losses\.perceptual is 10\.0, and --perceptual is missing",
        ),
        (
            "vgg",
            config(0.0),
            r"--perceptual .*vgg has no effect, as losses\.perceptual is 0",
        ),
        (
            "vgg",
            config(10.0, scales=3),
            "scales is 3, which shrinks pictures of 32 pixels to 8, .* needs 16",
        ),
    ],
)
def test_a_weight_and_a_vgg_need_each_other(folder, vgg, config, complaint):
    with pytest.raises(ConfigError, match=complaint):
        open_stage(folder, vgg, config)


def test_a_run_resumes_only_with_the_vgg_that_it_began_with(folder):
    # Weights of both differ by a factor of two.
    first = open_stage(folder, "vgg", config(10.0))
    other = open_stage(folder, "other", config(10.0))
    check_unchanged(first.run, first)
    with pytest.raises(
        ConfigError, match=r"weights of perceptual: the run has \w{16}, now \w{16}"
    ):
        check_unchanged(first.run, other)


def test_a_run_from_before_the_perceptual_loss_resumes_without_it(folder):
    # The saved identity lacks the loss and the frozen weights.
    without = open_stage(folder, None, config(0.0))
    with_loss = open_stage(folder, "vgg", config(10.0))
    saved = dict(without.run)
    del saved["frozen"]
    del saved["config"]["losses"]["perceptual"]
    check_unchanged(saved, without)
    with pytest.raises(ConfigError, match=r"perceptual: the run has 0\.0, now 10\.0"):
        check_unchanged(saved, with_loss)
    assert LossWeights().perceptual == 0
