"""Ditto's network as a driver of whole clips: a voice -> head, lips, eyes and blinks.

Source: Ditto. It samples windows one after the other and hands a frame from each to the
next; here they overlap by half and are made together.
"""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from jaxportrait.checkpoint import Checkpoint, CheckpointError
from jaxportrait.drivers.base import SourceFace, frame_count
from jaxportrait.drivers.blinks import BlinkCurve, add_blinks
from jaxportrait.drivers.ditto_condition import (
    EMOTIONS,
    TAIL_WIDTH,
    Emotions,
    Face,
    condition_tail,
    read_source,
)
from jaxportrait.drivers.ditto_config import FPS, DittoDriverConfig, DittoTraits
from jaxportrait.drivers.ditto_program import (
    GuidedLMDM,
    encode_null,
    sample_fused,
    sample_live,
)
from jaxportrait.drivers.ditto_published import PublishedLive, sample_whole
from jaxportrait.drivers.live_windows import Live, LiveWindows
from jaxportrait.drivers.sampling import (
    MotionSampling,
    SampledDriver,
    check_windows,
)
from jaxportrait.drivers.windows import WindowPlan, plan_windows, plans_up_to
from jaxportrait.features.base import AudioFeatures
from jaxportrait.features.onnx import ChunkFeatures, OnnxEncoder
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.models.lmdm import LMDM, LMDMConfig, MotionCondition
from jaxportrait.motion.binned import clip_of_binned, smooth_pose
from jaxportrait.motion.clip import MotionClip, Performer

WINDOWS = ("fused", "original")
STEPS = 50
LIVE_STEPS = 10
"""Steps of sampling by default, as published: of whole clips and of live sound."""
LIVE_HOP = 5
"""Frames that a live window adds, which are those of a chunk of sound; as many follow
them."""


