"""The flow transformer as a driver of whole clips: a voice -> motion.

Source: the audio-driven LivePortrait. It samples windows one by one; here they overlap
and are made together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from jaxportrait.checkpoint import Checkpoint, CheckpointError
from jaxportrait.drivers.base import frame_count
from jaxportrait.drivers.fit import (
    check_encoder,
    check_rate,
    check_space,
    require_statistics,
    statistics_widths,
)
from jaxportrait.drivers.flow_program import (
    EmotionGuidance,
    sample_live_window,
    sample_motion,
)
from jaxportrait.drivers.live_windows import Live, LiveWindows
from jaxportrait.drivers.sampling import (
    MotionSampling,
    SampledDriver,
    check_windows,
)
from jaxportrait.drivers.windows import (
    WindowMode,
    WindowPlan,
    WindowSizes,
    plan_windows,
    plans_up_to,
)
from jaxportrait.features.base import AudioFeatures
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import Audio
from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    MotionSpace,
    MotionStatistics,
)
from jaxportrait.ranges import FrameRate, Guidance, Natural, check_ranges


@dataclass(frozen=True)
class FlowDriverConfig:
    """A driver that samples motion from sound with a flow transformer.

    Attributes:
      features: the part that encodes sound; another checkpoint may hold it.
      transformer: the part that makes the motion.
      space: name of the motion space (`MOTION_SPACES`) that the transformer makes.
      fps: frames of motion a second.
      cfg_scale: default scale of classifier-free guidance.
      emotion_names: emotions that the transformer knows, in its order.
      emotion_levels: highest level of each in the clips that it was trained on, which
        strength 1 stands for; 0 where they had no levels.
    """

    features: str = "whisper"
    transformer: str = "flow_transformer"
    space: str = "lip"
    fps: FrameRate = float(MOTION_FPS)
    cfg_scale: Guidance = 4.5
    emotion_names: tuple[str, ...] = ()
    emotion_levels: tuple[Natural, ...] = ()

    @property
    def moves_head(self) -> bool:
        return MOTION_SPACES[self.space].has_pose

    @property
    def motion_part(self) -> str:
        """Name of the part that makes the motion."""
        return self.transformer

    def __post_init__(self) -> None:
        check_ranges(self)
        check_space(self.space)

    def check(
        self, parts: Mapping[str, Any], statistics: MotionStatistics | None
    ) -> None:
        """Raise a CheckpointError unless the driver fits its parts and statistics."""
        transformer = parts.get(self.transformer)
        if not isinstance(transformer, FlowTransformerConfig):
            raise CheckpointError(
                f"it names the flow transformer {self.transformer}, which is not among the parts: add it"
            )
        statistics = require_statistics(statistics)
        # All of these are the width of a frame of motion.
        widths = {
            transformer.motion_width,
            MOTION_SPACES[self.space].width,
            *statistics_widths(statistics),
        }
        if len(widths) > 1:
            raise CheckpointError(
                f"its transformer makes {transformer.motion_width} values a frame, the motion space {self.space} has "
                f"{MOTION_SPACES[self.space].width} and the statistics {len(statistics.mean)}: they must be equal"
            )
        if len(self.emotion_levels) != len(self.emotion_names):
            raise CheckpointError(
                f"it has {len(self.emotion_levels)} levels for {len(self.emotion_names)} emotions: name one for each"
            )
        if len(self.emotion_names) != transformer.emotions:
            raise CheckpointError(
                f"it names {len(self.emotion_names)} emotions and its transformer knows {transformer.emotions}: "
                "they must be equally many"
            )
        check_rate(self.fps, transformer)
        check_encoder(parts, self.features, transformer.audio_width, "flow transformer")


STEPS = 25
"""Euler steps by default: the published number."""


@dataclass(frozen=True)
class FlowDriver(SampledDriver):
    """The flow transformer over whole clips.

    Attributes:
      network: in its inference form.
      space: the values of a frame that the network makes.
      statistics: normalisation of the motion space.
      features: the audio features that the network reads.
      cfg_scale: guidance where `sampling` has none.
      sampling: options of the sampling.
      full_precision: whether products have full float32 factors, which accelerators
        round by default.
      fps: frames of motion a second.
      emotion_names: emotions that the network knows, in its order.
    """

    network: FlowTransformer
    space: MotionSpace
    statistics: MotionStatistics
    features: AudioFeatures
    cfg_scale: float
    sampling: MotionSampling = field(default_factory=MotionSampling)
    full_precision: bool = False
    fps: float = MOTION_FPS
    emotion_names: tuple[str, ...] = ()

    @property
    def moves_head(self) -> bool:
        return self.space.has_pose

    def make(self, input: Audio, *, seed: int, frames: int | None = None) -> MotionClip:
        """Return the motion of a clip of sound; silence follows it."""
        if frames is None:
            frames = frame_count(input.duration, self.fps)
        features = self.encode(input, frames)
        clip = self.clip_of(self.sample(features, frames, seed=seed))
        if self.neutral is None:
            return clip
        motion = self.neutral.sample(features, frames, seed=seed)
        return replace(clip, neutral=self.clip_of(motion))

    def clip_of(self, motion: Float32[np.ndarray, "n d"]) -> MotionClip:
        """Return the clip of values of the motion space."""
        return MotionClip.from_values(motion, self.space, self.fps)

    def encode(self, audio: Audio, frames: int) -> Float32[np.ndarray, "features a"]:
        """Return the features of a clip of so many frames, padded to the windows' plan.

        Silence follows the clip.
        """
        # A window reads whole features, also where the clip ends within it.
        config = self.network.config
        plan, count = plan_windows(frames, config, self.window_mode)
        length = plan.features_of(count)
        features = np.zeros((plan.features, config.audio_width), np.float32)
        with self.products():
            features[:length] = self.features.encode(audio.stream, length)
        return features

    def sample(
        self, features: Float32[np.ndarray, "features a"], frames: int, *, seed: int
    ) -> Float32[np.ndarray, "frames d"]:
        """Return the first `frames` frames of a clip, in the motion space's units.

        Args:
          features: those of `encode`.
        """
        plan, count = plan_windows(frames, self.network.config, self.window_mode)
        return self._sample(features, count, plan, seed)[:frames]

    @property
    def width(self) -> int:
        return self.space.width

    @property
    def sizes(self) -> WindowSizes:
        return self.network.config

    @property
    def default_live(self) -> Live:
        return Live()

    @property
    def steps(self) -> int:
        """Euler steps in use."""
        return self.sampling.steps or STEPS

    @property
    def window_mode(self) -> WindowMode:
        """The windows in use, which `with_sampling` has checked."""
        return cast(WindowMode, self.sampling.windows)

    @property
    def emotion(self) -> EmotionGuidance | None:
        """The emotion in use; None for motion by the sound only."""
        if self.sampling.emotion is None:
            return None
        index = self.emotion_names.index(self.sampling.emotion)
        return EmotionGuidance(
            jax.nn.one_hot(index, len(self.emotion_names)),
            jnp.asarray(self.sampling.emotion_strength, jnp.float32),
        )

    @property
    def neutral(self) -> "FlowDriver | None":
        """This driver without its emotion; None where no emotion is in use.

        It differs in the strength only, so that the same programs make its motion.
        """
        sampling = self.sampling
        if sampling.emotion is None or sampling.emotion_strength == 0:
            return None
        return replace(self, sampling=replace(sampling, emotion_strength=0.0))

    def with_sampling(self, sampling: MotionSampling) -> "FlowDriver":
        """Return this driver with other options; raise an OptionError for windows or an
        emotion that it does not have."""
        sampling.check_face(has_face=False, emotion_names=self.emotion_names)
        check_windows(sampling.windows, get_args(WindowMode), "the flow transformer")
        return replace(self, sampling=sampling)

    def warm_up(self, frames: int) -> None:
        """Compile what clips of up to so many frames need."""
        # An empty stream is padded with silence to one feature.
        with self.products():
            self.features.encode(lambda: [], 1)
        config = self.network.config
        for plan in plans_up_to(frames, config, self.window_mode):
            features = np.zeros((plan.features, config.audio_width), np.float32)
            # Without windows, the program is compiled and loops over nothing.
            self._sample(features, 0, plan, seed=0)

    def start_window(self) -> Float[Array, "t d"]:
        """Return the motion before the first live window, which nothing reads."""
        config = self.network.config
        return jnp.zeros((config.motion_frames, config.motion_width))

    def sample_window(
        self,
        windows: LiveWindows,
        features: Float32[np.ndarray, "s a"],
        key: PRNGKeyArray,
        continued: Float[Array, "t d"],
        window: int,
    ) -> tuple[Float32[np.ndarray, "stride d"], Float[Array, "t d"]]:
        """Return the frames that a live window emits, and its normalised motion."""
        with self.products():
            motion, frames = sample_live_window(
                self.network,
                self.statistics,
                jnp.asarray(features),
                key,
                continued,
                jnp.asarray(window, jnp.int32),
                jnp.asarray(self.guidance, jnp.float32),
                self.emotion,
                windows=windows,
                steps=self.steps,
                guided=self.guidance > 1,
            )
        return np.asarray(frames), motion

    def _sample(
        self,
        features: Float32[np.ndarray, "features a"],
        count: int,
        plan: WindowPlan,
        seed: int,
    ) -> Float32[np.ndarray, "frames d"]:
        """Return the motion of the plan's first `count` windows."""
        with self.products():
            motion = sample_motion(
                self.network,
                self.statistics,
                jnp.asarray(features),
                jax.random.key(seed),
                jnp.asarray(count),
                jnp.asarray(self.guidance, jnp.float32),
                self.emotion,
                plan=plan,
                steps=self.steps,
                # Static: without guidance the program has half the rows.
                guided=self.guidance > 1,
            )
        return np.asarray(motion)


def load_flow(
    checkpoint: Checkpoint,
    *,
    name: str | None = None,
    dtype: DTypeLike = jnp.float32,
    full_precision: bool = False,
) -> FlowDriver:
    """Load the flow transformer of a checkpoint and the features that it reads.

    Args:
      name: name of the checkpoint's driver; by default the only one.
      dtype: compute dtype of the transformer; audio features are always float32.
      full_precision: see `FlowDriver`.

    Raises:
      CheckpointError: the driver or a part of it is missing, or damaged.
    """
    driver = checkpoint.driver(name)
    config = driver.config
    checkpoint.require([config.transformer, config.features])
    return FlowDriver(
        checkpoint.network(config.transformer, dtype=dtype),
        MOTION_SPACES[config.space],
        jax.tree.map(jnp.asarray, driver.statistics),
        load_features(checkpoint, config.features),
        config.cfg_scale,
        full_precision=full_precision,
        fps=config.fps,
        emotion_names=config.emotion_names,
    )
