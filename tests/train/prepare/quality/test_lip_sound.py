"""The comparison of lips and sound, on pieces whose lips follow their sound by
construction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from train.prepare.quality.lip_sound import Verdict, fitted_step, judge_pieces
from train.prepare.quality.regression import (
    Piece,
    area_under_curve,
    fold_numbers,
    lagged_correlations,
    prepare_lips,
)

WIDTH, BANDS = 12, 6
SECONDS = 10
RATE = 25


def speak(draw: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return audio features of random syllables, and the lips that they move."""
    kernel = np.hanning(7)
    syllables = draw.standard_normal((count + 6, WIDTH))
    features = [np.convolve(column, kernel, "valid") for column in syllables.T]
    values = np.stack(features, axis=1)
    # the same mouth for all
    weights = np.linspace(-1, 1, WIDTH * 3).reshape(WIDTH, 3)
    noise = draw.standard_normal((count, 3))
    return values, values @ weights + noise


def piece_of(subject: int, clip: int, *, shift: int = 0, wrong: bool = False) -> Piece:
    """Return a piece; its lips follow the sound by `shift` readings, or belong to other
    sound."""
    draw = np.random.default_rng([subject, clip])
    count = SECONDS * RATE
    # a second more on either side, of which a shift takes some
    values, lips = speak(draw, count + 2 * RATE)
    if wrong:
        _, lips = speak(draw, count + 2 * RATE)
    sound = values[RATE : RATE + count]
    shown = lips[RATE - shift : RATE - shift + count]
    spectrum = np.repeat(sound[:, :BANDS], 2, axis=0)
    return Piece(
        f"{subject}/{clip}",
        str(subject),
        prepare_lips(shown),
        np.float32(sound),
        np.float32(spectrum),
    )


def judge(pieces: Sequence[Piece], step: int = 1) -> Verdict:
    def load() -> Iterator[Piece]:
        return iter(pieces)

    return judge_pieces(load, step, 90, "the test's curves")


CLIPS = 6
WRONG = {(subject, clip) for subject in range(10) for clip in (3, 5)}


@pytest.fixture(scope="module")
def mixed() -> list[Piece]:
    """Ten minutes of ten subjects, with other sound in a third of their clips."""
    pieces = []
    for subject in range(10):
        for clip in range(CLIPS):
            is_wrong = (subject, clip) in WRONG
            pieces.append(piece_of(subject, clip, wrong=is_wrong))
    return pieces


@pytest.fixture(scope="module")
def verdict(mixed) -> Verdict:
    return judge(mixed)


def test_wrong_sound_scores_below_the_threshold_and_right_sound_above(mixed, verdict):
    assert verdict.is_on
    below = {
        clip for clip, score in verdict.scores.items() if score < verdict.threshold
    }
    wrong = {f"{subject}/{clip}" for subject, clip in WRONG}

    # the figures that the gate must reach
    assert len(below & wrong) >= 0.8 * len(wrong)
    right = len(mixed) - len(wrong)
    assert len(below - wrong) <= 0.05 * right

    assert "folds by subject" in verdict.lines()[1]
    # a tenth of the wrong pairs passes
    assert np.mean(verdict.wrong >= verdict.threshold) == pytest.approx(0.1, abs=0.01)


def test_a_part_of_the_pieces_can_be_fitted(mixed, verdict):
    half = judge(mixed, step=2)
    assert half.is_on
    assert half.scores.keys() == verdict.scores.keys()
    assert half.scores != verdict.scores
    # an hour is fitted whole, and a tenth of ten hours
    assert fitted_step(60 * 60) == 1
    assert fitted_step(10 * 60 * 60) == 10


def test_a_constant_lag_is_told_from_that_of_people_who_talk(mixed):
    shifts = {"0/0": 8, "3/1": -6, "5/2": 2}
    pieces = []
    for piece in mixed:
        subject, clip = map(int, piece.clip.split("/"))
        shift = shifts.get(piece.clip)
        pieces.append(piece if shift is None else piece_of(subject, clip, shift=shift))
    verdict = judge(pieces)
    assert verdict.lags == {"0/0": 8, "3/1": -6}

    # the score is low without its lag, and high with it
    assert verdict.scores["0/0"] < verdict.threshold
    assert verdict.lagged["0/0"] > verdict.threshold

    # a lag of a small size is not one
    assert verdict.scores["5/2"] > verdict.threshold


def test_a_lag_that_changes_within_a_clip_is_none(mixed):
    first, second = piece_of(0, 0, shift=8), piece_of(0, 0, shift=-8)
    halves = np.concatenate([first.lips[: 5 * RATE], second.lips[5 * RATE :]])
    verdict = judge([replace(first, lips=halves), *mixed[1:]])
    assert verdict.lags == {}


def test_there_is_no_gate_for_a_small_set(mixed):
    verdict = judge(mixed[:11])
    assert not verdict.is_on
    assert "there are 11 clips, and 12 are needed" in verdict.lines()[-1]

    # twelve clips of ten seconds
    last_line = judge(mixed[:12]).lines()[-1]
    assert "there are 2.0 minutes, and 2.5 are needed" in last_line


def test_there_is_no_gate_where_right_and_wrong_pairs_are_alike():
    pieces = [piece_of(subject, 0, wrong=True) for subject in range(16)]
    verdict = judge(pieces)
    assert not verdict.is_on
    assert f"part by an area of {verdict.area:.2f} under the curve" in verdict.refusal
    assert verdict.area < 0.75


def test_folds_are_by_clip_or_piece_where_subjects_are_few(mixed):
    alike = [replace(piece, subject="a") for piece in mixed[:20]]
    assert "folds by clip, as there are fewer than 3 subjects" in judge(alike).folds

    # a single clip is cut into pieces
    alike = [replace(piece, clip="a") for piece in alike]
    assert "folds by piece, as there are fewer" in judge(alike).folds


def test_folds_keep_names_together_and_are_alike_in_size():
    names = [*"aaaabbccddee"]
    folds = fold_numbers(names, 3)
    assert all(
        len({folds[i] for i in range(12) if names[i] == name}) == 1 for name in names
    )
    # four names of each fold
    sizes = [folds.count(fold) for fold in range(3)]
    assert sizes == [4, 4, 4]


def test_a_correlation_is_found_at_its_lag():
    curve = np.random.default_rng(0).standard_normal((200, 2))
    lagged = lagged_correlations(curve[:-4], curve[4:], 6)
    # the first one shows later what the second one shows now
    assert int(np.argmax(lagged)) - 6 == 4
    assert lagged.max() == pytest.approx(1)


def test_the_area_is_the_share_of_pairs_in_order():
    right = np.array([1.0, 3.0])
    wrong = np.array([0.0, 2.0])
    # three of four pairs are in order
    assert area_under_curve(right, wrong) == pytest.approx(0.75)
    assert area_under_curve(right, right) == pytest.approx(0.5)


def test_slow_movement_of_lips_does_not_count():
    seconds = np.arange(500) / RATE
    # a smile of twenty seconds, and syllables
    slow = 5 * np.sin(2 * np.pi * 0.05 * seconds)
    quick = np.sin(2 * np.pi * 3 * seconds)
    lips = prepare_lips(np.stack([slow + quick, quick], axis=1))

    # the ends are left out, where a filter cannot know what comes
    middle = lips[50:-50]
    assert np.corrcoef(middle.T)[0, 1] > 0.98
    assert lips.std(axis=0) == pytest.approx([1, 1], rel=1e-3)
