"""Checks that a driver of sound fits its networks and its statistics."""

from collections.abc import Mapping
from math import isclose
from typing import Any

import numpy as np

from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.drivers.windows import WindowSizes
from jaxportrait.models.parts import NETWORKS, kind_of
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND


def check_space(space: str) -> None:
    """Raise a ValueError unless there is a motion space of this name."""
    if space not in MOTION_SPACES:
        raise ValueError(
            f"there is no motion space {space!r}: choose one of {', '.join(MOTION_SPACES)}"
        )


def require_statistics(statistics: MotionStatistics | None) -> MotionStatistics:
    """Return the statistics; raise a CheckpointError where there are none."""
    if statistics is None:
        raise CheckpointError(
            "it needs the mean and deviation of its motion: pass statistics"
        )
    return statistics


def statistics_widths(statistics: MotionStatistics) -> set[int]:
    """Return the lengths of mean and deviation."""
    # Both are vectors.
    return {*np.shape(statistics.mean), *np.shape(statistics.std)}


def check_rate(fps: float, sizes: WindowSizes) -> None:
    """Raise a CheckpointError unless a window's features last as long as its frames."""
    expected = FEATURES_PER_SECOND * sizes.motion_frames / sizes.audio_frames
    if not isclose(fps, expected):
        raise CheckpointError(
            f"its fps is {fps:g}, and {sizes.motion_frames} frames last as long as "
            f"{sizes.audio_frames} features, {FEATURES_PER_SECOND} a second: it must be {expected:g}"
        )


def check_encoder(
    parts: Mapping[str, Any], name: str, audio_width: int, network: str
) -> None:
    """Raise a CheckpointError unless an audio encoder makes what a network reads.

    A checkpoint of only a driver has its encoder elsewhere.

    Args:
      parts: name -> config of the checkpoint's networks.
      name: part that encodes sound.
      audio_width: values of a feature that the network reads.
      network: name of the network in messages.
    """
    encoder = parts.get(name)
    # It may be in another checkpoint.
    if encoder is None:
        return
    if NETWORKS[kind_of(encoder)].role != "audio features":
        raise CheckpointError(
            f"its audio encoder {name} is of kind {kind_of(encoder)}, which encodes no sound"
        )
    if encoder.width != audio_width:
        raise CheckpointError(
            f"its audio encoder {name} makes features of {encoder.width} values and the {network} "
            f"reads {audio_width}: choose the encoder that the {network.split()[-1]} was trained with"
        )
