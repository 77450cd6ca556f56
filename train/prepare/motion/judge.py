"""The gate `lip_sound`: clips whose sound does not move their lips are left out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from rich.console import Console

from jaxportrait.motion.space import MOTION_FPS, MOTION_SPACES
from jaxportrait.ranges import OptionError, Range, check_ranges
from train.data.lips import LipAxis, learn_lip_axis
from train.data.records import ClipRecord, decode_record
from train.data.spacing import evenly_spaced
from train.prepare.gather import Judge, Stored
from train.prepare.manifest import Entry
from train.prepare.motion.lag import lag_in_frames, shift_spans
from train.prepare.quality.gates import Limit
from train.prepare.quality.lip_sound import (
    Verdict,
    fitted_step,
    folds_by_subject,
    judge_pieces,
)
from train.prepare.quality.pieces import cut_pieces, lips_of_motion
from train.prepare.quality.regression import Piece

AXIS_CLIPS = 64
"""Most clips that the lip axis is learnt from."""
FACE = MOTION_SPACES["face"]


@dataclass(frozen=True)
class LipSoundOptions:
    """The comparison of lips and sound.

    Attributes:
      lip_sound: `auto` leaves out clips whose sound does not move their lips, where the
        data set is large enough to tell; `off` compares nothing.
      lip_sound_percentile: percentile of the scores of wrong pairs that a clip must
        reach.
      fix_lag: shift the sound of clips whose lips follow or precede it by a constant
        lag of a fifth of a second or more.
    """

    lip_sound: Literal["auto", "off"] = "auto"
    lip_sound_percentile: Annotated[float, Range(0, 100)] = 90.0
    fix_lag: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.fix_lag and self.lip_sound == "off":
            raise OptionError(
                "--fix-lag needs the comparison that --lip-sound off leaves out: leave out either"
            )


@dataclass
class LipJudge(Judge):
    """Compares lips and sound of the clips that passed the other gates.

    Attributes:
      options: threshold and correction.
      reads_mesh: lips are read by the face mesh, otherwise from motion.
      console: place for lines about the result.
      verdict: the scores, once clips are judged.
    """

    options: LipSoundOptions
    reads_mesh: bool
    console: Console
    verdict: Verdict | None = field(default=None, init=False)

    def judge(self, entries: list[Entry], stored: Stored) -> list[Entry]:
        """Return the entries with their scores, and the reasons of those left out."""
        if self.options.lip_sound == "off":
            return entries
        # clips with other flaws would mislead the regression
        usable = [entry for entry in entries if not entry.reason]
        seconds = sum(entry.seconds for entry in usable)
        lips = (
            "the face mesh" if self.reads_mesh else "motion, along its learnt lip axis"
        )
        self.verdict = judge_pieces(
            self._loader(usable, stored),
            fitted_step(seconds),
            self.options.lip_sound_percentile,
            lips,
        )
        for line in self.verdict.lines():
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        return [self._judge(entry, self.verdict) for entry in entries]

    def _loader(
        self, entries: Sequence[Entry], stored: Stored
    ) -> Callable[[], Iterator[Piece]]:
        """Return a function that reads the pieces of clips."""
        # learnt once, not at each call of `load`
        axis = None if self.reads_mesh else _learn_axis(entries, stored)
        apart = not folds_by_subject(entry.subject for entry in entries)

        def load() -> Iterator[Piece]:
            for entry in entries:
                evidence = stored.evidence(entry.clip)
                record = decode_record(stored.record(entry.clip))
                lips = evidence.lips if axis is None else _motion_lips(axis, record)
                # The mesh may see no face where another detector does.
                if lips is not None and evidence.spectrum is not None:
                    yield from cut_pieces(entry, record, evidence, lips, apart=apart)

        return load

    def _judge(self, entry: Entry, verdict: Verdict) -> Entry:
        """Return an entry with its score, and the reason if it does not pass."""
        # left out before, or without a piece: no lips, or too short
        if entry.clip not in verdict.scores:
            return entry
        scored = replace(entry, lip_sound=round(verdict.scores[entry.clip], 4))
        if not verdict.is_on:
            return scored
        lag = verdict.lags.get(entry.clip)
        if lag is not None:
            scored = replace(scored, lag=lag_in_frames(lag))
            if self.options.fix_lag:
                return _fix_lag(scored, verdict)
        limit = Limit(
            "lip_sound", least=verdict.threshold, setting="lip-sound-percentile"
        )
        if limit.passes(scored):
            return scored
        reason = limit.reason(scored)
        if lag is not None:
            side = "follow" if lag > 0 else "precede"
            seconds = abs(lag_in_frames(lag)) / MOTION_FPS
            reason += f"; its lips {side} the sound by {seconds:.2f} s: try --fix-lag"
        return replace(scored, reason=reason)


def _fix_lag(entry: Entry, verdict: Verdict) -> Entry:
    """Return the entry of a clip whose lag is removed from its record."""
    lag = entry.lag
    assert lag is not None
    # frames of the record, which ends with its last span
    stop = max(stop for _, stop in entry.spans)
    spans = shift_spans(entry.spans, lag, stop)
    frames = sum(stop - start for start, stop in spans)
    if not frames:
        return replace(entry, reason=f"nothing is left without its lag of {lag} frames")
    remark = f"its sound was shifted by {lag} frames (--fix-lag)"
    return replace(
        entry,
        spans=spans,
        frames=frames,
        seconds=round(frames / MOTION_FPS, 3),
        lip_sound=round(verdict.lagged[entry.clip], 4),
        remark="; ".join(filter(None, (entry.remark, remark))),
    )


def _learn_axis(entries: Sequence[Entry], stored: Stored) -> LipAxis | None:
    """Return the direction of lips that move, by some of the clips; None of none."""
    if not entries:
        return None
    places = evenly_spaced(len(entries), AXIS_CLIPS)
    names = [entries[place].clip for place in places]
    return learn_lip_axis(decode_record(stored.record(name)) for name in names)


def _motion_lips(axis: LipAxis, record: ClipRecord) -> np.ndarray:
    """Return the opening of a record's lips, 25 a second."""
    return lips_of_motion(axis.opening(record.motion, FACE))
