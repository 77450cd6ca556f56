"""Silence after a clip's end, for windows that reach beyond it."""

import numpy as np
from jaxtyping import Float32

from train.data.records import ClipRecord, feature_at


def with_silence(
    features: Float32[np.ndarray, "f width"],
    silence: Float32[np.ndarray, " width"],
    count: int,
) -> Float32[np.ndarray, "count width"]:
    """Audio features, cut off or followed by `silence` so that they are `count`."""
    kept = features[:count]
    return np.concatenate(
        [kept, np.broadcast_to(silence, (count - len(kept), silence.size))]
    )


def quietest_feature(record: ClipRecord) -> Float32[np.ndarray, " width"]:
    """What stands for silence after a clip's end: the feature of its quietest frame.

    Inference encodes silence there, as far as the last window reads. The data set has
    the features of the clip alone, and the encoder would hear silence after the clip
    otherwise than by itself: its context is the clip, whose maximum sets the floor of
    the log-mel.
    """
    return record.features[feature_at(int(record.envelope.argmin()))].astype(np.float32)
