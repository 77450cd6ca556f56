"""Mirrored pairs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.engine.config import ConfigError
from train.engine.toml import load_config
from train.renderer.config import LossWeights, RendererConfig
from train.renderer.pair import draw, mirror_landmarks, mirror_pairs
from train.synthetic.clip import PAINT, ClipPlan
from train.synthetic.landmarks import COUNT, landmarks
from train.synthetic.scene import Moment, Scene

SIDE = 33
MIDDLE = (SIDE - 1) / 2
ROWS = jnp.arange(64)
CONFIGS = Path(__file__).parents[3] / "configs"


def spot_batch() -> dict[str, jax.Array]:
    """Return two pairs of pictures with a white pixel at landmark 0, a grey one at
    landmark 1, and unknown landmarks 2."""
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[4, 8] = 255
    picture[20, 30] = 100
    points = [
        [8, 4],
        [30, 20],
        [0, 0],
    ]
    places = np.array(points, np.float32) / MIDDLE - 1
    pose = np.full(3, 5, np.float32)
    pair = {}
    for role in ("source", "driving"):
        pair[role] = picture
        pair[f"{role}_landmarks"] = places
        pair[f"{role}_pose"] = pose
    return {name: jnp.stack([values] * 2) for name, values in pair.items()}


@pytest.mark.parametrize("role", ["source", "driving"])
def test_a_mirrored_landmark_lies_on_its_partner(role: str):
    batch = spot_batch()
    choice = jnp.array([True, False])
    result = mirror_pairs(batch, choice, [(0, 1)])
    picture = result[role][0]
    places = np.asarray(result[f"{role}_landmarks"][0])
    points = np.rint((places + 1) * MIDDLE)
    assert np.isnan(points[2]).all()
    # Landmark 0 now lies on what was landmark 1, and the other way round.
    for landmark, level in ((0, 100), (1, 255)):
        x, y = points[landmark].astype(int)
        assert int(picture[y, x, 0]) == level
    # The second pair is not mirrored.
    for name in (role, f"{role}_landmarks", f"{role}_pose"):
        np.testing.assert_array_equal(result[name][1], batch[name][1])


def test_a_mirrored_head_turns_and_leans_the_other_way():
    batch = spot_batch()
    result = mirror_pairs(batch, jnp.array([True, False]), [])
    poses = np.asarray(result["driving_pose"])
    expected = [
        [5, -5, -5],
        [5, 5, 5],
    ]
    np.testing.assert_array_equal(poses, expected)
    # No mirror of a landmark is known.
    assert np.isnan(result["driving_landmarks"][0]).all()


def test_a_share_of_the_pairs_is_mirrored_and_other_draws_stay():
    key = jax.random.key(3)
    plain = draw(key, ROWS, 0.1)
    half = draw(key, ROWS, 0.1, 0.5)
    assert plain.mirrored is None
    assert half.mirrored is not None
    assert 20 < int(half.mirrored.sum()) < 44
    np.testing.assert_array_equal(half.gain, plain.gain)
    np.testing.assert_array_equal(half.warp.bends, plain.warp.bends)
    everything = draw(key, ROWS, 0.1, 1.0).mirrored
    assert everything is not None
    assert everything.all()


def test_the_mirrors_of_drawn_heads_are_those_of_a_face_from_the_front():
    plan = ClipPlan(5, 0, 0, 1.0, 160)
    scene = Scene(plan.person[1], plan.size, plan.random(PAINT))
    pixels = landmarks(scene, Moment())
    points = 2 * pixels / (plan.size - 1) - 1
    preset = CONFIGS / "demo_renderer.toml"
    config = load_config(preset, RendererConfig())
    reflection = mirror_landmarks(jnp.asarray(points[None]), config.mirrors)
    # Every landmark has a mirror; faces are nearly symmetric.
    difference = np.abs(np.asarray(reflection[0]) - points)
    assert difference.shape == (COUNT, 2)
    assert difference.max() < 0.03


@pytest.mark.parametrize(
    "options",
    [
        {"guided": ((0, 4),)},
        {"focused": (4,)},
        {"folds": ((4, 1),)},
    ],
)
def test_losses_on_landmarks_without_a_mirror_are_refused(options):
    mirrors = ((1, 1), (2, 3))
    with pytest.raises(
        ConfigError, match=r"mirror is 0\.5, and the mirror of landmark 4"
    ):
        RendererConfig(mirror=0.5, mirrors=mirrors, **options)
    RendererConfig(mirror=0.5, mirrors=((1, 4),), **options)
    RendererConfig(**options)


def test_a_loss_on_all_landmarks_needs_mirrors():
    losses = LossWeights(correspondence=1.0)
    with pytest.raises(ConfigError, match=r"losses\.correspondence reads landmarks"):
        RendererConfig(mirror=0.5, losses=losses)


def test_a_landmark_with_two_mirrors_is_refused():
    with pytest.raises(ConfigError, match="mirrors names landmark 2 twice"):
        RendererConfig(mirrors=((1, 2), (2, 3)))
