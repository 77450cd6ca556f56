"""The renderer, opened without any driver: sources, keypoints and frames."""

import os
import subprocess
import sys
from dataclasses import asdict

import cv2
import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    open_checkpoint,
    save_untrained,
)
from jaxportrait.devices import DType
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import KEYPOINTS, MOTION_SPACES, POSE, neutral_frames
from jaxportrait.pipeline.encode import extract_motion
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.retarget import CHUNK
from jaxportrait.renderer import READ_BATCH, Renderer
from jaxportrait.types import Source

FACE = MOTION_SPACES["face"]
LIP = MOTION_SPACES["lip"]


@pytest.fixture(scope="module")
def renderer(renderer_checkpoint) -> Renderer:
    return Renderer.from_checkpoint(renderer_checkpoint, batch_size=4)


@pytest.fixture(scope="module")
def picture(renderer, portrait) -> np.ndarray:
    return shrink(portrait, renderer.image_size)


@pytest.fixture(scope="module")
def source(renderer, picture) -> Source:
    return renderer.source(picture)


def shrink(picture: np.ndarray, size: int) -> np.ndarray:
    reduced = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return reduced.astype(np.uint8)


def nod(frames: int) -> MotionClip:
    """A head that turns down, as a clip."""
    values = neutral_frames(frames)
    values[:, POSE.start] = np.linspace(0, 20, frames)
    return MotionClip.from_values(values, FACE, 30)


def draw_lip_motion(frames: int) -> MotionClip:
    values = np.random.default_rng(0).normal(0, 0.05, (frames, LIP.width))
    return MotionClip.from_values(values, LIP, 30)


def test_four_networks_render(renderer, source):
    keypoints = renderer.keypoints(source, nod(6))
    batches = list(renderer.frames(source, keypoints))
    # The last batch is padded on the devices, and cut on the host.
    assert [len(batch) for batch in batches] == [4, 2]
    frames = np.concatenate(batches)
    side = 2 * renderer.image_size
    assert frames.shape == (6, side, side, 3)
    assert frames.dtype == np.uint8
    assert np.abs(frames[0].astype(int) - frames[5]).mean() > 0.1


def test_an_open_checkpoint_is_a_renderer_too(renderer_checkpoint, source, renderer):
    opened = Renderer.from_checkpoint(
        open_checkpoint(renderer_checkpoint), batch_size=4
    )
    keypoints = np.asarray(source.keypoints)
    first = next(renderer.frames(source, keypoints))
    assert_array_equal(next(opened.frames(source, keypoints)), first)


def test_the_batch_does_not_change_the_frames(renderer_checkpoint, renderer, source):
    keypoints = renderer.keypoints(source, nod(9))
    other = Renderer.from_checkpoint(renderer_checkpoint, batch_size=7)
    frames = np.concatenate(list(renderer.frames(source, keypoints)))
    others = np.concatenate(list(other.frames(source, keypoints)))
    assert np.abs(frames.astype(int) - others).max() <= 1


def test_motion_is_driven_in_chunks_of_one_size(renderer, source):
    clip = nod(CHUNK + 3)
    whole = renderer.keypoints(source, clip, rest="first")
    assert len(whole) == CHUNK + 3
    # The frames of the last chunk don't depend on its padding.
    last = renderer.keypoints(source, clip[-3:], rest=clip[:1])
    assert_allclose(whole[-3:], last, atol=1e-6)


def test_the_rest_leaves_the_source_as_it_is(renderer, source):
    clip = nod(5)
    still = np.asarray(source.keypoints)
    # A steady nod rests in the first frame, or half-way at its median.
    first = renderer.keypoints(source, clip, rest="first")
    assert_allclose(first[:1], still, atol=1e-5)
    mixed = renderer.keypoints(source, clip)
    assert_allclose(mixed[2:3], still, atol=1e-5)
    assert np.abs(mixed[:1] - still).max() > 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_keypoints_that_are_not_finite_never_leave(renderer, source, value):
    values = neutral_frames(CHUNK + 9)
    values[CHUNK + 4, 0] = value
    clip = MotionClip.from_values(values, FACE, 25)
    message = r"keypoints of frame 260 \(10\.40 s\) are not finite"
    with pytest.raises(ValueError, match=message):
        renderer.keypoints(source, clip, rest="first")