@dataclass(frozen=True)
class DittoDriver(DittoTraits, SampledDriver):
    """Ditto's network over whole clips.

    Attributes:
      network: the LMDM.
      null: its condition of no condition, computed once.
      features: the audio features that it reads.
      face: the face whose motion it makes.
      emotions: emotions of frames, unless others are chosen.
      reference: the face's first frame, which precedes the first window.
      limits: smallest and largest value of each number of motion.
      performer: the face, as compositions read it; None for the source itself.
      curve: offsets of the expression in each frame of a blink.
      cfg_scale: guidance where `sampling` has none.
      sampling: options of the sampling.
      full_precision: whether products have full float32 factors, which accelerators
        round by default.
      chosen: emotions by the options of the sampling.
    """

    network: LMDM
    null: MotionCondition
    features: AudioFeatures
    face: Face
    emotions: Emotions
    reference: Float32[np.ndarray, " 265"]
    limits: Float32[np.ndarray, "2 265"]
    performer: Performer | None
    curve: Float32[np.ndarray, "b 63"]
    cfg_scale: float
    sampling: MotionSampling = field(default_factory=MotionSampling)
    full_precision: bool = False
    chosen: Emotions | None = None

    @property
    def steps(self) -> int:
        """Steps of the diffusion in use for whole clips."""
        return self.sampling.steps or STEPS

    @property
    def live_steps(self) -> int:
        """Steps of the diffusion in use for live sound."""
        return self.sampling.steps or LIVE_STEPS

    @property
    def width(self) -> int:
        return self.network.config.motion_width

    @property
    def sizes(self) -> LMDMConfig:
        return self.network.config

    @property
    def default_live(self) -> Live:
        # All of the window that is not needed for new frames holds earlier ones.
        held = self.sizes.frames - 2 * LIVE_HOP
        return Live(held / FPS, LIVE_HOP / FPS)

    def make(self, input: Audio, *, seed: int, frames: int | None = None) -> MotionClip:
        """Return the motion of a clip of sound; silence follows it.

        Motion is counted from its first frame. "original" windows are the published
        ones, whose noise comes from the seed here.
        """
        length = frame_count(input.duration, FPS) if frames is None else frames
        if self.sampling.windows == "original":
            motion = self.sample_original(input, seed=seed)
        else:
            motion = smooth_pose(self.sample_fused(input, length, seed=seed))
        # Published counts may differ from the sound's by a frame.
        clip = self.clip_of(motion)[:length].pad(length)
        rest = clip[:1]
        key = jax.random.key(seed)
        return replace(self.add_blinks(clip, rest, key, total=length), rest=rest)

    def add_blinks(
        self,
        clip: MotionClip,
        rest: MotionClip,
        key: PRNGKeyArray,
        first: int = 0,
        total: int | None = None,
    ) -> MotionClip:
        """Return a clip with the blinks of the options; see `blinks.add_blinks`."""
        curve = BlinkCurve(self.curve, self.sampling.windows == "original")
        blinks = self.sampling.blinks
        return add_blinks(clip, rest, blinks, curve, key, first, total)

    def clip_of(self, motion: Float32[np.ndarray, "frames 265"]) -> MotionClip:
        """Return the clip of motion as the network makes it."""
        # Limits are imposed on the way out, and never within the sampling.
        clipped = np.clip(motion, self.limits[:1], self.limits[1:])
        performer = self.performer
        if performer is not None and self.sampling.blinks != "model":
            performer = replace(performer, scales_eyes=False)
        return replace(clip_of_binned(clipped, FPS), performer=performer)

    def sample_fused(
        self, audio: Audio, frames: int, *, seed: int
    ) -> Float32[np.ndarray, "frames 265"]:
        """Return the motion of windows that overlap by half and are made together."""
        plan, count = plan_windows(frames, self.network.config, "fused")
        values = self.condition(audio, frames)
        # The last frame is repeated to the end of the last window.
        rows = np.minimum(np.arange(plan.frames), frames - 1)
        return self._sample(values[rows], count, plan, seed)[:frames]

    def sample_original(
        self, audio: Audio, *, seed: int
    ) -> Float32[np.ndarray, "frames 265"]:
        """Return the motion of the published windows of a whole clip."""
        return sample_whole(self, audio, jax.random.key(seed))

    def condition(
        self, audio: Audio, frames: int
    ) -> Float32[np.ndarray, "frames 1103"]:
        """Return the frames of the condition of a whole clip."""
        # One feature a frame, so that no resampling is needed.
        return self.complete(self.features.encode(audio.stream, frames), 0)

    def complete(
        self, features: Float32[np.ndarray, "n a"], start: int
    ) -> Float32[np.ndarray, "n 1103"]:
        """Return the frames of the condition: features of sound, emotion and face.

        Args:
          start: number of the first frame.
        """
        tail = condition_tail(
            self.face, self.chosen or self.emotions, start, len(features)
        )
        return np.concatenate([features, tail], axis=1)

    def start_window(self) -> Float[Array, "t d"]:
        """Return the motion before the first live window, which nothing reads."""
        return jnp.zeros((self.sizes.frames, self.width))

    def sample_window(
        self,
        windows: LiveWindows,
        features: Float32[np.ndarray, "t a"],
        key: PRNGKeyArray,
        continued: Float[Array, "t d"],
        window: int,
    ) -> tuple[Float32[np.ndarray, "stride d"], Float[Array, "t d"]]:
        """Return the frames that a live window emits, and all of its motion."""
        values = self.complete(features, windows.start(window))
        with self.products():
            motion = sample_live(
                self.model(),
                jnp.asarray(values),
                jnp.asarray(self.reference),
                key,
                continued,
                jnp.asarray(window, jnp.int32),
                windows=windows,
                steps=self.live_steps,
                guided=self.guidance > 1,
            )
        # Neighbours are read, but nothing is shown before the first frame.
        first = windows.held - min(window, 1)
        stop = windows.held + windows.stride
        smoothed = smooth_pose(np.asarray(motion)[first : stop + 1])
        return smoothed[windows.held - first : stop - first], motion

    def published_live(self, live: Live | None = None) -> PublishedLive:
        """Return the driver of the published windows of live sound."""
        return PublishedLive(self, live or self.default_live)

    def with_sampling(self, sampling: MotionSampling) -> "DittoDriver":
        """Return this driver with other options.

        Raises:
          OSError: the file of emotions cannot be read.
          OptionError: the file is wrong, or there are no such windows.
        """
        check_windows(sampling.windows, WINDOWS, "Ditto's network")
        sampling.check_face(has_face=True, emotion_names=EMOTIONS)
        chosen = sampling.chosen_emotions(FPS)
        return replace(self, sampling=sampling, chosen=chosen)

    def with_source(self, source: SourceFace) -> "DittoDriver":
        """Return this driver with the source's face in place of the character's: its
        eyes, its keypoints and its first frame."""
        face, reference = read_source(source)
        return replace(self, face=face, reference=reference, performer=None)

    def warm_up(self, frames: int) -> None:
        """Compile what clips of up to so many frames need."""
        config = self.network.config
        if self.sampling.windows == "original":
            sound = Audio.from_samples(np.zeros(1, np.float32), SAMPLE_RATE)
            self.sample_original(sound, seed=0)
            return
        for plan in plans_up_to(frames, config, "fused"):
            values = np.zeros((plan.frames, config.condition_width), np.float32)
            # Without windows, the program is compiled and loops over nothing.
            self._sample(values, 0, plan, seed=0)

    def model(self) -> GuidedLMDM:
        """Return the network with the guidance in use."""
        guidance = jnp.asarray(self.guidance, jnp.float32)
        return GuidedLMDM(self.network, self.null, guidance)

    def _sample(
        self,
        values: Float32[np.ndarray, "frames v"],
        count: int,
        plan: WindowPlan,
        seed: int,
    ) -> Float32[np.ndarray, "frames 265"]:
        """Return the motion of the plan's first `count` windows."""
        with self.products():
            motion = sample_fused(
                self.model(),
                jnp.asarray(values),
                jnp.asarray(self.reference),
                jax.random.key(seed),
                jnp.asarray(count),
                plan=plan,
                steps=self.steps,
                # Static: without guidance the program has half the rows.
                guided=self.guidance > 1,
            )
        return np.asarray(motion)


