"""Driving videos of all kinds: uneven clocks, odd sizes, ten bits, damage, length."""

import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxportrait.drivers.video import DrivingCrop, VideoDriver
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, open_detector
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.pipeline import ahead, read
from jaxportrait.types import Motion

WHOLE = DrivingCrop("none")
SHAPES = ((21, 3), (21, 3), (3,), (3,), (1,))
"""Shapes of a frame's keypoints, expression, pose, translation and scale."""


def write(
    path: Path,
    frames: list[np.ndarray],
    *,
    times: list[int] | None = None,
    pixels: str = "yuv420p",
    codec: str = "libx264",
) -> Path:
    """Write frames at so many hundredths of a second, by default ten a second."""
    height, width, _ = frames[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, width=width, height=height)
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 100)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = 10 * index if times is None else times[index]
            picture.time_base = Fraction(1, 100)
            # The reader has to convert it back.
            picture = picture.reformat(format=pixels)
            packets = stream.encode(picture)
            container.mux(packets)
        container.mux(stream.encode(None))
    return path


def grey(level: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def read_levels(pictures, fps: float) -> MotionClip:
    """Return motion whose first value is the mean of each picture."""
    means = np.array([picture.mean() for picture in pictures], np.float32)
    expression = np.zeros((len(means), 21, 3), np.float32)
    expression[:, 0, 0] = means
    return MotionClip(expression, None, None, None, fps)


@pytest.fixture
def driver() -> VideoDriver:
    return VideoDriver(read_levels, open_detector("none"), 32, 1.0, 10, WHOLE)


def levels_of(driver: VideoDriver, path: Path) -> np.ndarray:
    return driver.make(path).expression[:, 0, 0]


def test_a_variable_rate_becomes_an_even_one(driver, tmp_path):
    frames = [grey(level) for level in (40, 80, 120, 160)]
    # The second picture is shown late, and the last one later still.
    path = write(tmp_path / "a.mkv", frames, times=[0, 30, 40, 80])
    levels = levels_of(driver, path)
    expected = [40, 53.3, 66.7, 80, 120, 130, 140, 150, 160]
    assert_allclose(levels, expected, atol=2)


@pytest.mark.parametrize(
    ("pixels", "codec"),
    [("yuv420p10le", "libx265"), ("yuv444p", "libx264"), ("yuv422p10le", "libx264")],
)
def test_pictures_of_other_depths_and_colours_are_read(driver, tmp_path, pixels, codec):
    frames = [grey(level) for level in (40, 120, 200)]
    path = write(tmp_path / "a.mkv", frames, pixels=pixels, codec=codec)
    assert_allclose(levels_of(driver, path), [40, 120, 200], atol=2)


@pytest.mark.parametrize("size", [(65, 47), (48, 81), (33, 33)])
def test_odd_sizes_are_read(driver, tmp_path, size):
    frames = [grey(level, size) for level in (40, 120)]
    path = write(tmp_path / "a.mkv", frames, pixels="yuv444p")
    height, width = size
    assert VideoReader(path).size == (width, height)
    assert_allclose(levels_of(driver, path), [40, 120], atol=2)


def test_a_truncated_video_is_named_with_its_place(driver, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), np.uint8)
    path = write(tmp_path / "a.mp4", list(noise))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    # The file ends within a packet.
    half = packets[len(packets) // 2]
    end = (half.pos or 0) + half.size // 2
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match=r"a\.mp4 (is|cannot be read)"):
        driver.make(path)


def test_no_more_than_a_few_pictures_are_held():
    alive: list[weakref.ref] = []
    most = 0

    class Pictures:
        def __iter__(self):
            for index in range(200):
                picture = grey(index)
                alive.append(weakref.ref(picture))
                yield index / 10, picture

    def read(pictures, fps):
        nonlocal most
        means = []
        for picture in pictures:
            means.append(picture.mean())
            # Pictures that something still refers to.
            count = sum(reference() is not None for reference in alive)
            most = max(most, count)
        return MotionClip(
            np.zeros((len(means), 21, 3), np.float32), None, None, None, fps
        )

    driver = VideoDriver(read, open_detector("none"), 32, 1.0, 10, WHOLE)
    assert len(driver.read_face(driver.follow(Pictures()))) == 200
    assert most <= 3


def test_a_cut_to_another_person_is_told_as_an_absence(driver):
    def find(image: np.ndarray) -> list[Face]:
        # The other person stands elsewhere.
        x = 12.0 if image.mean() > 100 else 50.0
        return [Face((x - 5, 20, x + 5, 30), 1.0, FaceRectangle((x, 25.0), 10.0))]

    frames = [(i / 10, grey(150 if 10 <= i < 18 else 50)) for i in range(30)]
    cut = VideoDriver(read_levels, Detector("drawn", find), 32, 1.0, 10)
    face = cut.follow(frames)
    assert face.track.absences == "the face is out of sight from 0.80 to 1.80 s"
    # The other person's motion is not read.
    levels = cut.read_face(face).expression[:, 0, 0]
    assert levels.max() < 100


def test_pictures_do_not_wait_for_a_slow_device_without_bound(monkeypatch):
    decoded = 0
    waits = []

    class Slow:
        """A result that is fetched after more pictures have been decoded."""

        def __init__(self):
            self.made = decoded

    def pictures():
        nonlocal decoded
        for _ in range(160):
            decoded += 1
            yield grey(100, (8, 8))

    def fetch(slow):
        waits.append(decoded - slow.made)
        return Motion(*(np.zeros((16, *shape), np.float32) for shape in SHAPES))

    monkeypatch.setattr(read, "extract_motion", lambda network, batch: Slow())
    monkeypatch.setattr(ahead.jax, "device_get", fetch)
    assert read.read_motion(None, pictures(), 16).shape == (160, 70)
    # Two batches ahead, and no more.
    assert max(waits) == 2 * 16
