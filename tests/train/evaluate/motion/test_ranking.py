"""The measures rank motion by its lips; baselines and blinks."""

from dataclasses import replace

import numpy as np
import pytest

from jaxportrait.motion.space import MOTION_WIDTH, REGIONS, expression_columns
from tests.train.evaluate.motion.clips import (
    DIRECTION,
    FACE,
    LIP,
    TINY,
    make_clips,
    scale_of,
    speech,
)
from train.data.records import ClipRecord
from train.evaluate.motion.baselines import baselines
from train.evaluate.motion.lids import learn_lid_axis
from train.evaluate.motion.measures import compare
from train.evaluate.motion.sweep import (
    Frames,
    HeldOut,
    Measures,
    hold_out,
)

EYES = REGIONS["eyes"]


def follow(clip: HeldOut, share: float, seed: int) -> Frames:
    """Lips that follow the truth with a share of their movement, and otherwise open at
    random."""
    rng = np.random.default_rng(seed)
    noise = np.abs(np.convolve(rng.standard_normal(len(clip.truth)), np.hanning(7)))
    random = noise[: len(clip.truth), None] * DIRECTION
    mean = clip.truth.mean(axis=0)
    return mean + 0.02 + share * (clip.truth - mean) + (1 - share) * random


def freeze(frame: np.ndarray, clip: HeldOut) -> Frames:
    return np.tile(frame, (len(clip.truth), 1))


def test_models_are_ranked_by_how_well_their_lips_follow():
    clips = hold_out(make_clips(), TINY, LIP, "fused")
    scale = scale_of(make_clips())

    def measure(motions: list[Frames]) -> Measures:
        # one seed
        samples = [motion[None] for motion in motions]
        return compare(samples, clips, scale)

    followers = [
        measure([follow(clip, share, 7) for clip in clips]) for share in (0.9, 0.6, 0.2)
    ]
    still = measure([freeze(clip.truth.mean(axis=0), clip) for clip in clips])

    ranks = [measures["true_lip_correlation"] for measures in followers]
    assert ranks[0] > ranks[1] > ranks[2] > 0
    # a frozen face may have the least error, and has no lips
    follower = followers[0]
    assert still["keypoint_error"] < follower["keypoint_error"]
    assert still["true_lip_correlation"] == 0
    assert still["true_lip_lag_milliseconds"] is None
    # a constant shift counts in one error, and not in the other
    assert follower["centered_error"] < still["centered_error"]


def test_baselines_are_what_their_names_say():
    records = make_clips()
    clips = hold_out(records, TINY, LIP, "fused")
    scale = scale_of(records)
    motions_by_name = baselines(clips, scale)
    measures = {
        name: compare([motion[None] for motion in motions], clips, scale)
        for name, motions in motions_by_name.items()
    }

    assert measures["mean face"]["velocity_ratio"] == 0
    # these clips' lips were made from their loudness
    assert measures["loudness"]["true_lip_correlation"] > 0.99
    assert measures["loudness"]["velocity_ratio"] == pytest.approx(1, abs=0.05)
    assert abs(measures["another clip"]["true_lip_correlation"]) < 0.5
    assert "another clip" not in baselines(clips[:1], scale)


def blinking(clip: str, starts: list[int], frames: int = 300) -> ClipRecord:
    """A clip whose lids shut for six frames, and whose eyes turn slowly all the time."""
    lids = np.zeros(frames)
    for start in starts:
        lids[start : start + 6] = np.hanning(8)[1:-1]
    turn = np.sin(np.arange(frames) / 40)
    direction = np.zeros(15)
    direction[1::3] = 0.02
    eyes = lids[:, None] * direction
    # gaze moves the same keypoints sideways, further and slower
    eyes[:, 0::3] += 0.03 * turn[:, None]
    record = speech(clip, frames, len(starts))
    motion = record.motion.copy()
    motion[:, list(expression_columns(EYES))] += eyes.astype(np.float32)
    return replace(record, motion=motion)


def test_blinks_are_counted_a_minute():
    records = [blinking("a.mp4", [40, 150, 220]), blinking("b.mp4", [90])]
    lids = learn_lid_axis(records, EYES)
    assert lids is not None
    scale = replace(scale_of(records, FACE), lids=lids)
    clips = hold_out(records, TINY, FACE, "fused")

    # 4 blinks in 600 frames, at 30 a second
    truth = compare([clip.truth[None] for clip in clips], clips, scale)
    assert truth["blinks_a_minute"] == pytest.approx(12)
    still = [freeze(np.median(clip.truth, axis=0), clip)[None] for clip in clips]
    resting = compare(still, clips, scale)
    assert resting["blinks_a_minute"] == 0


def with_closure(record: ClipRecord, frame: np.integer) -> ClipRecord:
    """The clip with one closure, of half a frame."""
    return replace(record, closures=np.array([[frame, frame + 0.5]], np.float32))


def test_lips_are_shut_where_p_b_and_m_shut_them():
    records = make_clips()
    # these clips' lips open with the loudness
    closing = [with_closure(record, np.argmin(record.envelope)) for record in records]
    wide = [with_closure(record, np.argmax(record.envelope)) for record in records]
    scale = scale_of(records)

    def measure(records: list[ClipRecord], *, still: bool = False) -> Measures:
        clips = hold_out(records, TINY, LIP, "fused")
        motions = [
            freeze(clip.truth[0], clip) if still else clip.truth for clip in clips
        ]
        return compare([motion[None] for motion in motions], clips, scale)

    assert measure(closing)["closures"] == 1
    assert measure(wide)["closures"] == 0
    # a clip by itself has no other
    assert measure(closing)["closures_by_chance"] is not None
    assert measure(closing[:1])["closures_by_chance"] is None
    # lips that never move are never shut, whatever their rounding
    assert measure(closing, still=True)["closures"] == 0
    rng = np.random.default_rng(0)
    clips = hold_out(closing, TINY, LIP, "fused")
    resting = [
        freeze(clip.truth[0], clip) + 1e-17 * rng.standard_normal(clip.truth.shape)
        for clip in clips
    ]
    samples = [motion[None] for motion in resting]
    assert compare(samples, clips, scale)["closures"] == 0
    # some clips may be without a truth file
    assert measure([closing[0], *records[1:]])["closures"] == 1
    assert measure(records)["closures"] is None


def test_eyes_that_rest_have_no_axis():
    still = [
        replace(clip, motion=np.zeros((clip.frames, MOTION_WIDTH), np.float32))
        for clip in make_clips()
    ]
    assert learn_lid_axis(still, EYES) is None
