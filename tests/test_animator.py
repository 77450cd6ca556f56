"""The library's face: frames out of a picture and a voice."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest

from jaxportrait import Animator
from jaxportrait.animation import Driving, Sampling
from jaxportrait.animator import DType
from jaxportrait.checkpoint import (
    CheckpointError,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.media.audio import Audio
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, open_detector
from jaxportrait.media.paste import color_correction
from jaxportrait.media.video import VideoReader
from jaxportrait.models.config import PortraitConfig
from tests.inputs import write_wave

QUICK = Sampling(steps=2)


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    return Animator(
        open_checkpoint(tiny_checkpoint), batch_size=4, detector=open_detector("none")
    )


@pytest.fixture(scope="module")
def audio(voice) -> Audio:
    return Audio.from_samples(voice, 16_000)


def test_a_clip_lasts_as_long_as_its_sound(animator, portrait, audio):
    for fps in (25, 30, 12.5):
        animation = animator.animate(portrait, audio, sampling=QUICK, output_fps=fps)
        assert len(animation) == 2 * fps
    frames = list(animator.animate(portrait, audio, sampling=QUICK))
    assert len(frames) == 60
    assert frames[0].shape == portrait.shape
    assert frames[0].dtype == np.uint8


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.017])
def test_sound_shorter_than_a_window_works(animator, portrait, voice, seconds):
    audio = Audio.from_samples(voice[: round(16_000 * seconds)], 16_000)
    assert len(list(animator.animate(portrait, audio, sampling=QUICK))) == max(
        1, round(30 * seconds)
    )


def test_the_seed_decides_every_pixel(animator, portrait, audio):
    def frames(seed: int) -> np.ndarray:
        return np.stack(
            list(
                animator.animate(portrait, audio, sampling=Sampling(seed=seed, steps=2))
            )
        )

    first = frames(1)
    np.testing.assert_array_equal(first, frames(1))
    assert (first != frames(2)).any()


def test_the_batch_does_not_change_the_frames(
    tiny_checkpoint, animator, portrait, audio
):
    one = Animator(
        open_checkpoint(tiny_checkpoint), batch_size=7, detector=open_detector("none")
    )
    pairs = zip(
        animator.animate(portrait, audio, sampling=QUICK),
        one.animate(portrait, audio, sampling=QUICK),
        strict=True,
    )
    assert max(np.abs(a.astype(int) - b).max() for a, b in pairs) <= 1


@pytest.mark.parametrize(
    ("dtype", "frames", "motion"),
    [("float16", "float16", "bfloat16"), ("auto", "float32", "float32")],
)
def test_what_a_picture_needs_once_stays_in_float32(
    tiny_checkpoint, dtype, frames, motion
):
    animator = Animator(
        open_checkpoint(tiny_checkpoint), dtype=dtype, detector=open_detector("none")
    )
    networks = {
        **animator.networks,
        "flow_transformer": animator.driver.network,
        "whisper": animator.driver.features.network,
    }
    found = {
        part: {leaf.dtype.name for leaf in jax.tree.leaves(network)}
        for part, network in networks.items()
    }
    assert found == {
        **{part: {"float32"} for part in ("appearance", "motion", "stitching")},
        **{part: {frames} for part in ("warping", "generator")},
        **{part: {motion} for part in ("flow_transformer", "whisper")},
    }


def test_pixels_outside_the_crop_are_the_source(animator, portrait, audio):
    wide = np.concatenate(
        [
            np.full((256, 100, 3), 7, np.uint8),
            portrait,
            np.full((256, 100, 3), 9, np.uint8),
        ],
        axis=1,
    )
    frame = next(iter(animator.animate(wide, audio, sampling=QUICK)))
    np.testing.assert_array_equal(frame[:, :99], wide[:, :99])
    np.testing.assert_array_equal(frame[:, -99:], wide[:, -99:])
    assert (frame[:, 110:-110] != wide[:, 110:-110]).mean() > 0.5


def test_a_second_clip_compiles_nothing(animator, portrait, voice):
    prepared = animator.prepare(portrait)
    list(animator.animate(prepared, Audio.from_samples(voice, 16_000), sampling=QUICK))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    try:
        list(
            animator.animate(
                prepared,
                Audio.from_samples(voice[:25_000], 16_000),
                sampling=Sampling(seed=5, steps=2),
            )
        )
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [event for event in compiled if "compile" in event]


@pytest.mark.parametrize(
    ("seconds", "fps", "sampling", "driving"),
    [
        (5.0, 2.0, Sampling(steps=3), Driving(stitching=True)),
        (
            1.0,
            60.0,
            Sampling(steps=3, cfg_scale=1.0, windows="independent"),
            Driving("original"),
        ),
    ],
)
def test_after_warming_up_a_first_clip_compiles_nothing(
    tiny_checkpoint, portrait, voice, seconds, fps, sampling, driving
):
    jax.clear_caches()
    options = {"sampling": sampling, "driving": driving, "output_fps": fps}
    fresh = Animator(
        open_checkpoint(tiny_checkpoint), batch_size=3, detector=open_detector("none")
    )
    fresh.warm_up(seconds, **options)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    try:
        for part in (1, 2):
            clip = Audio.from_samples(
                np.resize(voice, round(16_000 * seconds / part)), 16_000
            )
            list(fresh.animate(portrait, clip, **options))
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [event for event in compiled if "compile" in event]


def test_a_portrait_may_come_from_another_animator(
    tiny_checkpoint, animator, portrait, audio
):
    other = Animator(
        open_checkpoint(tiny_checkpoint), batch_size=4, detector=open_detector("none")
    )
    ours, theirs = (
        each.animate(animator.prepare(portrait), audio, sampling=QUICK)
        for each in (animator, other)
    )
    np.testing.assert_array_equal(next(iter(ours)), next(iter(theirs)))


def find_in_the_middle(picture: np.ndarray) -> list[Face]:
    """A face that covers a third of the picture."""
    height, width = picture.shape[:2]
    return [
        Face(
            (0, 0, width, height),
            1.0,
            FaceRectangle((width / 2, height / 2), width / 3, 0.0),
        )
    ]


def open_tight(checkpoint: Path, zoom: float = 1.35, batch_size: int = 3) -> Animator:
    """An animator of networks that were trained on tight crops."""
    opened = open_checkpoint(checkpoint)
    opened = replace(opened, config=replace(opened.config, crop_zoom=zoom))
    return Animator(
        opened, batch_size=batch_size, detector=Detector("middle", find_in_the_middle)
    )


def test_the_border_of_a_tight_crop_stays_and_keeps_its_colors(
    tiny_checkpoint, portrait, audio
):
    """At the crop's border nothing moves, whatever the motion; and nothing is compiled after warming up."""
    jax.clear_caches()
    tight = open_tight(tiny_checkpoint)
    tight.warm_up(audio.duration, sampling=QUICK)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    try:
        prepared = tight.prepare(portrait)
        list(tight.animate(prepared, audio, sampling=QUICK))
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [event for event in compiled if "compile" in event]
    mobility = np.asarray(prepared.source.mobility)[0]
    np.testing.assert_array_equal(
        [mobility[0], mobility[-1], mobility[:, 0], mobility[:, -1]], 0
    )
    assert mobility.max() == 1
    rest = next(tight.render(prepared.source, np.asarray(prepared.source.keypoints)))[0]
    with_colors = np.clip(rest + color_correction(prepared.crop, rest), 0, 255)
    lacking = [
        np.abs(blurred(made) - blurred(prepared.crop)).mean()
        for made in (rest, with_colors)
    ]
    assert lacking[1] < 0.5 * lacking[0]


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture.astype(np.float32), (4, 4), interpolation=cv2.INTER_AREA)


