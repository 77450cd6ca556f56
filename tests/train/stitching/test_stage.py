"""Stitching training: its regions on landmarks known by hand, and the stage as a user
runs it."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait import demo
from jaxportrait.checkpoint import Contents, Crop, open_checkpoint, save_untrained
from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.models.warping import WarpingConfig
from tests.train.frames import SIZE, make_frames
from tests.train.runs import QUICK, World, losses, weights_of
from train.data.pictures import FrameRecord, encode_image
from train.data.shards import Split
from train.engine.config import ConfigError
from train.export.write import Options, export
from train.prepare.frames.extract import FrameRecipe
from train.prepare.frames.run import write_frames
from train.prepare.split import Piece
from train.stitching.config import (
    EYES,
    LIPS,
    STITCHING,
    LossWeights,
    OrganConfig,
    StitchingTrainConfig,
)
from train.stitching.regions import discs, find_organ, seen_openness, shoulders
from train.stitching.stage import check_frames, open_stitching
from train.stitching.step import difference, draw_openness, row_before, weigh

RENDERER = Contents(
    Crop(SIZE),
    {
        "appearance": AppearanceConfig(4, 8, 2, 4, 4, 1),
        "motion": MotionConfig((1,), (8,)),
        "warping": WarpingConfig(21, 4, 4, 8, 1, 4, 8, 1, mask_kernel=3),
        "generator": GeneratorConfig(
            8, hidden=4, output_channels=8, upscale=1, middle_blocks=1
        ),
        "flow_transformer": FlowTransformerConfig.tiny(),
    },
    Contents.tiny().drivers,
)
EYE, LIP = (0, 1, 2, 3), (3, 2, 1, 0)
GUIDED = ((5, 0), (7, 1), (1, 2), (2, 3))
BOTH = StitchingTrainConfig(
    guided=GUIDED,
    eyes=OrganConfig((EYE, EYE), 0.8, 1.0),
    lips=OrganConfig((LIP,), 0.5, 1.0),
)
TOML = """
batch_size = 8
seed = 1
validation_batches = 1
band = 0.3
guided = [[5, 0], [7, 1], [1, 2], [2, 3]]
[eyes]
openings = [[0, 1, 2, 3], [0, 1, 2, 3]]
[lips]
openings = [[3, 2, 1, 0]]
[losses]
shoulders = 1000.0
openness = 0.01
offsets = 0.01
[optimizer]
learning_rate = 3e-4
warmup_steps = 0
[loop]
log_every = 1
validate_every = 30
save_every = 30
"""


def face(*points: tuple[float, float]) -> jax.Array:
    """Return the landmarks of one face."""
    return jnp.array([points], jnp.float32)


def test_shoulders_lie_below_the_chin_or_in_the_lowest_band():
    config = StitchingTrainConfig(jaw=(0, 1), band=0.2)
    # The jaw of the second face is not known.
    marks = jnp.array(
        [
            [[-0.5, 0.1], [0.0, 0.5]],
            [[0.0, jnp.nan], [0.0, 0.5]],
        ]
    )
    # Rows from -1 to 1 in steps of 0.2.
    mask = shoulders(config, marks, 11)
    rows = np.asarray(mask[:, :, 4, 0])
    np.testing.assert_array_equal(rows.argmax(axis=1), [8, 9])
    np.testing.assert_array_equal(rows.sum(axis=1), [3, 2])


def test_openness_is_a_height_in_widths_by_landmarks_and_by_keypoints():
    # Middle above, middle below and corners: 0.2 high and 0.8 wide.
    marks = face((0.0, -0.1), (0.0, 0.1), (-0.4, 0.0), (0.4, 0.0))
    organ = find_organ(BOTH.lips, marks[:, ::-1], 32)
    np.testing.assert_allclose(organ.openness[0], [0.25], atol=1e-4)
    np.testing.assert_allclose(organ.width[0], [0.8], atol=1e-4)
    # Keypoint 2 lies on landmark 3, and keypoint 1 on landmark 2.
    keypoints = jnp.zeros((1, 21, 3))
    keypoints = keypoints.at[0, 2, 1].set(0.4)
    openness = seen_openness(BOTH, BOTH.lips, keypoints, organ.width)
    np.testing.assert_allclose(openness, [[0.5]], atol=1e-3)


def test_a_disc_ends_at_its_radius():
    centres = jnp.array([[[-0.5, 0.0], [0.5, 0.5]]])
    radii = jnp.array([[0.3, 0.0]])
    mask = discs(centres, radii, 41)
    inside = np.asarray(mask)[0, :, :, 0]
    # Pixels are 0.05 apart; the centres lie in rows 20 and 30.
    assert inside[20, 10] == inside[20, 15] == inside[14 + 1, 10] == 1
    assert inside[20, 17] == inside[10, 20] == inside[30, 30] == 0


def test_surroundings_are_farther_than_a_radius():
    lips = face((0.0, 0.0), (0.4, 0.0), (0.2, 0.1), (0.2, -0.1))
    surroundings = find_organ(BOTH.lips, lips, 41).surroundings
    assert surroundings[0, 20, 24, 0] == 0
    # The picture's area is 4.
    outside = 1 - np.pi * 0.4**2 / 4
    assert surroundings.mean() == pytest.approx(outside, abs=0.02)


def test_an_eye_that_is_not_known_or_has_no_width_gives_finite_numbers():
    unknown = jnp.full((1, 4, 2), jnp.nan)
    without_width = jnp.zeros((1, 4, 2))
    marks = jnp.concatenate([unknown, without_width])
    organ = find_organ(BOTH.eyes, marks, 16)
    np.testing.assert_array_equal(organ.mask, [False, True])

    def total(points: jax.Array) -> jax.Array:
        openness = seen_openness(BOTH, BOTH.eyes, points, organ.width)
        return openness.sum()

    # A distance of 0 has a gradient, too.
    gradient = jax.grad(total)(jnp.zeros((2, 21, 3)))
    for leaf in (organ.width, organ.openness, organ.surroundings, gradient):
        assert np.isfinite(np.asarray(leaf)).all()


def test_differences_count_where_the_mask_is():
    target = jnp.zeros((2, 4, 4, 3))
    image = target.at[:, 0, 0].set(1.0)
    # The last row is outside the mask; the second mask is empty.
    image = image.at[:, 3].set(5.0)
    mask = jnp.zeros((2, 4, 4, 1))
    mask = mask.at[0, :2].set(1.0)
    errors = difference(image, target, mask)
    np.testing.assert_allclose(errors, [1 / 8, 0.0])


def test_losses_are_weighed_by_the_ends_of_their_names():
    losses = LossWeights(shoulders=2.0, surroundings=3.0, openness=5.0, offsets=7.0)
    names = (
        "shoulders",
        "stitching_offsets",
        f"{EYES}_offsets",
        f"{LIPS}_openness",
        f"{LIPS}_surroundings",
    )
    terms = {name: jnp.ones(()) for name in names}
    assert weigh(losses, terms) == 2 + 7 + 7 + 5 + 3


def test_a_row_is_driven_by_the_row_before_it_wherever_that_lies():
    rows = jnp.array([0, 2, 4, 1, 3])  # as two processes lay them out
    np.testing.assert_array_equal(rows[row_before(rows)], [4, 1, 3, 0, 2])


def test_openness_is_drawn_for_a_row_wherever_it_lies():
    rows = jnp.arange(200)
    drawn = draw_openness(BOTH, jax.random.key(0), rows)
    again = draw_openness(BOTH, jax.random.key(0), rows[7:9])
    for part, widest in ((EYES, 0.8), (LIPS, 0.5)):
        openness = drawn[part]
        assert openness.shape == (200, 1)
        # The whole range is drawn.
        assert 0 <= openness.min() < 0.05 * widest
        assert 0.95 * widest < openness.max() <= widest
        np.testing.assert_array_equal(openness[7:9], again[part])
    assert draw_openness(StitchingTrainConfig(), jax.random.key(0), rows) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"guided": GUIDED[1:]},
            "eye_retargeting opens at landmark 0, on which guided puts no keypoint",
        ),
        (
            {"eyes": OrganConfig((EYE,), 0.8, 1.0)},
            "openings of eye_retargeting are .*: pass 2",
        ),
    ],
)
def test_options_that_cannot_be_used_are_named(changes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        replace(BOTH, **changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("stitching")
    make_frames(root / "frames")
    save_untrained(root / "renderer", RENDERER)
    (root / "tiny.toml").write_text(TOML)
    return World(root)


def arguments(world: World, run: str, *options: str) -> list[str]:
    """Return a command line of the stage."""
    stage = "--stage stitching --config tiny.toml"
    paths = "--dataset-path frames --checkpoint renderer"
    return world.command(run, *stage.split(), *paths.split(), *options)


def test_frames_and_checkpoints_that_do_not_belong_together_are_named(world: World):
    frames, renderer = world.root / "frames", world.root / "renderer"
    with pytest.raises(ConfigError, match="--checkpoint is missing"):
        open_stitching(BOTH, frames, checkpoint=None)
    # Each check is made with one difference.
    dataset = open_stitching(BOTH, frames, renderer).dataset
    checkpoint = open_checkpoint(renderer)
    with pytest.raises(
        ConfigError, match=r"cut out at a zoom of 1\.5, and .* reads 1\.0"
    ):
        check_frames(BOTH, replace(dataset, zoom=1.5), checkpoint)
    with pytest.raises(
        ConfigError,
        match=r"the 32 pixels that .* reads cannot be had by halving the 48",
    ):
        check_frames(BOTH, replace(dataset, size=48), checkpoint)
    with pytest.raises(ConfigError, match=r"name landmark 9, and .* has 4"):
        check_frames(replace(BOTH, jaw=(9,)), dataset, checkpoint)


@pytest.fixture(scope="module")
def whole(world: World) -> str:
    """The output of a run that nothing interrupted."""
    command = arguments(world, "whole", "--steps", "60", "--plot-every", "60")
    status, output, errors = world.finish(command, flags=QUICK)
    assert status == 0, errors
    return output


def test_the_loss_falls(whole: str):
    # Means of ten updates, as targets are drawn for each. The untrained renderer's
    # gradients are chaotic: at a rate of 1e-3 the last bit of a weight decides whether
    # the loss ends at 0.3 or 0.9 of its start; at 3e-4 three seeds end at 0.65 to 0.73.
    values = losses(whole)
    assert np.mean(values[-10:]) < 0.8 * np.mean(values[:10])


def test_a_run_becomes_a_checkpoint_that_differs_in_the_trained_parts(
    world: World, whole: str
):
    export(Options(world.root / "whole", world.root / "trained"))
    before = open_checkpoint(world.root / "renderer")
    after = open_checkpoint(world.root / "trained")
    trained = [STITCHING, LIPS, EYES]
    assert sorted(after.parts) == sorted([*before.parts, *trained])
    assert [after.sizes(part) for part in trained] == [
        StitchingConfig.stitching(),
        StitchingConfig.lips(),
        StitchingConfig.eyes(),
    ]
    # The driver and its statistics are copied.
    driver, expected = after.driver(), before.driver()
    assert driver.config == expected.config
    np.testing.assert_equal(vars(driver.statistics), vars(expected.statistics))
    for part in before.parts:
        np.testing.assert_equal(after.leaves(part), before.leaves(part), err_msg=part)
    for part in trained:
        last = f"layers.{len(after.sizes(part).hidden)}.kernel"
        # It began at 0, so every layer had a gradient.
        assert np.abs(after.leaves(part)[last]).max() > 1e-4


@pytest.mark.full
def test_an_interrupted_run_ends_as_one_that_was_not(world: World, whole: str):
    for steps in ("30", "60"):
        command = arguments(world, "parts", "--steps", steps)
        status, output, errors = world.finish(command, flags=QUICK)
        assert status == 0, errors
    assert "from step 30 to 60" in output
    assert losses(output)[-5:] == losses(whole)[-5:]


@pytest.mark.full
def test_eight_devices_train_as_one(world: World):
    """The renderer is a trained one: the gradients of untrained ones change by a tenth
    with a keypoint's last bit.

    Retargeted pictures begin as their reconstructions, where the gradient of their
    distance has the sign of rounding; and Adam, without an epsilon that counts, makes
    large the rounding of a gradient near 0.
    """
    make_smooth_frames(world.root / "smooth")
    paths = ["--dataset-path", "smooth", "--checkpoint", str(demo.CHECKPOINT)]
    options = ["--losses.surroundings", "0", "--steps", "3", "--epsilon", "1e-2"]
    values = {}
    for run, devices in (("one", 1), ("eight", 8)):
        flags = f"{QUICK} --xla_force_host_platform_device_count={devices}"
        command = arguments(world, run, *options, *paths)
        _, output, errors = world.finish(command, flags=flags)
        assert f"on {devices} device(s)" in output, errors
        values[run] = losses(output)
    np.testing.assert_allclose(values["eight"], values["one"], rtol=1e-4)
    one, _ = weights_of(world.root / "one", "raw")
    eight, _ = weights_of(world.root / "eight", "raw")
    for part in (STITCHING, LIPS, EYES):
        kernels = [name for name in one if name.startswith(part) and "kernel" in name]
        last = max(kernels)
        scale = np.abs(one[last]).max()
        assert scale > 0  # it began at 0
        np.testing.assert_allclose(
            eight[last], one[last], atol=2e-3 * scale, err_msg=part
        )


def make_smooth_frames(path: Path) -> None:
    """Write pictures as large and as tight as the demo's renderer reads them, with four
    landmarks that move."""
    crop = open_checkpoint(demo.CHECKPOINT).crop
    rng = np.random.default_rng(0)

    # Smooth: the noise of pixels would hide the face's motion.
    def picture() -> bytes:
        noise = rng.integers(0, 256, (5, 5, 3), np.uint8)
        size = crop.image_size
        return encode_image(cv2.resize(noise, (size, size)))

    records, pieces = {}, []
    for split in ("train", "validation"):
        for number in range(4):
            clip = f"{split}/{number}.mp4"
            images = [picture() for _ in range(3)]
            landmarks = rng.uniform(-0.5, 0.5, (3, 4, 2)).astype(np.float32)
            pose = np.zeros((3, 3), np.float32)
            records[clip] = FrameRecord(clip, clip, images, landmarks, pose)
            pieces.append(Piece(clip, cast(Split, split), 0, 3))
    path.mkdir(parents=True)
    recipe = FrameRecipe(size=crop.image_size, zoom=crop.zoom)
    write_frames(path, pieces, records.__getitem__, recipe)
