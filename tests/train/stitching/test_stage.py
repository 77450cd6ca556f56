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
from tests.train.runs import QUICK, World, weights_of
from train.data.frames import FrameRecord, encode_image
from train.data.shards import Split
from train.engine.config import ConfigError
from train.engine.run import RunOptions
from train.export import Options, export
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
learning_rate = 1e-3
warmup_steps = 0
[loop]
log_every = 1
validate_every = 30
save_every = 30
"""


def face(*points: tuple[float, float]) -> jax.Array:
    """The landmarks of one face."""
    return jnp.array([points], jnp.float32)


def test_shoulders_lie_below_the_chin_or_in_the_lowest_band():
    config = StitchingTrainConfig(jaw=(0, 1), band=0.2)
    marks = jnp.array([[[-0.5, 0.1], [0.0, 0.5]], [[0.0, jnp.nan], [0.0, 0.5]]])
    rows = np.asarray(
        shoulders(config, marks, 11)[:, :, 4, 0]
    )  # from -1 to 1 in steps of 0.2
    np.testing.assert_array_equal(rows.argmax(axis=1), [8, 9])
    np.testing.assert_array_equal(rows.sum(axis=1), [3, 2])


def test_openness_is_a_height_in_widths_by_landmarks_and_by_keypoints():
    marks = face((0.0, -0.1), (0.0, 0.1), (-0.4, 0.0), (0.4, 0.0))
    organ = find_organ(BOTH.lips, marks[:, ::-1], 32)
    np.testing.assert_allclose(
        (organ.openness[0], organ.width[0]), ([0.25], [0.8]), atol=1e-4
    )
    keypoints = (
        jnp.zeros((1, 21, 3)).at[0, 2, 1].set(0.4)
    )  # lies on landmark 3; keypoint 1 on landmark 2
    np.testing.assert_allclose(
        seen_openness(BOTH, BOTH.lips, keypoints, organ.width), [[0.5]], atol=1e-3
    )


def test_what_surrounds_an_eye_is_farther_than_its_radius():
    inside = np.asarray(
        discs(jnp.array([[[-0.5, 0.0], [0.5, 0.5]]]), jnp.array([[0.3, 0.0]]), 41)
    )[0, :, :, 0]
    assert inside[20, 10] == inside[20, 15] == inside[14 + 1, 10] == 1
    assert inside[20, 17] == inside[10, 20] == inside[30, 30] == 0
    surroundings = find_organ(
        BOTH.lips, face((0.0, 0.0), (0.4, 0.0), (0.2, 0.1), (0.2, -0.1)), 41
    ).surroundings
    assert surroundings[0, 20, 24, 0] == 0
    assert surroundings.mean() == pytest.approx(1 - np.pi * 0.4**2 / 4, abs=0.02)


def test_an_eye_that_is_not_known_or_has_no_width_gives_finite_numbers():
    marks = jnp.concatenate([jnp.full((1, 4, 2), jnp.nan), jnp.zeros((1, 4, 2))])
    organ = find_organ(BOTH.eyes, marks, 16)
    np.testing.assert_array_equal(organ.known, [False, True])
    gradient = jax.grad(
        lambda points: seen_openness(BOTH, BOTH.eyes, points, organ.width).sum()
    )(jnp.zeros((2, 21, 3)))
    for leaf in (organ.width, organ.openness, organ.surroundings, gradient):
        assert np.isfinite(np.asarray(leaf)).all()


def test_differences_count_where_the_mask_is():
    true, mask = jnp.zeros((2, 4, 4, 3)), jnp.zeros((2, 4, 4, 1)).at[0, :2].set(1.0)
    made = true.at[:, 0, 0].set(1.0).at[:, 3].set(5.0)
    np.testing.assert_allclose(difference(made, true, mask), [1 / 8, 0.0])


def test_losses_are_weighed_by_what_their_names_end_with():
    losses = LossWeights(shoulders=2.0, surroundings=3.0, openness=5.0, offsets=7.0)
    names = (
        "shoulders",
        "stitching_offsets",
        f"{EYES}_offsets",
        f"{LIPS}_openness",
        f"{LIPS}_surroundings",
    )
    assert weigh(losses, {name: jnp.ones(()) for name in names}) == 2 + 7 + 7 + 5 + 3


def test_a_row_is_driven_by_the_row_before_it_wherever_that_lies():
    rows = jnp.array([0, 2, 4, 1, 3])  # as two processes lay them out
    np.testing.assert_array_equal(rows[row_before(rows)], [4, 1, 3, 0, 2])


def test_openness_is_drawn_for_a_row_wherever_it_lies():
    rows = jnp.arange(200)
    drawn = draw_openness(BOTH, jax.random.key(0), rows)
    again = draw_openness(BOTH, jax.random.key(0), rows[7:9])
    for part, widest in ((EYES, 0.8), (LIPS, 0.5)):
        assert drawn[part].shape == (200, 1)
        assert 0 <= drawn[part].min() < 0.05 * widest
        assert 0.95 * widest < drawn[part].max() <= widest
        np.testing.assert_array_equal(drawn[part][7:9], again[part])
    assert draw_openness(StitchingTrainConfig(), jax.random.key(0), rows) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"batch_size": 1},
            "batch_size is 1: a source is driven by the face of the row before it",
        ),
        ({"band": 0.0}, "band is 0.0"),
        (
            {"guided": GUIDED[1:]},
            "eye_retargeting opens at landmark 0, on which guided puts no keypoint",
        ),
        (
            {"eyes": OrganConfig((EYE,), 0.8, 1.0)},
            "openings of eye_retargeting are .*: give 2",
        ),
        (
            {"lips": OrganConfig((LIP,), 0.0, 1.0)},
            "widest and radius of lip_retargeting are 0.0 and 1.0",
        ),
    ],
)
def test_options_that_cannot_be_used_are_named(changes: dict, said: str):
    with pytest.raises(ConfigError, match=said):
        replace(BOTH, **changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("stitching")
    make_frames(root / "frames")
    save_untrained(root / "renderer", RENDERER)
    (root / "tiny.toml").write_text(TOML)
    return World(root)


def arguments(world: World, run: str, *more: str) -> list[str]:
    paths = [
        "--dataset-path",
        "frames",
        "--checkpoint",
        "renderer",
        "--work-dir",
        run,
        "--config",
        "tiny.toml",
    ]
    return [
        *world.arguments(run)[:3],
        "--stage",
        "stitching",
        *paths,
        "--peak-tflops",
        "0.1",
        *more,
    ]


def test_frames_and_checkpoints_that_do_not_belong_together_are_named(world: World):
    options = RunOptions(
        world.root / "frames", world.root / "renderer", world.root / "other"
    )
    with pytest.raises(ConfigError, match="--checkpoint is missing"):
        open_stitching(replace(options, checkpoint=None), BOTH)
    stage = open_stitching(options, BOTH)
    frozen = open_checkpoint(world.root / "renderer")
    with pytest.raises(
        ConfigError, match=r"cut out at a zoom of 1\.5, and .* reads 1\.0"
    ):
        check_frames(BOTH, replace(stage.dataset, zoom=1.5), frozen)
    with pytest.raises(
        ConfigError,
        match=r"the 32 pixels that .* reads cannot be had by halving the 48",
    ):
        check_frames(BOTH, replace(stage.dataset, size=48), frozen)
    with pytest.raises(ConfigError, match=r"name landmark 9, and .* has 4"):
        check_frames(replace(BOTH, jaw=(9,)), stage.dataset, frozen)


@pytest.fixture(scope="module")
def whole(world: World) -> str:
    """What a run says that nothing interrupted."""
    status, out, err = world.finish(
        arguments(world, "whole", "--steps", "60", "--plot-every", "60"), flags=QUICK
    )
    assert status == 0, err
    return out


def test_the_loss_falls(whole: str):
    said = losses(whole)
    assert np.mean(said[-10:]) < 0.7 * np.mean(said[:10])


def test_a_run_becomes_a_checkpoint_that_differs_in_what_was_trained(
    world: World, whole: str
):
    export(Options(world.root / "whole", world.root / "trained"))
    before, after = (
        open_checkpoint(world.root / "renderer"),
        open_checkpoint(world.root / "trained"),
    )
    assert list(after.parts) == [*before.parts, STITCHING, LIPS, EYES]
    sizes = [after.sizes(part) for part in (STITCHING, LIPS, EYES)]
    assert sizes == [
        StitchingConfig.stitching(),
        StitchingConfig.lips(),
        StitchingConfig.eyes(),
    ]
    ours, expected = after.driver(), before.driver()
    assert ours.config == expected.config
    np.testing.assert_equal(vars(ours.statistics), vars(expected.statistics))
    for part in before.parts:
        np.testing.assert_equal(after.leaves(part), before.leaves(part), err_msg=part)
    for part in (STITCHING, LIPS, EYES):
        last = f"layers.{len(after.sizes(part).hidden)}.kernel"
        assert (
            np.abs(after.leaves(part)[last]).max() > 1e-4
        )  # it began at 0, so all had a gradient


@pytest.mark.full
def test_an_interrupted_run_ends_as_one_that_was_not(world: World, whole: str):
    for steps in ("30", "60"):
        status, out, err = world.finish(
            arguments(world, "parts", "--steps", steps), flags=QUICK
        )
        assert status == 0, err
    assert "from step 30 to 60" in out
    assert losses(out)[-5:] == losses(whole)[-5:]


@pytest.mark.full
def test_eight_devices_train_as_one(world: World):
    """By a renderer that was trained: the gradients of untrained ones change by a tenth
    with a keypoint's last bit.

    Retargeted pictures begin as their reconstructions, where the gradient of their
    distance has the sign of rounding; and Adam, without an epsilon that counts, makes
    large the rounding of a gradient near 0.
    """
    make_smooth_frames(world.root / "smooth")
    options = [
        "--dataset-path",
        "smooth",
        "--checkpoint",
        str(demo.CHECKPOINT),
        "--losses.surroundings",
        "0",
    ]
    said = {}
    for run, devices in (("one", 1), ("eight", 8)):
        flags = f"{QUICK} --xla_force_host_platform_device_count={devices}"
        _, out, err = world.finish(
            arguments(world, run, "--steps", "3", "--epsilon", "1e-2", *options),
            flags=flags,
        )
        assert f"on {devices} device(s)" in out, err
        said[run] = losses(out)
    np.testing.assert_allclose(said["eight"], said["one"], rtol=1e-4)
    one, eight = (weights_of(world.root / run, "raw")[0] for run in said)
    for part in (STITCHING, LIPS, EYES):
        last = max(
            name for name in one if name.startswith(part) and name.endswith("kernel")
        )
        np.testing.assert_allclose(
            eight[last], one[last], atol=2e-3 * np.abs(one[last]).max(), err_msg=part
        )
        assert np.abs(one[last]).max() > 0  # it began at 0


def make_smooth_frames(path: Path) -> None:
    """Pictures as large and as tight as the demo's renderer reads them, with four
    landmarks that move."""
    crop = open_checkpoint(demo.CHECKPOINT).crop
    size, rng = crop.image_size, np.random.default_rng(0)
    records = {}
    for clip in (
        f"{split}/{number}.mp4"
        for split in ("train", "validation")
        for number in range(4)
    ):
        pictures = [
            cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (size, size))
            for _ in range(3)
        ]
        landmarks = rng.uniform(-0.5, 0.5, (3, 4, 2)).astype(np.float32)
        images = [encode_image(picture) for picture in pictures]
        records[clip] = FrameRecord(
            clip, clip, images, landmarks, np.zeros((3, 3), np.float32)
        )
    pieces = [Piece(clip, cast(Split, clip.split("/")[0]), 0, 3) for clip in records]
    path.mkdir(parents=True)
    write_frames(
        path,
        pieces,
        records.__getitem__,
        FrameRecipe(size=size, zoom=crop.zoom),
    )


def losses(out: str) -> list[float]:
    return [
        float(line.split("loss ")[1].split()[0])
        for line in out.splitlines()
        if " loss " in line
    ]