def load_ditto(
    checkpoint: Checkpoint,
    *,
    name: str | None = None,
    dtype: DTypeLike = jnp.float32,
    full_precision: bool = False,
) -> DittoDriver:
    """Load Ditto's network of a checkpoint, its character and the graph that encodes
    sound.

    Args:
      name: name of the checkpoint's driver; by default the only one.
      dtype: compute dtype of the network; audio features are always float32.
      full_precision: see `DittoDriver`.

    Raises:
      CheckpointError: the driver or a part of it is missing, or damaged.
    """
    config: DittoDriverConfig = checkpoint.driver(name).config
    checkpoint.require([config.network, config.character])
    if config.features not in checkpoint.files:
        raise CheckpointError(
            f"checkpoint {checkpoint.path} holds no file {config.features}, which encodes sound: convert it again"
        )
    # The network's width decides how many values of a feature it reads.
    network = checkpoint.network(config.network, dtype=dtype)
    character = checkpoint.leaves(config.character)
    width = network.config.condition_width - TAIL_WIDTH
    encoder = OnnxEncoder(checkpoint.files[config.features], width)
    return DittoDriver(
        network,
        encode_null(network),
        ChunkFeatures(encoder, width=width),
        Face(character["openness"], character["eyeballs"], character["keypoints"]),
        Emotions(character["emotions"]),
        character["reference"],
        character["limits"],
        Performer(float(character["scale"][0])),
        character["blink"],
        config.cfg_scale,
        full_precision=full_precision,
    )
