"""Portraits of pictures that an animator prepares."""

import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait import Animator
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face
from jaxportrait.portrait.preparer import Preparer
from tests.animators import open_animator


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    return open_animator(tiny_checkpoint, batch_size=4)


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


class OneAtATime:
    """Finds a face; another thread in the meantime is an error, as in OpenCV."""

    def __init__(self):
        self.lock = threading.Lock()
        self.collisions = 0

    def __call__(self, picture: np.ndarray) -> list[Face]:
        alone = self.lock.acquire(blocking=False)
        if not alone:
            self.collisions += 1
            return find_in_the_corner(picture)
        # Long enough for the other thread to come.
        time.sleep(0.01)
        self.lock.release()
        return find_in_the_corner(picture)


def test_a_driving_video_and_a_picture_share_the_detector(animator, portrait):
    find = OneAtATime()
    preparer = Preparer(animator.renderer, Detector("corner", find))
    pictures = [(index / 25, portrait) for index in range(50)]
    driver = preparer.video_driver(25.0)
    follower = threading.Thread(target=driver.follow, args=(pictures,))
    follower.start()
    preparer.prepare(portrait)
    follower.join()
    assert find.collisions == 0


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
