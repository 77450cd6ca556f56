"""The video driver: one box for the clip, and the motion of the face in it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.drivers.video import DrivingCrop, VideoDriver, crop_frames
from jaxportrait.media.crop import FaceRectangle, crop_face, network_input
from jaxportrait.media.faces import (
    Detector,
    Face,
    NoFaceError,
    Openness,
    open_detector,
)
from jaxportrait.media.video import VideoReader
from jaxportrait.ranges import OptionError
from jaxportrait.renderer import Renderer
from tests.train.portraits import save_small_checkpoint
from tests.train.videos import draw_head, write_head


@pytest.fixture(scope="module")
def renderer(tmp_path_factory) -> Renderer:
    path = tmp_path_factory.mktemp("checkpoint") / "small"
    return Renderer.from_checkpoint(save_small_checkpoint(path))


@pytest.fixture(scope="module")
def driver(renderer) -> VideoDriver:
    detector = open_detector("haar")
    return VideoDriver(renderer.read, detector, renderer.image_size, 1.0, fps=30)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_head(tmp_path_factory.mktemp("video") / "head.mp4")


def test_a_video_has_the_motion_of_its_face(driver, renderer, video):
    motion = driver.make(video)
    assert (len(motion), motion.fps) == (36, 30)
    assert motion.moves_head
    assert motion.arrays().keys() == {"expression", "rotation", "translation", "scale"}
    # The drawn head sways from side to side.
    side = motion.translation[:, 0]
    assert np.isfinite(motion.to_frames()).all()
    assert np.ptp(side) > 0
    source = renderer.source(next(crops_of(renderer, video)))
    keypoints = renderer.keypoints(source, motion)
    frames = np.concatenate(list(renderer.frames(source, keypoints)))
    assert len(frames) == 36


def crops_of(renderer: Renderer, video):
    pictures = (picture for _, picture in VideoReader(video))
    box = FaceRectangle((80.0, 64.0), 120.0)
    return crop_frames(pictures, box, renderer.image_size)


def test_the_box_is_the_same_for_the_whole_clip(driver, renderer, video):
    """Every frame is read in one square: reading the crops gives the same motion."""
    # What the driver gives to the reader.
    boxes = []

    def read(crops, fps):
        boxes.extend(crops)
        return renderer.read(boxes, fps)

    motion = VideoDriver(read, driver.detector, renderer.image_size, 1.0, 30).make(
        video
    )
    assert len(boxes) == 36
    expected = renderer.read(boxes, 30)
    assert_allclose(motion.expression, expected.expression, atol=1e-6)
    background = np.stack(boxes)[:, :3, :3].astype(int)
    assert np.ptp(background, axis=0).max() < 8  # the room stands still


def test_motion_has_the_rate_of_the_driver(driver, renderer, tmp_path):
    path = write_head(tmp_path / "slow.mp4", seconds=1.0, fps=15)
    slow = VideoDriver(renderer.read, driver.detector, renderer.image_size, 1.0, 15)
    pictures = slow.make(path)
    assert len(pictures) == 15
    motion = driver.make(path)
    assert (len(motion), motion.fps) == (29, 30)
    assert_allclose(motion.expression[::2], pictures.expression, atol=1e-5)
    # Twice the rate: every second frame lies half-way between two pictures.
    between = (pictures.expression[:-1] + pictures.expression[1:]) / 2
    assert_allclose(motion.expression[1::2], between, atol=1e-5)


def test_the_last_frame_is_held(driver, video):
    motion = driver.make(video, frames=40)
    assert len(motion) == 40
    for array in motion.arrays().values():
        assert_allclose(array[36:], array[[35] * 4], atol=1e-6)
    assert len(driver.make(video, frames=10)) == 10


def test_after_warming_up_a_video_compiles_no_reading(driver):
    driver.warm_up(30)
    assert driver.with_sampling(None) is driver


def test_a_video_without_a_face_is_named(driver, tmp_path):
    path = write_head(tmp_path / "room.mp4", face=False)
    with pytest.raises(NoFaceError, match="finds a steady face in 0 of"):
        driver.make(path)


def test_crops_are_the_same_square_of_every_picture():
    pictures = [draw_head(seconds) for seconds in (0.0, 0.3)]
    box = FaceRectangle((80.0, 60.0), 90.0)
    crops = list(crop_frames(iter(pictures), box, 32))
    for picture, crop in zip(pictures, crops, strict=True):
        expected = network_input(crop_face(picture, box), 32)
        assert_array_equal(crop, expected)


def pictures_of(count: int) -> list[tuple[float, np.ndarray]]:
    """Pictures of an even grey that tells their number, ten a second."""
    return [(i / 10, np.full((64, 96, 3), 10 * i, np.uint8)) for i in range(count)]


class PaintedFace:
    """Finds the same face in every picture, but for some that lack it."""

    tells_openness = True

    def __init__(self, hidden=()):
        self.hidden = hidden

    def __call__(self, image: np.ndarray) -> list[Face]:
        number = round(image.mean() / 10)
        if number in self.hidden:
            return []
        return [OpenFace((30, 20, 50, 40), 1.0, FaceRectangle((40.0, 30.0), 20.0))]


class OpenFace(Face):
    @property
    def openness(self) -> Openness:
        return Openness((0.1, 0.2), 0.3)


@pytest.mark.parametrize(
    ("crop", "square"),
    [
        (DrivingCrop(), FaceRectangle((40.0, 25.6), 44.0)),
        (DrivingCrop("clip", 3.0, 0.1, 0.0), FaceRectangle((46.0, 30.0), 60.0)),
        (DrivingCrop("tracked"), FaceRectangle((40.0, 25.6), 44.0)),
        (DrivingCrop("none"), FaceRectangle((48.0, 32.0), 64.0)),
    ],
    ids=["clip", "framed", "tracked", "none"],
)
def test_the_crop_is_as_asked(driver, crop, square):
    painted = replace(driver, detector=Detector("painted", PaintedFace()), crop=crop)
    squares = painted.follow(pictures_of(6)).squares
    assert len(squares) == 6
    for actual in squares:
        assert actual.center == pytest.approx(square.center)
        assert actual.size == pytest.approx(square.size)


def test_crops_that_cannot_be_are_named(driver):
    with pytest.raises(OptionError, match="choose one of clip, tracked, none"):
        DrivingCrop("auto")
    with pytest.raises(OptionError, match="already cropped are not framed"):
        DrivingCrop("none", 3.0)
    framed = replace(
        driver, detector=open_detector("none"), crop=DrivingCrop("clip", 3.0)
    )
    with pytest.raises(ValueError, match="the detector none uses pictures as they are"):
        framed.follow(pictures_of(2))


def test_openness_is_read_with_the_motion(driver):
    detector = Detector("painted", PaintedFace(hidden=(3,)))
    silent = replace(driver, detector=detector, fps=10)
    assert silent.read_face(silent.follow(pictures_of(6))).eyes is None
    reader = replace(silent, reads_openness=True)
    motion = reader.read_face(reader.follow(pictures_of(6)))
    np.testing.assert_allclose(motion.eyes, [[0.1, 0.2]] * 6, rtol=1e-6)
    np.testing.assert_allclose(motion.lips, [[0.3]] * 6, rtol=1e-6)


def test_motion_goes_straight_while_the_face_is_out_of_sight(driver):
    detector = Detector("painted", PaintedFace(hidden=range(8, 16)))
    hidden = replace(driver, detector=detector, fps=10)
    face = hidden.follow(pictures_of(24))
    assert face.track.absences == "the face is out of sight from 0.60 to 1.60 s"
    motion = hidden.read_face(face)
    assert len(motion) == 24
    before = motion.expression[6]
    after = motion.expression[16]
    middle = (before + after) / 2
    assert np.abs(after - before).max() > 0
    np.testing.assert_allclose(motion.expression[11], middle, atol=1e-6)


@pytest.mark.parametrize(
    ("fps", "shown"), [(10, [0, 1, 2, 3]), (5, [0, 2, 3]), (20, [0, 0, 1, 2, 2])]
)
def test_crops_are_those_of_the_frames_times(driver, fps, shown):
    painted = replace(driver, crop=DrivingCrop("none"))
    face = painted.follow(pictures_of(4))
    crops = list(face.crops_at(fps, len(shown)))
    assert [round(crop.mean() / 10) for crop in crops] == shown


def test_one_picture_is_a_clip_of_one_frame(driver):
    painted = replace(driver, crop=DrivingCrop("none"))
    motion = painted.read_face(painted.follow(pictures_of(1)))
    assert len(motion) == 1
