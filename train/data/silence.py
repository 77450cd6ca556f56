"""Silence after a clip's end, for windows that reach beyond it."""

import numpy as np
from jaxtyping import Float32

from train.data.records import ClipRecord, feature_at


def with_silence(
    features: Float32[np.ndarray, "f width"],
    silence: Float32[np.ndarray, " width"],
    count: int,
) -> Float32[np.ndarray, "count width"]:
    """Return `count` audio features: a clip's, cut off or followed by `silence`."""
    # a longer clip is cut off
    sound = features[:count]
    rest = np.broadcast_to(silence, (count - len(sound), silence.size))
    return np.concatenate([sound, rest])


def quietest_feature(record: ClipRecord) -> Float32[np.ndarray, " width"]:
    """Return the feature of a clip's quietest frame, which stands for silence after it.

    Inference encodes silence there, as far as the last window reads. The data set holds
    the clip's features only, and silence encoded by itself would differ: the clip's
    maximum sets the floor of its log-mel.
    """
    # the feature that starts with this frame, or right before it
    quietest = int(record.envelope.argmin())
    return record.features[feature_at(quietest)].astype(np.float32)
