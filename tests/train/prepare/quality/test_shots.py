"""Cuts between pictures, and the shots between them."""

import numpy as np
import pytest

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, NoFaceError
from jaxportrait.media.looks import Looks, look_for_faces
from train.prepare.quality.pictures import PictureWatch, content_checksum, is_black
from train.prepare.quality.shots import (
    CutLimits,
    find_cuts,
    find_shots,
    joined_shots,
    longest_shot,
    share_of_crowds,
)

LIMITS = CutLimits(scene=20, zoom=1.15, jump=0.25)
FPS = 25


def face_at(x: float, y: float, size: float) -> Face:
    half = size / 2
    hull = FaceRectangle((x, y), size)
    return Face((x - half, y - half, x + half, y + half), 1.0, hull)


def room(shade: int) -> np.ndarray:
    """Return a picture of one shade."""
    return np.full((96, 128, 3), shade, np.uint8)


def draw(x: float, size: float, shade: int, time: int) -> np.ndarray:
    """Return a bright square before a background of some shade; it sways a little."""
    image = room(shade)
    left = int(x - size / 2 + 2 * np.sin(time / 4))
    top = int(48 - size / 2)
    image[top : top + int(size), left : left + int(size)] = 220
    return image


def find(image: np.ndarray) -> list[Face]:
    """Find the bright square, if there is one."""
    rows, columns = np.nonzero(image[..., 0] == 220)
    if rows.size == 0:
        return []
    # the square is as wide as its columns
    size = columns.max() - columns.min() + 1.0
    return [face_at(columns.mean(), rows.mean(), size)]


DETECTOR = Detector("test", find)


def look(*scenes: tuple[int, float, float, int]) -> tuple[Looks, np.ndarray]:
    """Return the looks and signatures of scenes: pictures, place, size and shade."""
    pictures = []
    for count, x, size, shade in scenes:
        for _ in range(count):
            time = len(pictures)
            # a size of 0 is an empty room
            image = draw(x, size, shade, time) if size else room(shade)
            pictures.append((time / FPS, image))
    watch = PictureWatch(pictures)
    looks = look_for_faces(watch, DETECTOR)
    return looks, watch.signatures


def cuts_of(*scenes: tuple[int, float, float, int]) -> list[tuple[int, str]]:
    looks, signatures = look(*scenes)
    return [(cut.picture, cut.kind) for cut in find_cuts(looks, signatures, LIMITS)]


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        ((50, 64, 40, 140), "scene cut"),
        ((50, 64, 52, 60), "zoom by 1.30"),
        # 16 pixels are 0.4 sizes of the face
        ((50, 80, 40, 60), "jump of the face"),
    ],
)
def test_a_cut_is_found_at_its_picture(second, kind):
    assert cuts_of((50, 64, 40, 60), second) == [(50, kind)]


def test_movement_and_light_are_no_cuts():
    assert cuts_of((100, 64, 40, 60)) == []
    # a lamp is switched on over three pictures
    steps = [(1, 64, 40, shade) for shade in (70, 80, 90)]
    bright = (50, 64, 40, 100)
    assert cuts_of((50, 64, 40, 60), *steps, bright) == []

    # a head moves by a third of its size in half a second
    moves = [(1, 64 + step, 40, 60) for step in range(13)]
    aside = (50, 77, 40, 60)
    assert cuts_of((50, 64, 40, 60), *moves, aside) == []


def test_black_pictures_are_a_shot_without_a_face():
    scenes = (50, 64, 40, 60), (30, 0, 0, 0), (60, 64, 40, 60)
    looks, signatures = look(*scenes)
    black = is_black(signatures)
    assert black.sum() == 30

    # the face is followed on both sides
    cuts = find_cuts(looks, signatures, LIMITS)
    assert [cut.picture for cut in cuts] == [50, 80]
    shots = find_shots(looks, cuts, black, DETECTOR)
    assert [(shot.start, shot.stop) for shot in shots] == [(0, 50), (80, 140)]
    assert longest_shot(shots).start == 80


def test_each_shot_has_a_square_of_its_own():
    looks, signatures = look((50, 64, 40, 60), (50, 64, 52, 60))
    cuts = find_cuts(looks, signatures, LIMITS)
    first, second = find_shots(looks, cuts, is_black(signatures), DETECTOR)
    ratio = second.track.rectangle.size / first.track.rectangle.size
    assert ratio == pytest.approx(1.3, abs=0.02)


def test_shots_are_joined_over_pictures_without_a_face_only():
    empty = (30, 0, 0, 140)
    person = (50, 64, 40, 60)
    # another room, straight after the person
    other = (60, 64, 40, 140)
    looks, signatures = look(person, empty, person, other)
    cuts = find_cuts(looks, signatures, LIMITS)
    shots = find_shots(looks, cuts, is_black(signatures), DETECTOR)

    # the longest shot follows a cut from face to face
    assert [shot.start for shot in joined_shots(shots)] == [130]

    # without it, the others are one scene
    assert [shot.start for shot in joined_shots(shots[:2])] == [0, 80]


def test_a_clip_without_a_face_is_refused_as_before():
    looks, signatures = look((50, 0, 0, 60))
    with pytest.raises(NoFaceError, match="steady face in 0 of 10 looks"):
        find_shots(looks, [], is_black(signatures), DETECTOR)


def test_several_faces_count_where_they_are_large():
    pair = [face_at(30, 40, 30), face_at(90, 40, 25)]
    # a picture on the wall
    small = [face_at(30, 40, 30), face_at(90, 40, 10)]
    times = np.arange(4) / 5
    faces = (pair, small, [], pair[:1])
    looks = Looks(times, tuple(times.tolist()), faces)

    # one look of four
    assert share_of_crowds(looks, 0.25) == 0.25


def test_the_checksum_of_content_is_that_of_the_pictures():
    _, signatures = look((5, 64, 40, 60))
    _, others = look((5, 65, 40, 60))
    assert content_checksum(signatures) == content_checksum(signatures.copy())
    assert content_checksum(signatures) != content_checksum(others)