EIGHT_DEVICES = """
import sys
from pathlib import Path
import jax
import numpy as np
from jaxportrait.animator import Animator
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import KEYPOINTS, MOTION_SPACES
from jaxportrait.pipeline.render import render
from tests.inputs import draw_portrait
keypoints = np.random.default_rng(0).normal(scale=0.1, size=(19, KEYPOINTS, 3)).astype(np.float32)
frames, animator = [], None
for devices in (1, None):
    one, animator = animator, Animator.from_checkpoint(sys.argv[1], batch_size=2, devices=devices, detector="none")
    portrait = animator.prepare(draw_portrait(256))
    driving = np.asarray(portrait.source.keypoints) + keypoints
    frames.append(np.concatenate(list(animator.render(portrait.source, driving)))[:19].astype(int))
assert animator.mesh.size == 8, animator.mesh
difference = np.abs(frames[0] - frames[1]).max()
assert difference <= 1, difference
driving = jax.device_put(driving[:16], jax.NamedSharding(animator.mesh, jax.P("data")))
networks = animator.networks["warping"], animator.networks["generator"]
program = render.lower(*networks, portrait.source, driving).compile()
made = program(*networks, portrait.source, driving)
assert {shard.data.shape[0] for shard in made.addressable_shards} == {2}
clip = MotionClip.from_values(np.ones((5, 18), np.float32), MOTION_SPACES["lip"], 30)
assert np.isfinite(one.drive(portrait.source, clip)).all()  # a portrait of the other animator
from tests.test_animator import open_tight
tight = open_tight(Path(sys.argv[1]), batch_size=2)
assert np.isfinite(list(tight.render(tight.prepare(draw_portrait(256)).source, driving))).all()
assert not [word for word in ("all-gather", "all-reduce", "all-to-all", "permute") if word in program.as_text()]
"""


