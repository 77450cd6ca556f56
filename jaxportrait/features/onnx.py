"""Features of an encoder in an ONNX file, such as Ditto's HuBERT-large, which reads sound
in chunks of a fixed length."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.features.base import Stream
from jaxportrait.features.chunks import FRAME, ROWS, CutState, Cutting
from jaxportrait.media.audio import SAMPLE_RATE

WIDTH = 1024
"""Values of a feature of HuBERT-large."""
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Devices that may run the graph, the faster first."""


class OnnxEncoder:
    """A graph that turns the samples of a chunk into features.

    It has one float32 input, (1, samples), and one output whose last axis is the
    feature; an axis of the batch may be missing.

    Args:
      path: the ONNX file.
      width: values of a feature.

    Raises:
      CheckpointError: ONNX Runtime is not installed or cannot read the file, or the
        graph has other inputs or outputs.
    """

    def __init__(self, path: Path, width: int = WIDTH):
        self.path = path
        self.width = width
        self._session = _open_session(path)
        inputs = self._session.get_inputs()
        outputs = self._session.get_outputs()
        types = [(value.name, value.type) for value in inputs]
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            raise CheckpointError(
                f"{path} has the inputs {types}: expected one of float32, the samples of a chunk"
            )
        if len(outputs) != 1:
            names = ", ".join(value.name for value in outputs)
            raise CheckpointError(
                f"{path} has the outputs {names}: expected one, the features of a chunk"
            )
        self._input = inputs[0].name

    def __call__(
        self, samples: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, "rows width"]:
        """Return the features of a chunk."""
        # (samples,) -> (1, samples)
        feed = {self._input: np.ascontiguousarray(samples[None], np.float32)}
        (features,) = self._session.run(None, feed)
        if features.shape[-1:] != (self.width,) or features.dtype != np.float32:
            raise CheckpointError(
                f"{self.path} makes features {features.shape} of {features.dtype}: "
                f"expected {self.width} float32 values each"
            )
        # An axis of the batch may stand before the rows.
        return features.reshape(-1, self.width)


@dataclass(frozen=True)
class ChunkFeatures:
    """An encoder of chunks as `AudioFeatures`, one feature a frame.

    Whole clips and live sounds have the same features.

    Attributes:
      encoder: turns a chunk into features.
      cutting: the chunks.
      width: values of a feature.
    """

    encoder: Any
    cutting: Cutting = field(default_factory=Cutting)
    width: int = WIDTH

    @property
    def rate(self) -> float:
        return SAMPLE_RATE / FRAME

    @property
    def context(self) -> float:
        return self.cutting.length / SAMPLE_RATE

    @property
    def hop(self) -> int:
        return self.cutting.current

    @property
    def latency(self) -> float:
        return self.cutting.lookahead / SAMPLE_RATE

    def encode(
        self, stream: Stream, count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return the first `count` features of a whole clip, which silence follows."""
        return self._encode(self.cutting.cut(stream(), count))[:count]

    def start(self) -> CutState:
        """Return the state before the first sample."""
        return self.cutting.start()

    def step(
        self, state: CutState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "features width"], CutState]:
        """Return the features that a chunk of sound completes, and the next state."""
        chunks, state = self.cutting.step(state, samples)
        return self._encode(chunks), state

    def finish(
        self, state: CutState, count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return what is missing to the first `count` features; silence follows."""
        # The last chunk may reach beyond the frames that are wanted.
        missing = max(0, count - state.frames)
        return self._encode(self.cutting.finish(state, count))[:missing]

    def _encode(self, chunks: Any) -> Float32[np.ndarray, "features width"]:
        """Return the features of chunks, one after the other in one session."""
        features = [np.zeros((0, self.width), np.float32)]
        for chunk in chunks:
            features.append(self.cutting.features(self.encoder, chunk))
        return np.concatenate(features)


def check_encoder(encoder: OnnxEncoder, cutting: Cutting) -> None:
    """Run a chunk of silence; raise a CheckpointError unless it has the rows of its
    frames."""
    expected = ROWS * cutting.length // FRAME
    try:
        rows = encoder(np.zeros(cutting.length, np.float32))
    except CheckpointError:
        raise
    # The runtime's errors have no class of their own.
    except Exception as error:
        line = str(error).splitlines()[0]
        raise CheckpointError(
            f"{encoder.path} does not run on a chunk of {cutting.length} samples ({line}): "
            "use the graph that Ditto publishes"
        ) from error
    if len(rows) != expected:
        raise CheckpointError(
            f"{encoder.path} makes {len(rows)} features of {cutting.length} samples: expected {expected}"
        )


def _open_session(path: Path) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{path.name} needs ONNX Runtime, which is not installed: pip install 'jaxportrait[ditto]', "
            "or onnxruntime-gpu in its place on a GPU"
        ) from error
    options = onnxruntime.SessionOptions()
    # Errors are raised; warnings about a graph are of no use to a user.
    options.log_severity_level = 4
    available = onnxruntime.get_available_providers()
    providers = [name for name in PROVIDERS if name in available]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers)
    except Exception as error:
        line = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} cannot be read as an ONNX graph ({line}): fetch it again"
        ) from error