def test_motion_of_the_source_itself_is_absolute(renderer, source, picture):
    clip = renderer.read([picture, picture], fps=25)
    assert clip.fps == 25
    keypoints = renderer.keypoints(source, clip, rest="source")
    expected = np.repeat(np.asarray(source.keypoints), 2, axis=0)
    assert_allclose(keypoints, expected, atol=1e-5)


def test_pictures_are_read_in_batches(renderer, portrait):
    count = READ_BATCH + 2
    turned = [np.roll(portrait, 3 * index, axis=1) for index in range(count)]
    pictures = [shrink(picture, renderer.image_size) for picture in turned]
    clip = renderer.read(iter(pictures), fps=30)
    # All pictures at once, without padding.
    whole = extract_motion(renderer.networks["motion"], np.stack(pictures))
    assert len(clip) == count
    assert_allclose(clip.expression, whole.expression, atol=1e-5)
    assert_allclose(clip.to_frames()[:, POSE], whole.pose, atol=1e-3)
    assert_allclose(clip.translation, whole.translation, atol=1e-5)
    assert_allclose(clip.scale, whole.scale, atol=1e-5)


def test_tight_crops_do_not_move_at_their_border(renderer, picture, source):
    tight = renderer.source(picture, zoom=1.35)
    mobility = np.asarray(tight.mobility)[0]
    # Mobility is 0 in the outermost rows and columns, and 1 inside.
    border = [mobility[0], mobility[-1], mobility[:, 0], mobility[:, -1]]
    assert_array_equal(border, 0)
    assert mobility.max() == 1
    assert_array_equal(source.mobility, 1)


@pytest.mark.parametrize(
    "retargeting", [Retargeting("original"), Retargeting("original", False)]
)
def test_lips_may_replace_the_expression(renderer, source, retargeting):
    clip = draw_lip_motion(5)
    usual = renderer.keypoints(source, clip)
    other = renderer.keypoints(source, clip, retargeting=retargeting)
    assert np.abs(usual - other).max() > 1e-4


def test_stitching_corrects_the_keypoints(tiny_checkpoint, portrait):
    renderer = Renderer.from_checkpoint(tiny_checkpoint)
    source = renderer.source(shrink(portrait, renderer.image_size))
    clip = nod(5)
    plain = renderer.keypoints(source, clip, retargeting=Retargeting(stitching=False))
    stitched = renderer.keypoints(source, clip, retargeting=Retargeting(stitching=True))
    assert np.abs(plain - stitched).max() > 1e-4
    # By default, since the checkpoint has the network.
    assert_array_equal(renderer.keypoints(source, clip), stitched)


def test_driving_that_does_not_fit_is_named(renderer, source):
    with pytest.raises(ValueError, match='composition "original" moves only lips'):
        renderer.keypoints(source, nod(2), retargeting=Retargeting("original"))
    with pytest.raises(
        ValueError, match="stitching was asked for, and the checkpoint holds no"
    ):
        renderer.keypoints(source, nod(2), retargeting=Retargeting(stitching=True))
    with pytest.raises(ValueError, match="rest is 'last': choose one of mixed"):
        renderer.keypoints(source, nod(2), rest="last")  # pyright: ignore


def test_options_that_do_not_fit_are_named(renderer_checkpoint, tmp_path):
    opened = open_checkpoint(renderer_checkpoint)
    with pytest.raises(ValueError, match="dtype is 'fp16': choose one of auto, float"):
        Renderer(opened, dtype="fp16")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch_size is 0: it must be from 1 to 4096"):
        Renderer(opened, batch_size=0)
    with pytest.raises(ValueError, match=r"devices is 99: choose from 1 to \d+"):
        Renderer(opened, devices=99)
    # A checkpoint of F only.
    parts = {"appearance": opened.parts["appearance"]}
    save_untrained(tmp_path / "part", Contents(parts=parts))
    with pytest.raises(CheckpointError, match="holds no motion, no warping, no gen"):
        Renderer.from_checkpoint(tmp_path / "part")


