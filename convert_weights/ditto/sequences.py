"""Golden motion over several of Ditto's windows, offline and live."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.ditto.conditions import reference_of
from convert_weights.ditto.recipe import DittoRecipe, read_video
from convert_weights.outputs import Outputs
from jaxportrait.drivers.ditto_condition import (
    NEUTRAL,
    Emotions,
    Face,
    condition_tail,
    emotion_weights,
)
from jaxportrait.drivers.ditto_program import GuidedLMDM, encode_null, sample_window
from jaxportrait.drivers.ditto_windows import (
    Progress,
    PublishedStream,
    PublishedWindows,
    cross_fade,
    make_offline,
    smooth_joint,
)
from jaxportrait.features.onnx import WIDTH
from jaxportrait.media.faces.eyeballs import (
    MESH_POINTS,
    eye_openness,
    eyeball_offsets,
)
from jaxportrait.models.lmdm import LMDM
from jaxportrait.motion.binned import BINNED_SCALE, smooth_pose

LIMITS = (-1.0, 1.5)
"""Smallest and largest value of every number, where a case has limits."""
ITEM = 5
"""Features that arrive at once."""


@dataclass
class Recorder:
    """Samples windows as a case does, and keeps what each of them reads and makes.

    Attributes:
      outputs: golden name, without that of the case -> array.
    """

    recipe: DittoRecipe
    name: str
    case: dict[str, Any]
    model: GuidedLMDM
    windows: PublishedWindows
    face: Face
    outputs: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(
        self, progress: Progress, values: np.ndarray, start: int
    ) -> np.ndarray:
        window = progress.windows
        config = self.model.network.config
        shape = (1, config.frames, config.motion_width)
        initial = self.recipe.input(f"{self.name}/initial/{window}", shape)[0]
        steps = self.case["steps"]
        emotions = Emotions(emotion_weights(NEUTRAL)[None])
        # Every frame has the emotion and the face of a still picture.
        tail = condition_tail(self.face, emotions, start, config.frames)
        predicted = sample_window(
            self.model,
            jnp.asarray(np.concatenate([values, tail], axis=1)),
            jnp.asarray(progress.earlier),
            jnp.asarray(initial),
            self.recipe.fresh_noise(self.case["size"], steps),
            steps=steps,
            guided=True,
        )
        self._record(progress, np.asarray(predicted))
        return np.asarray(predicted)

    def _record(self, progress: Progress, predicted: np.ndarray) -> None:
        window = progress.windows
        self.outputs[f"kp_cond/{window}"] = progress.earlier
        self.outputs[f"predicted/{window}"] = predicted
        if window == 0:
            smoothed = smooth_pose(predicted, self.windows.smoothing)
            self.outputs["smoothed/0"] = smoothed
            return
        fused = cross_fade(self.windows, progress.motion, predicted)
        # One frame before the joint and two after it.
        joint = len(fused) - self.windows.fresh
        shown = slice(joint - self.windows.fade - 1, joint + 2)
        self.outputs[f"fused/{window}"] = fused[shown]
        smoothed = smooth_joint(self.windows, fused)
        self.outputs[f"smoothed/{window}"] = smoothed[shown]


def run_sequences(recipe: DittoRecipe, network: LMDM, size: str) -> Outputs:
    """Yield every golden output of the sequences of a size."""
    model = GuidedLMDM(network, encode_null(network), recipe.guidance(size))
    for name, case in recipe.manifest["sequences"].items():
        if case["size"] != size:
            continue
        windows = read_windows(case, network.config.frames)
        face = read_face(recipe)
        recorder = Recorder(recipe, name, case, model, windows, face)
        reference = reference_of(read_video(recipe, "source", 1))
        run = run_live if windows.live else run_offline
        for key, value in run(recorder, reference).items():
            yield f"{name}/{key}", value
        # Windows have an axis of the batch.
        for key, value in recorder.outputs.items():
            yield f"{name}/{key}", value[None]


def read_windows(case: dict[str, Any], length: int) -> PublishedWindows:
    options = case["options"]
    # A case without a range continues no value after a reset.
    first, stop = options.get("fix_kp_cond_dim") or (0, 0)
    return PublishedWindows(
        length,
        case["overlap"],
        live=case["mode"] == "online",
        reset_every=options.get("fix_kp_cond", 0),
        continued=(first, stop),
        smoothing=options.get("smo_k_d", 3),
    )


def read_face(recipe: DittoRecipe) -> Face:
    """Return the face of the source picture."""
    mesh = recipe.input("conditions/landmarks", (1, MESH_POINTS, 3), 0.1, 0.5)
    keypoints = read_video(recipe, "source", 1)["kp"][0, 0]
    return Face(eye_openness(mesh), eyeball_offsets(mesh), keypoints)


def run_offline(recorder: Recorder, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Return the motion of a whole sound."""
    frames = recorder.case["frames"]
    audio = recorder.recipe.input(f"{recorder.name}/audio", (frames, WIDTH), 0.5)
    # The condition is completed in the recorder, window by window.
    motion, final = make_offline(recorder.windows, audio, reference, recorder)
    return {
        "sequence": motion[None],
        "final": final[None],
        "emitted": emit(final, recorder.case),
        # The whole sound is one item.
        "emitted_after": np.ones(frames),
    }


def run_live(recorder: Recorder, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Return the motion of a sound that arrives item by item."""
    case = recorder.case
    name = recorder.name
    audio = recorder.recipe.input(f"{name}/audio", (case["frames"], WIDTH), 0.5)
    silence = recorder.recipe.input(f"{name}/silence", (case["overlap"], WIDTH), 0.5)
    stream = PublishedStream(recorder.windows, reference, recorder)
    state = stream.begin(silence)
    pieces = []
    counts = []
    for first in range(0, case["frames"], ITEM):
        frames, state = stream.push(state, audio[first : first + ITEM])
        pieces.append(frames)
        counts += [first // ITEM + 1] * len(frames)
    # The end counts as an item.
    frames, state = stream.finish(state)
    pieces.append(frames)
    counts += [-(-case["frames"] // ITEM) + 1] * len(frames)
    return {
        "d0": emit(state.anchor, case)[0],
        "emitted": emit(np.concatenate(pieces), case),
        "emitted_after": np.array(counts),
    }


def emit(motion: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """Return motion as the composition of keypoints reads it: limited, with the size
    itself in place of the size minus 1."""
    if case["options"].get("v_min_max_for_clip"):
        motion = np.clip(motion, *LIMITS)
    emitted = motion.copy()
    emitted[:, BINNED_SCALE] += 1
    return emitted
