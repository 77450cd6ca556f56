"""The diffusion transformer as a driver of whole clips: a voice -> motion.

Source: JoyVASA. It samples windows one after the other, two frames late; here they
overlap, are made together, and follow the sound.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.drivers.base import frame_count
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.drivers.diffusion_program import (
    default_steps,
    encode_window,
    sample_fused,
    sample_live,
)
from jaxportrait.drivers.diffusion_sample import Earlier
from jaxportrait.drivers.diffusion_windows import (
    Noise,
    SeededNoise,
    Silence,
    count_windows,
    sample_in_turn,
)
from jaxportrait.drivers.fit import require_statistics
from jaxportrait.drivers.live_windows import Live, LiveWindows
from jaxportrait.drivers.sampling import (
    MotionSampling,
    SampledDriver,
    check_windows,
)
from jaxportrait.drivers.windows import WindowPlan, plan_windows, plans_up_to
from jaxportrait.features.base import AudioFeatures, Stream, encode_windows
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.models.motion_diffusion import MotionDiffusion, MotionDiffusionConfig
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, MotionSpace, MotionStatistics
from jaxportrait.ranges import OptionError

WINDOWS = ("fused", "original")
LEAD = 2
"""Frames of silence before the sound, in which the face is at rest."""
LIVE_HOP = 0.4
LIVE_LOOKAHEAD = 0.2
"""Seconds of a live window that are emitted, and that follow them."""


@dataclass(frozen=True)
class DiffusionDriver(SampledDriver):
    """A denoiser over whole clips.

    Attributes:
      network: the denoiser.
      space: the values of a frame that the network makes.
      statistics: normalisation of the motion space.
      features: the audio features that the network reads.
      cfg_scale: guidance where `sampling` has none.
      sampling: options of the sampling.
      full_precision: whether products have full float32 factors, which accelerators
        round by default.
      fps: frames of motion a second.
    """

    network: MotionDiffusion
    space: MotionSpace
    statistics: MotionStatistics
    features: AudioFeatures
    cfg_scale: float
    sampling: MotionSampling = field(default_factory=MotionSampling)
    full_precision: bool = False
    fps: float = 25.0

    @property
    def moves_head(self) -> bool:
        return self.space.has_pose

    @property
    def composition(self) -> str:
        """The composition of the driver's original."""
        return "joyvasa"

    @property
    def steps(self) -> int:
        """Steps of sampling in use; by default, original windows have the published
        ones."""
        if self.sampling.steps is not None:
            return self.sampling.steps
        if self.sampling.windows == "original":
            return self.sizes.steps
        return default_steps(self.sizes)

    @property
    def width(self) -> int:
        return self.space.width

    @property
    def sizes(self) -> MotionDiffusionConfig:
        return self.network.config

    @property
    def default_live(self) -> Live:
        # All of the window that is not needed for new frames holds earlier ones.
        seconds = self.sizes.motion_frames / self.fps
        return Live(seconds - LIVE_HOP - LIVE_LOOKAHEAD, LIVE_LOOKAHEAD)

    def make(self, input: Audio, *, seed: int, frames: int | None = None) -> MotionClip:
        """Return the motion of a clip of sound; silence follows it.

        "fused" windows begin with silence, in which the clip has its rest. "original"
        ones lag two frames behind the sound, as published.
        """
        length = frame_count(input.duration, self.fps) if frames is None else frames
        if self.sampling.windows == "original":
            noise = SeededNoise(jax.random.key(seed), self.sizes)
            motion, real = self.sample_original(input, noise)
            clip = self.clip_of(self.denormalize(motion[:real]))
            return clip[:length].pad(length)
        motion = self.denormalize(self.sample_fused(input, LEAD + length, seed=seed))
        return replace(self.clip_of(motion[LEAD:]), rest=self.clip_of(motion[:1]))

    def sample_fused(
        self, audio: Audio, frames: int, *, seed: int
    ) -> Float32[np.ndarray, "frames d"]:
        """Return `frames` frames of normalised motion, `LEAD` of them before the clip.

        Silence precedes the clip and follows it.
        """
        # The plan begins with the silence.
        plan, count = plan_windows(frames, self.sizes, "fused")
        silence = Silence(before=self._samples_of(LEAD))
        audio_frames = self._encode(silence.around(audio.stream), plan, count)
        return self._sample(audio_frames, count, plan, seed)[:frames]

    def sample_original(
        self, audio: Audio, noise: Noise
    ) -> tuple[Float32[np.ndarray, "frames d"], int]:
        """Return the normalised motion of windows that lie end to end, as published, and
        how many of its frames belong to the sound.

        There are three frames more than the sound is long.
        """
        # Silence of two frames makes the motion late, as published.
        silence = Silence(self._samples_of(2), self._samples_of(1))
        total = audio.sample_count + silence.before + silence.after
        count, frames = count_windows(total, self.sizes.motion_frames, self.fps)
        plan, _ = plan_windows(1, self.sizes, "independent")
        stream = silence.around(audio.stream)
        windows = self._windows(stream, plan, count)
        with self.products():
            motion = sample_in_turn(
                self.network, windows, noise, self.guidance, self.steps
            )
        return motion, frames

    def clip_of(self, motion: Float32[np.ndarray, "n s"]) -> MotionClip:
        """Return the clip of values of the motion space."""
        return MotionClip.from_values(motion, self.space, self.fps)

    def denormalize(
        self, motion: Float[np.ndarray, "frames d"]
    ) -> Float32[np.ndarray, "frames s"]:
        """Return the values of the motion space in its own units."""
        # The network may make more values, which come last.
        values = motion[:, : self.space.width]
        std = np.asarray(self.statistics.std)[None]
        return np.asarray(values * std + np.asarray(self.statistics.mean)[None])

    def with_sampling(self, sampling: MotionSampling) -> "DiffusionDriver":
        """Return this driver with other options.

        Raises:
          OptionError: it has no such windows, or fewer steps.
        """
        sampling.check_face(has_face=False)
        check_windows(sampling.windows, WINDOWS, "the diffusion transformer")
        if sampling.steps is not None and sampling.steps > self.sizes.steps:
            raise OptionError(
                f"steps is {sampling.steps}, and the diffusion has {self.sizes.steps}: choose as many or fewer"
            )
        return replace(self, sampling=sampling)

    def warm_up(self, frames: int) -> None:
        """Compile what clips of up to so many frames need."""
        if self.sampling.windows == "original":
            samples = np.zeros(1, np.float32)
            sound = Audio.from_samples(samples, SAMPLE_RATE)
            self.sample_original(sound, SeededNoise(jax.random.key(0), self.sizes))
            return
        for plan in plans_up_to(LEAD + frames, self.sizes, "fused"):
            # Without windows, the program is compiled and loops over nothing.
            audio = self._encode(lambda: iter(()), plan, 1)
            self._sample(audio, 0, plan, seed=0)

    def start_window(self) -> Earlier:
        """Return what the first live window continues: start tokens, and no window."""
        frames = self.sizes.motion_frames

        def pad(leaf: Array) -> Array:
            return jnp.pad(leaf, ((0, frames), (0, 0)))

        return jax.tree.map(pad, self._start())

    def sample_window(
        self,
        windows: LiveWindows,
        features: Float32[np.ndarray, "s a"],
        key: PRNGKeyArray,
        continued: Earlier,
        window: int,
    ) -> tuple[Float32[np.ndarray, "stride d"], Earlier]:
        """Return the frames that a live window emits, and the history after it."""
        with self.products():
            motion, history = sample_live(
                self.network,
                jnp.asarray(features),
                key,
                continued,
                jnp.asarray(window, jnp.int32),
                jnp.asarray(self.guidance, jnp.float32),
                windows=windows,
                steps=self.steps,
                guided=self.guidance > 1,
            )
        return self.denormalize(np.asarray(motion)), history

    def _encode(
        self, stream: Stream, plan: WindowPlan, count: int
    ) -> Float[Array, "capacity t c"]:
        """Return the frames of audio of a clip's windows; others are 0."""
        # Frames of audio are a third as wide as features: they fit for hours.
        windows = jnp.stack(list(self._windows(stream, plan, count)))
        unused = plan.capacity - count
        return jnp.pad(windows, ((0, unused), (0, 0), (0, 0)))

    def _windows(
        self, stream: Stream, plan: WindowPlan, count: int
    ) -> Iterator[Float[Array, "t c"]]:
        """Yield the frames of audio of each window of a clip."""
        encoded = encode_windows(
            self.features, stream, plan.audio_frames, plan.feature_start(1), count
        )
        with self.products():
            for features in encoded:
                yield encode_window(self.network, jnp.asarray(features))

    def _sample(
        self,
        audio: Float[Array, "capacity t c"],
        count: int,
        plan: WindowPlan,
        seed: int,
    ) -> Float32[np.ndarray, "frames d"]:
        """Return the motion of the plan's first `count` windows."""
        with self.products():
            motion = sample_fused(
                self.network,
                audio,
                jax.random.key(seed),
                jnp.asarray(count),
                jnp.asarray(self.guidance, jnp.float32),
                plan=plan,
                steps=self.steps,
                # Static: without guidance the program has half the rows.
                guided=self.guidance > 1,
            )
        return np.asarray(motion)

    def _start(self) -> Earlier:
        """Return the learned frames before the first window."""
        motion = self.network.start_motion[...].astype(jnp.float32)
        return Earlier(motion, self.network.start_audio[...])

    def _samples_of(self, frames: int) -> int:
        return round(frames * SAMPLE_RATE / self.fps)


def load_diffusion(
    checkpoint: Checkpoint,
    *,
    name: str | None = None,
    dtype: DTypeLike = jnp.float32,
    full_precision: bool = False,
) -> DiffusionDriver:
    """Load the denoiser of a checkpoint and the features that it reads.

    Args:
      name: name of the checkpoint's driver; by default the only one.
      dtype: compute dtype of the denoiser; audio features are always float32.
      full_precision: see `DiffusionDriver`.

    Raises:
      CheckpointError: the driver or a part of it is missing, or damaged.
    """
    driver = checkpoint.driver(name)
    config: DiffusionDriverConfig = driver.config
    checkpoint.require([config.denoiser, config.features])
    return DiffusionDriver(
        checkpoint.network(config.denoiser, dtype=dtype),
        MOTION_SPACES[config.space],
        require_statistics(driver.statistics),
        load_features(checkpoint, config.features),
        config.cfg_scale,
        full_precision=full_precision,
        fps=config.fps,
    )
