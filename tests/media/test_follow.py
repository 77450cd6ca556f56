"""A face followed through videos that detectors of the tests make up."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, NoFaceError
from jaxportrait.media.follow import OUT_OF_SIGHT, follow_face

FPS = 20


def face_at(x: float, y: float = 60.0, size: float = 40.0, angle: float = 0.0) -> Face:
    # The largest face has the largest box.
    box = (0.0, 0.0, size, size)
    hull = FaceRectangle((x, y), size, angle)
    return Face(box, 1.0, hull)


def number_of(picture: np.ndarray) -> int:
    return int(picture[0, 0, 0])


def video_of(seconds: float, cut: int | None = None) -> Iterator:
    """Frames whose first pixel is their number; from `cut` on they are white."""
    for index in range(round(seconds * FPS)):
        picture = np.full((64, 64, 3), 90, np.uint8)
        if cut is not None and index >= cut:
            # A change of 165 levels, where 32 are a cut.
            picture[:] = 255
        picture[0, 0] = index
        yield index / FPS, picture


def detector_of(find: Callable[[int], list[Face]]) -> Detector:
    return Detector("drawn", lambda picture: find(number_of(picture)))


def test_the_square_follows_the_face_between_looks():
    # It moves by two pixels a frame, and turns.
    detector = detector_of(lambda frame: [face_at(50 + 2 * frame, angle=0.01 * frame)])
    path = follow_face(video_of(2), detector)
    assert_array_equal(path.shots, 0)
    # Near the ends, the mean leans to the inside.
    inside = np.arange(8, 28)
    squares = path.squares[inside]
    assert_allclose(squares[:, 0], 50 + 2 * inside, atol=0.1)
    assert_allclose(squares[:, 3], 0.01 * inside, atol=1e-3)
    assert path.hull(20).size == pytest.approx(40)
    assert path.absences == ""
    assert path.openness is None


def test_jitter_of_the_detector_is_smoothed():
    shake = np.random.default_rng(0).normal(0, 2, 100)
    detector = detector_of(lambda frame: [face_at(100 + shake[frame])])
    path = follow_face(video_of(3), detector, every_frame=True)
    steps = np.diff(path.squares[:, 0])
    shaken = np.diff(shake[:60])
    assert steps.std() < 0.3 * shaken.std()


def test_a_cut_starts_a_shot_with_the_largest_face():
    def find(frame: int) -> list[Face]:
        # Looks are at frames 20 and 24.
        if frame < 23:
            return [face_at(40), face_at(300, size=80)]
        return [face_at(150), face_at(20, size=30)]

    path = follow_face(video_of(2, cut=23), detector_of(find), face=1)
    assert_array_equal(path.shots, np.repeat([0, 1], [23, 17]))
    # The square jumps with the cut, which no look needs to hit.
    assert_allclose(path.squares[:23, 0], 40)
    assert_allclose(path.squares[23:, 0], 150)
    assert path.passed_over == 1


def test_the_followed_face_stays_the_same_where_a_larger_one_comes():
    def find(frame: int) -> list[Face]:
        faces = [face_at(100)]
        if frame > 10:
            faces.append(face_at(300, size=90))
        return faces

    path = follow_face(video_of(2), detector_of(find))
    assert_allclose(path.squares[:, 0], 100)


def test_frames_without_the_face_are_out_of_sight_and_told():
    def find(frame: int) -> list[Face]:
        return [] if 20 <= frame < 44 else [face_at(100)]

    path = follow_face(video_of(4), detector_of(find))
    absent = np.flatnonzero(path.shots == OUT_OF_SIGHT)
    # Looks are at every fourth frame.
    assert_array_equal(absent, np.arange(17, 44))
    assert path.absences == "the face is out of sight from 0.85 to 2.15 s"
    assert set(path.shots[44:]) == {1}


def test_a_short_absence_is_bridged():
    def find(frame: int) -> list[Face]:
        return [] if 20 <= frame < 26 else [face_at(100)]

    assert follow_face(video_of(3), detector_of(find)).absences == ""


def test_a_single_sighting_is_an_error_of_the_detector():
    detector = detector_of(lambda frame: [face_at(9)] if frame == 8 else [])
    with pytest.raises(NoFaceError, match="finds no face in 10 looks at the video"):
        follow_face(video_of(2), detector)


def test_a_face_of_another_number_is_named():
    detector = detector_of(lambda frame: [face_at(100)])
    with pytest.raises(ValueError, match="there is no face 2: the picture has 1"):
        follow_face(video_of(1), detector, face=2)


def test_openness_is_read_in_every_frame():
    points = np.random.default_rng(0).uniform(0, 100, (203, 2))

    def find(frame: int) -> list[Face]:
        # The lids of the left eye.
        landmarks = points.copy()
        landmarks[6] = landmarks[18] + (0, 1 + frame)
        return [replace(face_at(100), fine_landmarks=landmarks)]

    looked = follow_face(video_of(1), detector_of(find), every_frame=True)
    assert looked.openness is not None
    opening = looked.openness[:, 0]
    assert_allclose(opening / opening[0], 1 + np.arange(20), rtol=1e-4)
    # Looks five times a second would miss a blink.
    assert follow_face(video_of(1), detector_of(find)).openness is None
