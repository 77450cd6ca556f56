"""Sessions of the published drivers, at the small sizes of their golden files."""

from copy import copy

import numpy as np
import pytest

from convert_weights.bundle import convert_files, write
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from convert_weights.joyvasa.recipe import JoyVASARecipe, write_joyvasa
from infer.serve.avatar import Avatar
from jaxportrait.animation import Sampling
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.registry import load_driver
from tests.infer.serve.test_session import pictures_of, whole_clip
from tests.inputs import babble

SEED = 3
"""The seed of `whole_clip`."""


@pytest.fixture(scope="module", params=["ditto", "joyvasa"])
def published(request, golden, avatar, tmp_path_factory) -> Avatar:
    """An avatar whose driver was converted from files in the published layout."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "ditto":
        files = write_ditto(DittoRecipe(golden / "ditto"), "small", folder)
        parts = convert_files({}, ditto=files)
    else:
        files = write_joyvasa(JoyVASARecipe(golden / "joyvasa"), "small", folder)
        parts = convert_files({}, joyvasa=files)
    write(parts, folder / "checkpoint")
    animator = copy(avatar.animator)
    animator.driver = load_driver(open_checkpoint(folder / "checkpoint"))
    return Avatar.open(animator, avatar.portrait, Sampling(steps=2))


def test_a_session_makes_the_frames_of_the_whole_clip(published):
    sound = babble(0.6)
    expected = whole_clip(published, sound)
    # At 25 frames a second.
    assert len(expected) == 15
    frames = pictures_of(published.start(SEED), sound, 1_234)
    assert len(frames) == len(expected)
    for frame, picture in zip(frames, expected, strict=True):
        # A level of 256: chunks of other sizes may round otherwise.
        assert np.abs(frame.astype(int) - picture).max() <= 1
