"""Faces followed through clips that detectors of the tests make up."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, NoFaceError
from jaxportrait.media.track import track_face


def detector_of(find: Callable[[np.ndarray], list[Face]]) -> Detector:
    return Detector("drawn", find)


def face_at(x: float, y: float, size: float = 40.0) -> Face:
    half = size / 2
    box = (x - half, y - half, x + half, y + half)
    return Face(box, 1.0, FaceRectangle((x, y), size))


def number_of(image: np.ndarray) -> int:
    return int(image[0, 0, 0])


def clip_of(seconds: float, fps: float = 10) -> Iterator[tuple[float, np.ndarray]]:
    """Frames whose first pixel is their number."""
    for index in range(round(seconds * fps)):
        yield index / fps, np.full((8, 8, 3), index, np.uint8)


def test_the_box_is_the_mean_over_frames_framed_as_published():
    detector = detector_of(lambda image: [face_at(100 + number_of(image), 60)])

    # the face moves by a pixel a frame
    track = track_face(clip_of(1.1), detector)
    # Published: as wide as 2.2 hulls, and a tenth of that higher.
    assert track.rectangle.size == pytest.approx(2.2 * 40)
    assert track.rectangle.center == pytest.approx((105, 60 - 0.1 * 2.2 * 40))
    assert track.rectangle.angle == 0
    np.testing.assert_allclose(track.times, np.arange(11) / 10)


def test_the_largest_face_is_followed_and_strays_are_left_out():
    def find(image: np.ndarray) -> list[Face]:
        number = number_of(image)
        faces = [face_at(300, 60, 30)]
        # a larger face in the first frame
        if number == 0:
            faces.append(face_at(100, 60, 40))
        # the same face again, unless it is lost for a frame
        if number != 4:
            faces.append(face_at(101, 60, 40))
        return faces

    track = track_face(clip_of(2), detector_of(find))
    assert track.rectangle.center[0] == pytest.approx(101, abs=0.6)


def test_a_face_in_few_frames_is_none():
    def find(image: np.ndarray) -> list[Face]:
        return [face_at(9, 9)] if number_of(image) == 2 else []

    with pytest.raises(NoFaceError, match="1 of 5 looks"):
        track_face(clip_of(1), detector_of(find))


def seen_except(start: float, end: float) -> Detector:
    """A detector that finds no face from one time to another, at 10 frames a second."""

    def find(image: np.ndarray) -> list[Face]:
        is_away = start <= number_of(image) / 10 < end
        return [] if is_away else [face_at(100, 60)]

    return detector_of(find)


@pytest.mark.parametrize(
    ("start", "end", "parts"),
    [
        # A look every 0.2 s: a part ends with the last that saw the face.
        (1.0, 1.4, ((0.0, 2.9),)),
        (1.0, 1.7, ((0.0, 0.8), (1.8, 2.9))),
        (0.0, 0.7, ((0.8, 2.9),)),
        (2.2, 3.0, ((0.0, 2.0),)),
    ],
    ids=["short", "middle", "start", "end"],
)
def test_a_long_run_without_the_face_ends_a_part(start, end, parts):
    track = track_face(clip_of(3), seen_except(start, end))
    assert track.parts == pytest.approx(np.array(parts))
    shown = [time for time in track.times if any(a <= time <= b for a, b in parts)]
    np.testing.assert_array_equal(track.times[track.shows(track.parts)], shown)


def test_absences_are_told_with_their_times():
    track = track_face(clip_of(3), seen_except(1.0, 1.7))
    assert track.absences == "the face is out of sight from 0.80 to 1.80 s"
    assert track.longest_part == (1.8, 2.9)
    with pytest.raises(
        NoFaceError, match=r"6 of 15 looks .*sight from 0\.40 to 2\.40 s"
    ):
        track_face(clip_of(3), seen_except(0.5, 2.3))


def test_another_face_elsewhere_is_an_absence():
    def find(image: np.ndarray) -> list[Face]:
        is_other = 10 <= number_of(image) < 18
        return [face_at(200 if is_other else 100, 60)]

    track = track_face(clip_of(3), detector_of(find))
    assert track.parts == ((0.0, 0.8), (1.8, 2.9))


def walk_of(seconds: float) -> Detector:
    """A detector of a face that walks by 10 pixels a frame, with an error at 1 s."""

    def find(image: np.ndarray) -> list[Face]:
        number = number_of(image)
        return [face_at(900 if number == 10 else 100 + 10 * number, 60)]

    return detector_of(find)


def test_a_square_follows_a_face_that_walks():
    with pytest.raises(NoFaceError, match="steady face in"):
        track_face(clip_of(4), walk_of(4))
    track = track_face(clip_of(4), walk_of(4), walks=True)
    places = [square.center[0] for square in track.squares()]
    # A mean over a second is half a frame late; at the ends it has fewer frames.
    np.testing.assert_allclose(places[5:-6], 95 + 10 * np.arange(5, 34), atol=1e-6)
    sizes = [square.size for square in track.squares()]
    np.testing.assert_allclose(sizes, 2.2 * 40)


def test_squares_are_framed_as_asked():
    track = track_face(clip_of(1), detector_of(lambda image: [face_at(100, 60)]))
    square = track.square(1.5, 0.1, 0.2)
    assert square.size == pytest.approx(60)
    # Of 60 pixels, a tenth across and a fifth down.
    assert square.center == pytest.approx((106, 72))
    assert track.squares(1.5, 0.1, 0.2) == [square] * 10
