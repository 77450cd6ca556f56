"""The library's face: frames out of a picture and a voice."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from math import ceil
from pathlib import Path

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
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, open_detector
from jaxportrait.media.paste import color_correction
from jaxportrait.media.video import VideoReader
from tests.inputs import write_wave

QUICK = Sampling(steps=2)


def open_animator(checkpoint: Path, **options) -> Animator:
    """Open an animator of whole pictures."""
    return Animator(
        open_checkpoint(checkpoint), detector=open_detector("none"), **options
    )


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    return open_animator(tiny_checkpoint, batch_size=4)


@pytest.fixture(scope="module")
def audio(voice) -> Audio:
    return Audio.from_samples(voice, 16_000)


@contextmanager
def expect_no_compilation() -> Iterator[None]:
    # JAX reports every compilation as a timed event.
    events = []

    def count(event: str, *_, **__) -> None:
        events.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert not [event for event in events if "compile" in event]


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


def test_a_second_clip_compiles_nothing(animator, portrait, voice):
    prepared = animator.prepare(portrait)
    sound = Audio.from_samples(voice, 16_000)
    list(animator.animate(prepared, sound, sampling=QUICK))
    # Another length and another seed, of the same plan of windows.
    shorter = Audio.from_samples(voice[:25_000], 16_000)
    with expect_no_compilation():
        list(animator.animate(prepared, shorter, sampling=Sampling(seed=5, steps=2)))


@pytest.mark.parametrize(
    ("seconds", "fps", "sampling", "retargeting"),
    [
        (5.0, 2.0, Sampling(steps=3), Retargeting(stitching=True)),
        (
            1.0,
            60.0,
            Sampling(steps=3, cfg_scale=1.0, windows="independent"),
            Retargeting("original"),
        ),
    ],
)
def test_after_warming_up_a_first_clip_compiles_nothing(
    tiny_checkpoint, portrait, voice, seconds, fps, sampling, retargeting
):
    # Programs of earlier tests must not hide a compilation.
    jax.clear_caches()
    options = {"sampling": sampling, "retargeting": retargeting, "output_fps": fps}
    fresh = open_animator(tiny_checkpoint, batch_size=3)
    fresh.warm_up(seconds, **options)
    with expect_no_compilation():
        # The longest clip, and one of half its length.
        for part in (1, 2):
            samples = np.resize(voice, round(16_000 * seconds / part))
            clip = Audio.from_samples(samples, 16_000)
            list(fresh.animate(portrait, clip, **options))


def test_a_portrait_may_come_from_another_animator(
    tiny_checkpoint, animator, portrait, audio
):
    other = open_animator(tiny_checkpoint, batch_size=4)
    prepared = animator.prepare(portrait)
    ours = animator.animate(prepared, audio, sampling=QUICK)
    theirs = other.animate(prepared, audio, sampling=QUICK)
    assert_array_equal(next(iter(ours)), next(iter(theirs)))


def find_in_the_middle(picture: np.ndarray) -> list[Face]:
    """A face that covers a third of the picture."""
    height, width = picture.shape[:2]
    hull = FaceRectangle((width / 2, height / 2), width / 3, 0.0)
    return [Face((0, 0, width, height), 1.0, hull)]


def find_in_the_corner(picture: np.ndarray) -> list[Face]:
    """A face at the upper left of the picture, of which the detector knows much."""
    hull = FaceRectangle((0.0, 0.0), 20.0)
    landmarks = np.random.default_rng(0).uniform(0, 20, (468, 2))
    gaze = np.zeros((2, 2))
    face = Face((0, 0, 20, 20), 0.6, hull, landmarks=landmarks)
    return [replace(face, gaze=gaze, doubt="it may be a mask")]


def test_a_portrait_keeps_what_its_detector_knows_and_repeats_the_pictures_edge(
    tiny_checkpoint,
):
    detector = Detector("corner", find_in_the_corner)
    animator = Animator(open_checkpoint(tiny_checkpoint), detector=detector)
    grey = np.full((64, 64, 3), 200, np.uint8)
    prepared = animator.prepare(grey)
    (face,) = find_in_the_corner(grey)
    assert prepared.doubt == "it may be a mask"
    assert prepared.openness == face.openness
    assert prepared.gaze is not None
    # Three quarters of the crop lie outside of the picture.
    assert_array_equal(prepared.crop, 200)


def test_the_detector_of_the_networks_crops_is_preferred(tiny_checkpoint):
    opened = open_checkpoint(tiny_checkpoint)
    crop = replace(opened.crop, detector="haar")
    recorded = replace(opened, contents=replace(opened.contents, crop=crop))
    detector = Animator(recorded).detector
    assert (detector.name, detector.recorded) == ("haar", True)


def open_tight(checkpoint: Path) -> Animator:
    """An animator of networks that were trained on tight crops."""
    opened = open_checkpoint(checkpoint)
    crop = replace(opened.crop, zoom=1.35)
    opened = replace(opened, contents=replace(opened.contents, crop=crop))
    detector = Detector("middle", find_in_the_middle)
    return Animator(opened, batch_size=3, detector=detector)


def test_a_tight_crop_keeps_its_colors_and_compiles_nothing_after_warming_up(
    tiny_checkpoint, portrait, audio
):
    jax.clear_caches()
    tight = open_tight(tiny_checkpoint)
    tight.warm_up(audio.duration, sampling=QUICK)
    with expect_no_compilation():
        prepared = tight.prepare(portrait)
        list(tight.animate(prepared, audio, sampling=QUICK))
    mobility = np.asarray(prepared.source.mobility)[0]
    border = [mobility[0], mobility[-1], mobility[:, 0], mobility[:, -1]]
    assert_array_equal(border, 0)
    # The unmoved frame is as far from the crop as before, without its correction.
    keypoints = np.asarray(prepared.source.keypoints)
    rest = next(tight.renderer.frames(prepared.source, keypoints))[0]
    corrected = np.clip(rest + color_correction(prepared.crop, rest), 0, 255)
    expected = blurred(prepared.crop)
    error = np.abs(blurred(rest) - expected).mean()
    assert np.abs(blurred(corrected) - expected).mean() < 0.5 * error


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture.astype(np.float32), (4, 4), interpolation=cv2.INTER_AREA)


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


def test_a_picture_that_is_none_is_named(animator, portrait):
    # Not 8 bits, no colours, six channels.
    for wrong in (
        portrait.astype(np.float32),
        portrait[..., 0],
        np.concatenate([portrait, portrait], axis=2),
    ):
        with pytest.raises(ValueError, match="give RGB as uint8"):
            animator.prepare(wrong)


def test_odd_sides_are_trimmed_as_those_of_files_are(animator, portrait, tmp_path):
    odd = portrait[1:, :-1]
    cv2.imwrite(str(tmp_path / "odd.png"), odd[..., ::-1])
    of_file = animator.prepare(tmp_path / "odd.png")
    of_array = animator.prepare(odd)
    assert of_array.size == of_file.size == (254, 254)
    assert_array_equal(of_array.crop, of_file.crop)


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
