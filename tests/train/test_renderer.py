"""Renderer training: its losses and warps on figures known by hand, and the stage as a user runs it."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import leaves_of, open_checkpoint, save_checkpoint
from jaxportrait.models.blocks import SpectralConv
from jaxportrait.models.config import GeneratorConfig, MotionConfig, PortraitConfig
from jaxportrait.models.parts import build
from jaxportrait.ops.grid import coordinate_grid
from tests.train.frames import make_frames
from tests.train.runs import QUICK, World
from train.checkpoints import Checkpoints
from train.config import ConfigError, load_config
from train.export import Options, export
from train.initial import by_path, initial_weights
from train.renderer.config import DiscriminatorConfig, LossWeights, RendererConfig
from train.renderer.losses import (
    LEAST_DISTANCE,
    WING_WIDTH,
    beside_folds,
    correspondence_error,
    crowding,
    discriminator_hinge,
    focus_map,
    gap_error,
    guidance_error,
    pose_error,
    pyramid_error,
    wing,
)
from train.renderer.networks import Discriminator
from train.renderer.stage import check_sizes, fresh_leaves, open_renderer
from train.renderer.step import adversarial_terms
from train.renderer.transform import Warp, draw_warp, warp_images, warp_points
from train.run import RunOptions

TINY = """
image_size = 32
batch_size = 8
validation_batches = 1
scales = 2
guided = [[0, 1], [3, 2]]
[appearance]
base_channels = 4
max_channels = 8
volume_channels = 4
volume_depth = 4
residual_blocks = 1
[motion]
depths = [1]
widths = [8]
[warping]
volume_channels = 4
volume_depth = 4
features = 8
compressed_channels = 1
hourglass_channels = 4
hourglass_max_channels = 8
hourglass_blocks = 1
mask_kernel = 3
[generator]
features = 8
hidden = 4
output_channels = 8
upscale = 1
middle_blocks = 1
[discriminator]
channels = 4
layers = 1
[losses]
pose = 0.01
[optimizer]
learning_rate = 2e-3
warmup_steps = 0
[loop]
log_every = 1
validate_every = 5
save_every = 5
plot_every = 10
"""


def straight(**affine: float) -> Warp:
    """A warp without bends; entries of its affine map that differ from the identity by name, such as `xx`."""
    matrix = np.eye(2, 3, dtype=np.float32)
    for name, value in affine.items():
        matrix["xy".index(name[0]), "xy1".index(name[1])] = value
    return Warp(jnp.asarray(matrix)[None], jnp.zeros((1, 25, 2)))


def test_a_pyramid_weighs_pixels_and_counts_every_scale():
    true, weight = jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 1)).at[:, :2].set(3.0)
    made = true.at[:, 0, 0].set(1.0)
    finest = 3 * 1 / 16 / 2  # the weighted pixel, over the mean weight
    coarser = 3 * 0.25 / 4 / 2
    np.testing.assert_allclose(pyramid_error(made, true, weight, 2), (finest + coarser) / 2, rtol=1e-6)


def test_focus_lies_on_known_landmarks():
    landmarks = jnp.array([[[-1.0, 1.0], [jnp.nan, jnp.nan]]])
    weight = focus_map(landmarks, 4.0, 21)[0, :, :, 0]
    assert weight[20, 0] == pytest.approx(5.0)
    assert weight[0, 20] == pytest.approx(1.0)
    assert np.isfinite(np.asarray(weight)).all()


def test_a_wing_is_smooth_where_it_straightens():
    just, step = WING_WIDTH, 1e-4
    assert float(wing(jnp.array(just + step)) - wing(jnp.array(just - step))) == pytest.approx(2 * step, rel=0.2)
    assert wing(jnp.array(0.0)) == 0
    assert wing(jnp.array(-0.3)) == wing(jnp.array(0.3))


def test_what_is_unknown_counts_nothing_and_has_no_gradient():
    keypoints = jnp.zeros((2, 4, 3)).at[0, 3, 0].set(0.5)
    landmarks = jnp.full((2, 3, 2), jnp.nan).at[0, 1].set(0.0)
    guided = ((3, 1), (0, 2))
    error, gradient = jax.value_and_grad(guidance_error)(keypoints, landmarks, guided)
    np.testing.assert_allclose(error, (wing(jnp.array(0.5)) + 0) / 2, rtol=1e-6)
    assert np.isfinite(np.asarray(gradient)).all()
    assert not gradient[1].any()
    assert pose_error(jnp.ones((1, 3)), jnp.array([[3.0, jnp.nan, 0.0]])) == pytest.approx(1.5)
    assert pose_error(jnp.ones((1, 3)), jnp.full((1, 3), jnp.nan)) == 0


def test_gaps_are_between_guided_keypoints():
    guided, gaps = ((5, 1), (3, 0)), ((3, 5),)
    landmarks = jnp.array([[[0.0, 0.0], [0.1, 0.3]], [[0.0, 0.0], [jnp.nan, 0.0]]])
    keypoints = jnp.zeros((2, 6, 3)).at[:, 3, :2].set(0.7).at[:, 5, :2].set(0.9).at[:, 5, 2].set(9.0)
    error, gradient = jax.value_and_grad(gap_error)(keypoints, landmarks, guided, gaps)
    wrong = [0.2 - 0.1, 0.3 - 0.2, 0.2]  # x and y of the first; of the second, y is known
    assert float(error) == pytest.approx(np.mean(wrong), rel=1e-5)
    assert np.isfinite(np.asarray(gradient)).all()
    with pytest.raises(ConfigError, match="gaps names keypoint 4, which guided does not"):
        RendererConfig(guided=guided, gaps=((3, 4),))
    with pytest.raises(ConfigError, match=r"losses\.gaps is 1\.0, between pairs of keypoints, and gaps names none"):
        RendererConfig(guided=guided, losses=LossWeights(gaps=1.0))
    assert RendererConfig(guided=guided, gaps=gaps).guided_gaps == ((0, 1),)


def test_contrast_is_a_share_of_pairs_by_gaps():
    with pytest.raises(ConfigError, match=r"contrast is a share of the pairs, from 0 to 1, got 1\.5"):
        RendererConfig(guided=((5, 1), (3, 0)), gaps=((3, 5),), contrast=1.5)
    with pytest.raises(ConfigError, match=r"contrast is 0\.5, by how gaps differ, and gaps names none"):
        RendererConfig(contrast=0.5)


def test_correspondence_is_of_where_landmarks_come_from():
    grid = jnp.broadcast_to(coordinate_grid(2, 5, 9)[None], (2, 2, 5, 9, 3))
    driving = jnp.array([[[0.1, -0.3], [0.9, 0.2], [1.2, 0.0], [0.0, 0.0]]] * 2)
    source = (driving + jnp.array([0.2, -0.1])[None, None]).at[:, 3].set(jnp.nan)  # the third is outside
    straight = grid + jnp.array([0.2, -0.1, 0.7])[None, None, None, None]
    still, error = (correspondence_error(each, source, driving, jnp.ones(4)) for each in (grid, straight))
    assert float(error) == pytest.approx(0, abs=1e-5)
    assert float(still) == pytest.approx(float(wing(jnp.array([0.2, 0.1])).mean()), rel=1e-5)
    bent = straight.at[:, :, :, 4:].add(0.3)  # from the middle to the right: half a cell left of it is half bent
    one = jnp.array([[[-0.125, 0.0]]] * 2)
    found = correspondence_error(bent, one + jnp.array([0.35, 0.05])[None, None], one, jnp.ones(1))
    assert float(found) == pytest.approx(0, abs=1e-5)
    off = driving.at[:, 1].add(
        0.3
    )  # of four landmarks two count, of which one is wrong and weighs three times the other
    weighed = correspondence_error(grid, off, driving, jnp.array([1.0, 3.0, 1.0, 0.0]))
    assert float(weighed) == pytest.approx(0.75 * float(wing(jnp.array(0.3))), rel=1e-5)
    gradient = jax.grad(correspondence_error)(grid, source, driving, jnp.ones(4))
    assert np.isfinite(np.asarray(gradient)).all()


def test_crowding_is_of_near_keypoints():
    near, far = jnp.zeros((1, 2, 3)), jnp.zeros((1, 2, 3)).at[0, 1, 0].set(2 * LEAST_DISTANCE)
    np.testing.assert_allclose(crowding(near), 2 * LEAST_DISTANCE**2, rtol=1e-6)
    assert crowding(far) == 0


def test_guided_keypoints_may_touch():
    near = jnp.zeros((1, 3, 3)).at[0, 2, 0].set(2 * LEAST_DISTANCE)
    assert crowding(near, guided=[0, 1]) == 0
    np.testing.assert_allclose(crowding(near, guided=[0]), 2 * LEAST_DISTANCE**2, rtol=1e-6)


def test_the_hinge_is_content_beyond_one():
    assert discriminator_hinge(jnp.full((1, 2, 2, 1), 1.5), jnp.full((1, 2, 2, 1), -1.5)) == 0
    assert discriminator_hinge(jnp.zeros((1, 2, 2, 1)), jnp.zeros((1, 2, 2, 1))) == 2


def test_a_picture_and_its_points_are_warped_alike():
    spot = jnp.zeros((1, 33, 33, 1)).at[0, 16, 24].set(1.0)  # at (0.5, 0)
    moved = warp_images(straight(x1=0.25, y1=-0.125), spot)[0, :, :, 0]
    row, column = np.unravel_index(int(jnp.argmax(moved)), moved.shape)
    seen = jnp.array([[[column / 16 - 1, row / 16 - 1]]], jnp.float32)
    np.testing.assert_allclose(warp_points(straight(x1=0.25, y1=-0.125), seen), [[[0.5, 0.0]]], atol=1e-6)
    np.testing.assert_allclose(warp_images(straight(), spot), spot, atol=1e-5)


def test_drawn_warps_are_small_bends():
    warp = jax.vmap(draw_warp)(jax.random.split(jax.random.key(0), 100))
    points = jax.random.uniform(jax.random.key(1), (100, 9, 2), minval=-1, maxval=1)
    shift = np.abs(np.asarray(warp_points(warp, points) - points))
    assert 0.02 < shift.mean() < 0.2


def test_the_spectral_norm_converges_in_training_alone():
    layer = SpectralConv(3, 4, (3, 3), rngs=nnx.Rngs(0))
    x, before = jnp.ones((1, 4, 4, 3)), np.asarray(layer.u[...])
    layer(x)
    np.testing.assert_array_equal(layer.u[...], before)
    layer.train()
    for _ in range(30):
        layer(x)
    largest = np.linalg.svd(np.asarray(layer.conv.kernel[...]).reshape(-1, 4), compute_uv=False)[0]
    np.testing.assert_allclose(layer._norm(), largest, rtol=1e-3)


def test_the_hinge_teaches_the_discriminator_and_its_opinion_the_picture():
    discriminator = Discriminator(DiscriminatorConfig(4, 4, 1), rngs=nnx.Rngs(0))
    graph, state = nnx.split(discriminator)
    made, true = jax.random.uniform(jax.random.key(0), (2, 1, 8, 8, 3))

    def term(name: str, state: nnx.State, made: jax.Array):
        return adversarial_terms(nnx.merge(graph, state), made, true)[name]

    for name, teaches_discriminator in (("hinge", True), ("adversarial", False), ("feature_matching", False)):
        to_state, to_made = jax.grad(lambda *args: term(name, *args), argnums=(0, 1), allow_int=True)(state, made)  # noqa: B023
        kernels = [leaf for leaf in jax.tree.leaves(to_state) if leaf.ndim == 4]
        assert any(bool(kernel.any()) for kernel in kernels) == teaches_discriminator
        assert bool(to_made.any()) != teaches_discriminator


def test_sizes_that_do_not_fit_are_named(tmp_path: Path):
    dataset = make_frames(tmp_path / "frames")
    with pytest.raises(ConfigError, match="image_size of 256 pixels cannot be had by halving the 32 pixels"):
        check_sizes(RendererConfig(), dataset)
    with pytest.raises(ConfigError, match=r"losses\.focus is 4\.0, on focused landmarks, and focused names none"):
        RendererConfig(losses=LossWeights(focus=4.0))
    for names in ({"guided": ((0, 4),)}, {"focused": (1, 4)}):
        with pytest.raises(ConfigError, match=rf"{next(iter(names))} names landmark 4, and .* has 4: leave it out"):
            check_sizes(RendererConfig(image_size=16, **names), dataset)
    unknown = make_frames(tmp_path / "unknown", points=0)
    with pytest.raises(ConfigError, match=r"losses\.correspondence needs landmarks, and .* has none: set it to 0"):
        check_sizes(RendererConfig(image_size=16, losses=LossWeights(correspondence=1.0)), unknown)
    with pytest.raises(FileNotFoundError, match=r"train\.frames"):
        open_renderer(RunOptions(tmp_path / "none", None, tmp_path / "run"), RendererConfig())


def test_a_run_starts_from_the_networks_that_a_checkpoint_holds(tmp_path: Path):
    sizes = {"motion": MotionConfig((1,), (8,)), "generator": GeneratorConfig.tiny()}
    leaves = leaves_of(build("motion", sizes["motion"], rngs=nnx.Rngs(0)))
    save_checkpoint(tmp_path / "motion", PortraitConfig(32, motion=sizes["motion"]), {"motion": leaves})
    found = initial_weights(tmp_path / "motion", sizes)
    assert found.keys() == {"motion"}
    assert by_path(found).keys() == {f"motion.{name}" for name in leaves}
    with pytest.raises(ConfigError, match="choose the options that agree"):
        initial_weights(tmp_path / "motion", {"motion": MotionConfig((2,), (8,))})
    with pytest.raises(ConfigError, match="holds none of generator"):
        initial_weights(tmp_path / "motion", {"generator": sizes["generator"]})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("renderer")
    make_frames(root / "frames")
    (root / "tiny.toml").write_text(TINY)
    return World(root)


def arguments(world: World, run: str, *more: str) -> list[str]:
    command = world.arguments(run)[:3]
    paths = ["--stage", "renderer", "--dataset-path", "frames", "--work-dir", run, "--config", "tiny.toml"]
    return [*command, *paths, "--peak-tflops", "0.1", *more]


def finish(world: World, command: list[str], devices: int = 1) -> tuple[int, str, str]:
    return world.finish(command, flags=f"{QUICK} --xla_force_host_platform_device_count={devices}")


@pytest.fixture(scope="module")
def whole(world: World) -> Path:
    """Updates that nothing interrupted, with pictures."""
    status, out, err = finish(world, arguments(world, "whole", "--steps", "40"))
    assert status == 0, err
    assert "step 40/40  loss " in out
    return world.root / "whole"


@pytest.mark.full
def test_a_killed_renderer_run_ends_as_one_that_was_not(world: World, whole: Path):
    command = arguments(world, "killed", "--steps", "40")
    process = world.start(command, flags=QUICK)
    while not (world.root / "killed/checkpoints/5").is_dir():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    status, out, err = finish(world, command)
    assert status == 0, err
    assert "from step 0 " not in out
    ours, expected = (weights(folder) for folder in (world.root / "killed", whole))
    assert ours.keys() == expected.keys()
    assert "warping.flatten.norm.mean" in ours
    for name, leaf in expected.items():
        np.testing.assert_array_equal(ours[name], leaf, err_msg=name)


def test_a_renderer_run_becomes_a_checkpoint_to_start_from(world: World, whole: Path):
    export(Options(whole, world.root / "trained", log_mel=80, cfg_scale=1.5))
    checkpoint, trained = open_checkpoint(world.root / "trained"), weights(whole)
    assert checkpoint.parts == ["appearance", "motion", "warping", "generator", "log_mel"]
    config = checkpoint.config
    assert (config.image_size, config.crop_zoom, config.cfg_scale) == (32, 1.0, 1.5)
    np.testing.assert_array_equal(checkpoint.leaves("generator")["stem.kernel"], trained["generator.stem.kernel"])
    command = arguments(world, "tuned", "--steps", "1", "--init", "trained", "--learning-rate", "0")
    status, _, err = finish(world, command)
    assert status == 0, err
    tuned = weights(world.root / "tuned")
    np.testing.assert_allclose(tuned["generator.stem.kernel"], trained["generator.stem.kernel"], rtol=1e-6)


def test_without_a_loss_on_pictures_the_motion_extractor_learns_alone(world: World, whole: Path):
    (world.root / "keypoints.toml").write_text(
        'base = "tiny.toml"\n[losses]\nreconstruction = 0.0\nadversarial = 0.0\nfeature_matching = 0.0\n'
    )
    status, _, err = finish(world, [*arguments(world, "keypoints", "--steps", "10"), "--config", "keypoints.toml"])
    assert status == 0, err
    learnt, drawn, fresh = weights(world.root / "keypoints"), weights(whole), fresh_weights(world)
    assert not np.array_equal(learnt["motion.expression.kernel"], fresh["motion.expression.kernel"])
    np.testing.assert_allclose(learnt["generator.stem.kernel"], fresh["generator.stem.kernel"], rtol=1e-6)
    assert {name for name in drawn if not name.startswith("discriminator.")} == learnt.keys()


def test_landmarks_that_meet_are_asked_for_on_their_own_sides():
    source, shut = jnp.array([[[0.0, -0.5], [0.0, 0.5], [0.4, 0.4]]]), jnp.array([[[0.0, 0.3], [0.0, 0.3], [0.4, 0.4]]])
    np.testing.assert_allclose(
        beside_folds(source, shut, [(0, 1)], 0.1), [[[0.0, 0.2], [0.0, 0.4], [0.4, 0.4]]], atol=1e-6
    )
    np.testing.assert_array_equal(beside_folds(source, source, [(0, 1)], 0.1), source)  # far apart as they are
    np.testing.assert_array_equal(beside_folds(source, shut, [], 0.1), shut)
    unknown = shut.at[0, 1].set(jnp.nan)
    np.testing.assert_array_equal(beside_folds(source, unknown, [(0, 1)], 0.1)[0, 0], shut[0, 0])

    grid = np.asarray(coordinate_grid(1, 21, 21))[None]
    folded = grid + np.where(grid[..., 1:2] < 0.3, np.float32([0.0, -0.8, 0.0]), np.float32([0.0, 0.2, 0.0]))
    apart, together = (
        correspondence_error(jnp.asarray(folded), source, shut, jnp.array([1.0, 1.0, 0.0]), folds)
        for folds in ([(0, 1)], [])
    )
    assert apart < 1e-4  # a fold gives each side what it asks for
    assert together > 0.2


def test_landmarks_alone_teach_the_warping_network(world: World):
    (world.root / "warping.toml").write_text(
        'base = "tiny.toml"\n[losses]\nreconstruction = 0.0\nadversarial = 0.0\nfeature_matching = 0.0\n'
        'correspondence = 10.0\n[optimizer]\nhold = ["motion", "appearance"]\n'
    )
    status, _, err = finish(world, [*arguments(world, "warping", "--steps", "5"), "--config", "warping.toml"])
    assert status == 0, err
    params, _ = fresh_leaves(load_config(world.root / "warping.toml", RendererConfig()))
    learnt = weights(world.root / "warping")
    moved = {name for name, leaf in params.items() if not np.allclose(leaf, learnt[name], rtol=1e-5, atol=1e-7)}
    assert "warping.dense_motion.mask.kernel" in moved
    assert {name.split(".")[0] for name in moved} == {"warping"}


@pytest.mark.full
def test_eight_devices_train_a_renderer_as_one(world: World):
    runs = {
        name: finish(world, arguments(world, name, "--steps", "3"), devices)
        for name, devices in (("one", 1), ("eight", 8))
    }
    assert "on 8 device(s)" in runs["eight"][1], runs["eight"][2]
    one, eight = (losses(out) for _, out, _ in runs.values())
    np.testing.assert_allclose(eight, one, rtol=1e-4)
    ours, expected = weights(world.root / "eight"), weights(world.root / "one")
    np.testing.assert_allclose(ours["warping.flatten.norm.mean"], expected["warping.flatten.norm.mean"], rtol=1e-3)


def losses(out: str) -> list[float]:
    return [float(line.split("loss ")[1].split()[0]) for line in out.splitlines() if " loss " in line]


def fresh_weights(world: World) -> Mapping[str, np.ndarray]:
    params, _ = fresh_leaves(load_config(world.root / "keypoints.toml", RendererConfig()))
    return {name: np.asarray(leaf) for name, leaf in params.items()}


def weights(run: Path) -> dict[str, np.ndarray]:
    checkpoints = Checkpoints(run)
    try:
        return checkpoints.weights(checkpoints.steps[-1], "ema")[0]
    finally:
        checkpoints.close()
