"""Edits: numbers of sliders become motion of the source."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.motion.sliders import PUBLISHED_SLIDERS
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.edits import (
    Edits,
    EditTrack,
    edit_keypoints,
    edit_parts,
)
from jaxportrait.pipeline.retarget import CHUNK
from jaxportrait.pipeline.sliders import choose_sliders
from jaxportrait.ranges import OptionError
from jaxportrait.types import Motion, Source

NONE = CorrectionNetworks()


@pytest.fixture
def source() -> Source:
    random = np.random.default_rng(0)
    motion = Motion(
        keypoints=jnp.asarray(random.normal(size=(1, 21, 3)), jnp.float32),
        expression=jnp.zeros((1, 21, 3)),
        pose=jnp.zeros((1, 3)),
        translation=jnp.zeros((1, 3)),
        scale=jnp.full((1, 1), 1.3),
    )
    nothing = jnp.zeros(())
    return Source(nothing, nothing, 1.3 * motion.keypoints, motion, nothing)


def edit(source: Source, edits: Edits | EditTrack) -> np.ndarray:
    track = edits if isinstance(edits, EditTrack) else EditTrack.of_edits(edits)
    return edit_keypoints(source, track, NONE, sliders=PUBLISHED_SLIDERS)


def test_edits_of_nothing_change_nothing(source):
    np.testing.assert_allclose(edit(source, Edits()), source.keypoints, atol=1e-6)


def test_a_slider_moves_its_keypoints_by_the_source_s_scale(source):
    change = edit(source, Edits(lip_variation_zero=0.05)) - source.keypoints
    expected = np.zeros((1, 21, 3))
    # The expression is scaled with the head.
    expected[0, 19, 0] = 1.3 * 0.05
    np.testing.assert_allclose(change, expected, atol=1e-6)


def test_every_frame_of_a_track_is_that_of_its_numbers(source):
    numbers = np.linspace(-15, 15, CHUNK + 3).astype(np.float32)
    track = EditTrack({"roll": numbers}, 30, len(numbers))
    frames = edit(source, track)
    assert len(frames) == CHUNK + 3
    # Frames at the border of two chunks, and the ends.
    for frame in (0, CHUNK - 1, CHUNK, CHUNK + 2):
        picture = edit(source, Edits(roll=float(numbers[frame])))
        np.testing.assert_allclose(frames[frame], picture[0], atol=1e-6)


def test_sliders_belong_to_the_keypoints(source):
    assert choose_sliders(source, KeypointGroups()) is PUBLISHED_SLIDERS
    groups = replace(KeypointGroups(), brows=(1, 3))
    assert choose_sliders(source, groups) is not PUBLISHED_SLIDERS


def test_openness_needs_its_network_and_the_source_s(source):
    track = EditTrack.of_edits(Edits(eyes_ratio=0.0))
    assert edit_parts(track, {"eye_retargeting"}) == {"eyes": "eye_retargeting"}
    with pytest.raises(OptionError, match="eye_retargeting was asked for"):
        edit_parts(track, {"stitching"})
    with pytest.raises(OptionError, match="eyes_ratio is set, and the openness"):
        edit(source, track)
    with pytest.raises(OptionError, match="stitching was asked for"):
        edit_parts(EditTrack.of_edits(Edits()), set(), stitching=True)


def test_numbers_outside_their_ranges_are_refused():
    with pytest.raises(OptionError, match=r"smile is 2: it must be from -0\.3 to 1\.3"):
        Edits(smile=2)