def test_eight_devices_share_the_frames_and_say_nothing_to_each_other(tiny_checkpoint):
    flags = (
        "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    )
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-c", EIGHT_DEVICES, str(tiny_checkpoint)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_options_that_do_not_fit_are_named(
    animator, portrait, audio, tiny_checkpoint, tmp_path
):
    with pytest.raises(ValueError, match="output fps is 0"):
        animator.animate(portrait, audio, output_fps=0)
    with pytest.raises(ValueError, match="steps is 0"):
        Sampling(steps=0)
    with pytest.raises(ValueError, match="seed is -1"):
        Sampling(seed=-1)
    with pytest.raises(ValueError, match="cfg scale is nan"):
        Sampling(cfg_scale=float("nan"))
    with pytest.raises(
        ValueError, match="windows is 'Fused': choose one of fused, independent"
    ):
        Sampling(windows="Fused")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="composition is 'orginal'"):
        Driving("orginal")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match='composition "source" adds motion since rest'):
        Driving(relative_motion=False)
    with pytest.raises(
        ValueError, match="dtype is 'fp16': choose one of auto, float32"
    ):
        Animator(open_checkpoint(tiny_checkpoint), dtype="fp16")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch size is 0"):
        Animator(open_checkpoint(tiny_checkpoint), batch_size=0)
    with pytest.raises(ValueError, match=r"devices is 99: choose from 1 to \d+"):
        Animator(open_checkpoint(tiny_checkpoint), devices=99)
    whisper = open_checkpoint(tiny_checkpoint).network("whisper")
    save_checkpoint(
        tmp_path / "part",
        PortraitConfig(whisper=whisper.config),
        {"whisper": leaves_of(whisper)},
    )
    with pytest.raises(CheckpointError, match="holds no appearance, no motion"):
        Animator.from_checkpoint(tmp_path / "part")


def test_a_picture_that_is_none_is_named(animator, portrait):
    for wrong in (
        portrait.astype(np.float32),
        portrait[..., 0],
        np.concatenate([portrait, portrait], axis=2),
    ):
        with pytest.raises(ValueError, match="give RGB as uint8"):
            animator.prepare(wrong)
    with pytest.raises(ValueError, match="its sides must be even"):
        animator.prepare(portrait[1:])


def test_a_portrait_keeps_its_picture(animator, portrait, audio):
    mine = portrait.copy()
    kept = animator.prepare(mine)
    mine[:] = 0
    frames = [
        next(iter(animator.animate(each, audio, sampling=QUICK)))
        for each in (kept, portrait)
    ]
    np.testing.assert_array_equal(*frames)


def test_float32_is_computed_in_full(tiny_checkpoint):
    def precision(dtype: DType) -> str | None:
        one = Animator(
            open_checkpoint(tiny_checkpoint),
            dtype=dtype,
            detector=open_detector("none"),
        )
        with jax.default_matmul_precision("default"), one._products():
            return jax.config.jax_default_matmul_precision

    assert precision("float32") == "highest"
    assert precision("float16") == "default"


@pytest.mark.parametrize(
    "driving",
    [
        Driving("original"),
        Driving("original", relative_motion=False),
        Driving(stitching=True),
    ],
)
def test_every_way_of_driving_changes_the_keypoints(animator, portrait, audio, driving):
    usual = animator.animate(portrait, audio, sampling=QUICK).keypoints
    other = animator.animate(portrait, audio, sampling=QUICK, driving=driving).keypoints
    assert np.abs(usual - other).max() > 1e-4


def test_save_writes_frames_and_sound(animator, portrait, audio, tmp_path):
    animator.animate(portrait, audio, sampling=QUICK, output_fps=25).save(
        tmp_path / "clip.mp4"
    )
    video = VideoReader(tmp_path / "clip.mp4")
    assert (video.size, video.fps) == ((256, 256), 25)
    assert len(list(video)) == 50
    packet = 1024 / 16_000  # AAC decodes to whole packets
    assert (
        2.0
        <= Audio.open(tmp_path / "clip.mp4", allow_video=True).duration
        < 2.0 + packet
    )


MEMORY_PROGRAM = """
import resource, sys
import numpy as np
from jaxportrait import Animator
from jaxportrait.animation import Sampling
from jaxportrait.media.audio import Audio
from tests.inputs import babble, draw_portrait
checkpoint, path, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
animator = Animator.from_checkpoint(checkpoint, batch_size=8, detector="none")
# Ten minutes at six frames a second: were frames or pictures kept, 700 MB of them would show.
animation = animator.animate(draw_portrait(256), Audio.open(path), sampling=Sampling(steps=2), output_fps=6)
assert len(animation) == 6 * seconds
animation.save(path + ".mp4")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.full
def test_ten_minutes_take_little_more_memory_than_ten_seconds(
    tiny_checkpoint, voice, tmp_path
):
    peak = {}
    for seconds in (10, 600):
        path = tmp_path / f"{seconds}.wav"
        write_wave(path, np.tile(voice, seconds // 2))
        command = [
            sys.executable,
            "-c",
            MEMORY_PROGRAM,
            str(tiny_checkpoint),
            str(path),
            str(seconds),
        ]
        peak[seconds] = int(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )
    print(f"peak memory: {peak[10]} MB for 10 s, {peak[600]} MB for 10 min")
    assert peak[600] - peak[10] <= 200
