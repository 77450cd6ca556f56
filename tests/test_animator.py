"""The library's face: frames out of a picture and a voice."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from math import ceil

import cv2
import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait import Animator
from jaxportrait.animation import Retargeting, Sampling
from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from tests.animators import QUICK, open_animator
from tests.inputs import write_wave


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    return open_animator(tiny_checkpoint, batch_size=4)


@pytest.fixture(scope="module")
def audio(voice) -> Audio:
    return Audio.from_samples(voice, 16_000)


def test_a_clip_lasts_as_long_as_its_sound(animator, portrait, audio):
    for fps in (25, 30, 12.5):
        animation = animator.animate(portrait, audio, sampling=QUICK, output_fps=fps)
        assert len(animation) == 2 * fps
        assert animation.fps == fps
    frames = list(animator.animate(portrait, audio, sampling=QUICK))
    assert len(frames) == 60
    assert frames[0].shape == portrait.shape
    assert frames[0].dtype == np.uint8


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.017])
def test_sound_shorter_than_a_window_works(animator, portrait, voice, seconds):
    audio = Audio.from_samples(voice[: round(16_000 * seconds)], 16_000)
    frames = list(animator.animate(portrait, audio, sampling=QUICK))
    assert len(frames) == ceil(30 * seconds)


def test_frames_cover_all_of_the_sound_at_low_rates(
    animator, portrait, voice, tmp_path
):
    # 6.4 frames
    audio = Audio.from_samples(voice[:20_480], 16_000)
    animation = animator.animate(portrait, audio, sampling=QUICK, output_fps=5)
    assert len(animation) == 7
    animation.save(tmp_path / "clip.mp4")
    sound = Audio.open(tmp_path / "clip.mp4", allow_video=True)
    assert sound.duration >= audio.duration


@pytest.mark.parametrize(("fps", "count"), [(29.97, 30_000), (59.94, 60_000)])
def test_decimals_of_television_rates_are_exact(
    animator, portrait, voice, tmp_path, fps, count
):
    audio = Audio.from_samples(voice[:3_200], 16_000)
    animation = animator.animate(portrait, audio, sampling=QUICK, output_fps=fps)
    assert animation.fps == count / 1001
    animation.save(tmp_path / "clip.mp4")
    assert VideoReader(tmp_path / "clip.mp4").fps == Fraction(count, 1001)


def test_the_seed_decides_every_pixel(animator, portrait, audio):
    def frames(seed: int) -> np.ndarray:
        sampling = Sampling(seed=seed, steps=2)
        return np.stack(list(animator.animate(portrait, audio, sampling=sampling)))

    first = frames(1)
    assert_array_equal(first, frames(1))
    assert (first != frames(2)).any()


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float16", "bfloat16"), ("auto", "float32")]
)
def test_the_driver_has_its_own_dtype_and_the_audio_encoder_float32(
    tiny_checkpoint, dtype, expected
):
    driver = open_animator(tiny_checkpoint, dtype=dtype).driver
    assert dtypes_of(driver.network) == {expected}
    assert dtypes_of(driver.features.network) == {"float32"}
    assert driver.full_precision == (dtype == "auto")


def dtypes_of(network) -> set[str]:
    return {leaf.dtype.name for leaf in jax.tree.leaves(network)}


def test_pixels_outside_the_crop_are_the_source(animator, portrait, audio):
    # A crop in the middle of a wide picture, of which the rest is plain.
    left = np.full((256, 100, 3), 7, np.uint8)
    right = np.full((256, 100, 3), 9, np.uint8)
    wide = np.concatenate([left, portrait, right], axis=1)
    frame = next(iter(animator.animate(wide, audio, sampling=QUICK)))
    assert_array_equal(frame[:, :99], wide[:, :99])
    assert_array_equal(frame[:, -99:], wide[:, -99:])
    assert (frame[:, 110:-110] != wide[:, 110:-110]).mean() > 0.5


def test_a_portrait_may_come_from_another_animator(
    tiny_checkpoint, animator, portrait, audio
):
    other = open_animator(tiny_checkpoint, batch_size=4)
    prepared = animator.prepare(portrait)
    ours = animator.animate(prepared, audio, sampling=QUICK)
    theirs = other.animate(prepared, audio, sampling=QUICK)
    assert_array_equal(next(iter(ours)), next(iter(theirs)))


def test_the_detector_of_the_networks_crops_is_preferred(tiny_checkpoint):
    opened = open_checkpoint(tiny_checkpoint)
    crop = replace(opened.crop, detector="haar")
    recorded = replace(opened, contents=replace(opened.contents, crop=crop))
    detector = Animator(recorded).detector
    assert (detector.name, detector.recorded) == ("haar", True)


def test_options_that_do_not_fit_are_named(
    animator, portrait, audio, tiny_checkpoint, tmp_path
):
    with pytest.raises(ValueError, match="output_fps is 0: it must be from 1 to 240"):
        animator.animate(portrait, audio, output_fps=0)
    with pytest.raises(ValueError, match="steps is 0"):
        Sampling(steps=0)
    with pytest.raises(ValueError, match="seed is -1"):
        Sampling(seed=-1)
    with pytest.raises(ValueError, match="cfg_scale is nan"):
        Sampling(cfg_scale=float("nan"))
    with pytest.raises(
        ValueError, match="windows is 'Fused': choose one of fused, independent"
    ):
        Sampling(windows="Fused")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="composition is 'orginal'"):
        Retargeting("orginal")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match='composition "original" moves only lips'):
        Retargeting("original", region="pose")
    opened = open_checkpoint(tiny_checkpoint)
    with pytest.raises(ValueError, match="dtype is 'fp16': choose one of auto, float"):
        Animator(opened, dtype="fp16")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch_size is 0: it must be from 1 to 4096"):
        Animator(opened, batch_size=0)
    with pytest.raises(ValueError, match=r"devices is 99: choose from 1 to \d+"):
        Animator(opened, devices=99)
    with pytest.raises(ValueError, match=r"driver is 'waltz': choose one of .*flow"):
        Animator(opened, driver="waltz")
    # A checkpoint that only encodes sound.
    whisper = opened.network("whisper")
    contents = Contents(parts={"whisper": whisper.config})
    save_checkpoint(tmp_path / "part", contents, {"whisper": leaves_of(whisper)})
    with pytest.raises(CheckpointError, match="holds no appearance, no motion"):
        Animator.from_checkpoint(tmp_path / "part")


def test_files_in_memory_make_the_same_clip(animator, portrait, voice, tmp_path):
    cv2.imwrite(str(tmp_path / "face.png"), portrait[..., ::-1])
    write_wave(tmp_path / "voice.wav", voice[:8_000])
    paths = (tmp_path / "face.png", tmp_path / "voice.wav")
    data = [path.read_bytes() for path in paths]
    expected = list(animator.animate(*paths, sampling=QUICK))
    assert_array_equal(list(animator.animate(*data, sampling=QUICK)), expected)
    files = [BytesIO(content) for content in data]
    assert_array_equal(list(animator.animate(*files, sampling=QUICK)), expected)


def test_an_animator_and_its_portrait_are_short_in_print(animator, portrait):
    assert repr(animator) == (
        "Animator(Renderer(64x64 crops, float32, 1 device, 4 frames at once), "
        "FlowDriver, detector none)"
    )
    assert repr(animator.prepare(portrait)) == (
        "Portrait(256x256 pixels, face of 64x64)"
    )


def test_a_portrait_keeps_its_picture(animator, portrait, audio):
    picture = portrait.copy()
    prepared = animator.prepare(picture)
    # The caller may reuse its array.
    picture[:] = 0
    first = next(iter(animator.animate(prepared, audio, sampling=QUICK)))
    expected = next(iter(animator.animate(portrait, audio, sampling=QUICK)))
    assert_array_equal(first, expected)


def test_a_voice_opens_no_eyes(animator, portrait, audio):
    with pytest.raises(ValueError, match="a voice does not say how far eyes"):
        animator.animate(portrait, audio, retargeting=Retargeting(eye_retargeting=True))


@pytest.mark.parametrize(
    "retargeting",
    [
        Retargeting("original"),
        Retargeting("original", relative_motion=False),
        Retargeting(stitching=False),
        Retargeting(relative_motion=False),
        Retargeting(region="lips", driving_multiplier=2.0),
    ],
)
def test_every_way_of_driving_changes_the_keypoints(
    animator, portrait, audio, retargeting
):
    usual = animator.animate(portrait, audio, sampling=QUICK)
    other = animator.animate(portrait, audio, sampling=QUICK, retargeting=retargeting)
    assert np.abs(usual.keypoints - other.keypoints).max() > 1e-4


def test_save_writes_frames_and_sound(animator, portrait, audio, tmp_path):
    path = tmp_path / "clip.mp4"
    animator.animate(portrait, audio, sampling=QUICK, output_fps=25).save(path)
    video = VideoReader(path)
    assert (video.size, video.fps) == ((256, 256), 25)
    assert len(list(video)) == 50
    packet = 1024 / 16_000  # AAC decodes to whole packets
    duration = Audio.open(path, allow_video=True).duration
    assert 2.0 <= duration < 2.0 + packet


MEMORY_PROGRAM = """
import resource
import sys
from jaxportrait import Animator
from jaxportrait.animation import Sampling
from tests.animators import QUICK, open_animator
from tests.inputs import draw_portrait

checkpoint, path, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
animator = Animator.from_checkpoint(checkpoint, batch_size=8, detector="none")
# Ten minutes at six frames a second: 700 MB would show if frames were held.
animation = animator.animate(
    draw_portrait(256), path, sampling=Sampling(steps=2), output_fps=6
)
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
        arguments = [str(tiny_checkpoint), str(path), str(seconds)]
        command = [sys.executable, "-c", MEMORY_PROGRAM, *arguments]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        peak[seconds] = int(result.stdout)
    print(f"peak memory: {peak[10]} MB for 10 s, {peak[600]} MB for 10 min")
    assert peak[600] - peak[10] <= 200
