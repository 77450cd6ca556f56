"""Golden dependencies of live frames: the motion of a plain stand-in for the LMDM over
several windows, and the last sample of sound that moves each frame."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert_weights.ditto.conditions import reference_of
from convert_weights.ditto.recipe import DittoRecipe, read_video
from convert_weights.ditto.sound import PUBLISHED_LIVE, golden_samples, open_stub
from convert_weights.outputs import Outputs
from jaxportrait.drivers.ditto_windows import (
    Progress,
    PublishedStream,
    PublishedWindows,
)
from jaxportrait.features.chunks import (
    FRAME,
    Cutting,
    published_count,
    published_live_count,
)
from jaxportrait.features.onnx import ChunkFeatures, OnnxEncoder
from jaxportrait.motion.binned import BINNED_SCALE, BINNED_WIDTH

LENGTH = 80
"""Frames of a window."""
SAMPLES = 28_800
BLOCK = 80
"""Samples that change at once."""
OVERLAPS = (75, 70)


def run_overlaps() -> np.ndarray:
    """Return the overlaps whose silence has another number of frames than they need."""
    overlaps = np.arange(1, LENGTH)
    # Counts are rounded up, and some are one too many.
    counts = [published_count(int(overlap) * FRAME) for overlap in overlaps]
    return overlaps[counts != overlaps]


def run_dependency(recipe: DittoRecipe, folder: Path) -> Outputs:
    """Yield the dependencies of live frames.

    Args:
      folder: a folder to write graphs to.
    """
    samples = golden_samples(recipe, SAMPLES)
    encoder = open_stub(folder, Cutting().length)
    reference = reference_of(read_video(recipe, "source", 1))
    for overlap in OVERLAPS:
        player = Player(encoder, reference, overlap)
        motion, items = player.play(samples)
        shown = motion.copy()
        # Out of the windows come sizes, and not sizes less 1.
        shown[:, BINNED_SCALE] += 1
        yield f"dependency/{overlap}/motion", shown
        yield f"dependency/{overlap}/emitted_after", items
        last = last_samples(player, samples, motion)
        yield f"dependency/{overlap}/last_sample", last


@dataclass(frozen=True)
class Player:
    """Live windows whose network is a plain sum.

    Attributes:
      encoder: encodes sound.
      reference: the frame before the first window.
      overlap: frames that two windows share.
    """

    encoder: OnnxEncoder
    reference: np.ndarray
    overlap: int

    def play(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames of a sound, and after how many items each comes; the end
        counts as one."""
        windows = PublishedWindows(LENGTH, self.overlap, live=True)
        stream = PublishedStream(windows, self.reference, sum_up)
        # Silence is encoded as a whole clip is.
        silence = ChunkFeatures(self.encoder).encode(lambda: [], self.overlap)
        # The sound has the published lead of a live one.
        features = self.encode(samples)
        state = stream.begin(silence)
        pieces = []
        for first in range(0, len(features), PUBLISHED_LIVE.current):
            item = features[first : first + PUBLISHED_LIVE.current]
            frames, state = stream.push(state, item)
            pieces.append(frames)
        last, _ = stream.finish(state)
        pieces.append(last)
        lengths = [len(piece) for piece in pieces]
        return np.concatenate(pieces), np.repeat(1 + np.arange(len(pieces)), lengths)

    def encode(self, samples: np.ndarray) -> np.ndarray:
        count = published_live_count(len(samples), PUBLISHED_LIVE)
        features = ChunkFeatures(self.encoder, PUBLISHED_LIVE)
        return features.encode(lambda: [samples], count)


def sum_up(progress: Progress, values: np.ndarray, _: int) -> np.ndarray:
    """Return the motion of a window: each frame's condition, the mean condition of the
    window, and half of the frame before it."""
    condition = values[:, :BINNED_WIDTH]
    return condition + condition.mean(axis=0) + np.float32(0.5) * progress.earlier


def last_samples(player: Player, samples: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Return the end of the last block of sound whose change moves each frame.

    Args:
      motion: frames of the unchanged sound.
    """
    last = np.zeros(len(motion), int)
    count = published_live_count(len(samples), PUBLISHED_LIVE)
    # All samples of a chunk move its features: its last block decides.
    chunks = np.arange(count // PUBLISHED_LIVE.current)
    ends = PUBLISHED_LIVE.hop * chunks + PUBLISHED_LIVE.lookahead
    for end in np.unique(np.minimum(ends, len(samples))):
        changed = samples.copy()
        # A change that is far above the errors of float32.
        changed[end - BLOCK : end] += 1
        other, _ = player.play(changed)
        last[(other != motion).any(axis=1)] = end
    return last