ONCE_A_PICTURE = (
    "appearance",
    "motion",
    "stitching",
    "eye_retargeting",
    "lip_retargeting",
)


@pytest.mark.parametrize(
    ("dtype", "frames", "motion", "full"),
    [
        ("float16", "float16", "bfloat16", False),
        ("bfloat16", "bfloat16", "bfloat16", False),
        ("auto", "float32", "float32", True),
    ],
)
def test_what_a_picture_needs_once_stays_in_float32(
    tiny_checkpoint, dtype, frames, motion, full
):
    renderer = Renderer.from_checkpoint(tiny_checkpoint, dtype=dtype)
    assert asdict(renderer.precision) == {"frames": frames, "motion": motion}
    assert renderer.precision.full == full
    dtypes = {
        part: {leaf.dtype.name for leaf in jax.tree.leaves(network)}
        for part, network in renderer.networks.items()
    }
    assert dtypes == {
        **{part: {"float32"} for part in ONCE_A_PICTURE},
        **{part: {frames} for part in ("warping", "generator")},
    }


def test_float32_is_computed_in_full(renderer_checkpoint):
    def precision(dtype: DType) -> str | None:
        renderer = Renderer.from_checkpoint(renderer_checkpoint, dtype=dtype)
        with jax.default_matmul_precision("default"), renderer.precision.products():
            return jax.config.jax_default_matmul_precision

    assert precision("float32") == "highest"
    assert precision("float16") == "default"


EIGHT_DEVICES = """
import sys
import jax
import numpy as np
from jaxportrait.pipeline.render import render
from jaxportrait.renderer import Renderer
from tests.test_renderer import draw_lip_motion, shift_keypoints, shrink
from tests.inputs import draw_portrait

frames = []
renderers = []
for devices in (1, None):
    renderer = Renderer.from_checkpoint(sys.argv[1], batch_size=2, devices=devices)
    source = renderer.source(shrink(draw_portrait(256), renderer.image_size))
    driving = shift_keypoints(source, 19)
    frames.append(np.concatenate(list(renderer.frames(source, driving))).astype(int))
    renderers.append(renderer)
one, eight = renderers
assert len(frames[0]) == 19
assert eight.mesh.size == 8, eight.mesh
difference = np.abs(frames[0] - frames[1]).max()
assert difference <= 1, difference

shares = jax.NamedSharding(eight.mesh, jax.P("data"))
driving = jax.device_put(driving[:16], shares)
networks = eight.networks["warping"], eight.networks["generator"]
program = render.lower(*networks, source, driving).compile()
pictures = program(*networks, source, driving)
assert {shard.data.shape[0] for shard in pictures.addressable_shards} == {2}
words = ("all-gather", "all-reduce", "all-to-all", "permute")
assert not [word for word in words if word in program.as_text()]

# The source of one renderer serves another, on other devices.
assert np.isfinite(one.keypoints(source, draw_lip_motion(5))).all()
tight = eight.source(shrink(draw_portrait(256), eight.image_size), zoom=1.35)
assert len(np.concatenate(list(eight.frames(tight, driving)))) == 16
"""


def shift_keypoints(source: Source, frames: int) -> np.ndarray:
    """The source's keypoints in random places nearby."""
    random = np.random.default_rng(0)
    shift = random.normal(scale=0.1, size=(frames, KEYPOINTS, 3)).astype(np.float32)
    return np.asarray(source.keypoints) + shift


def test_eight_devices_share_the_frames_and_say_nothing_to_each_other(
    renderer_checkpoint,
):
    # Eight devices that share the CPU, and quick compilation.
    flags = (
        "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    )
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-c", EIGHT_DEVICES, str(renderer_checkpoint)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
