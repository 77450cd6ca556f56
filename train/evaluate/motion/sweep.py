"""Motion of held-out clips, sampled over settings of the sampler."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, PRNGKeyArray

from jaxportrait.drivers.diffusion import LEAD
from jaxportrait.drivers.diffusion import WINDOWS as DIFFUSION_WINDOWS
from jaxportrait.drivers.diffusion_program import encode_window, sample_features
from jaxportrait.drivers.diffusion_windows import SeededNoise, sample_in_turn
from jaxportrait.drivers.flow_program import sample_motion
from jaxportrait.drivers.sampling import SampledWindows, check_windows
from jaxportrait.drivers.windows import (
    WindowMode,
    WindowPlan,
    WindowSizes,
    plan_windows,
)
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.models.motion_diffusion import MotionDiffusion
from jaxportrait.motion.space import (
    MOTION_FPS,
    MotionSpace,
    MotionStatistics,
    denormalize,
    normalize,
)
from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND
from train.data.lips import LipAxis
from train.data.records import ClipRecord
from train.data.silence import quietest_feature, with_silence
from train.evaluate.motion import metrics
from train.evaluate.motion.lids import LidAxis
from train.evaluate.motion.sync import SyncJudge

Features = Float[np.ndarray, "features width"]
Frames = Float[np.ndarray, "frames d"]
Measures = dict[str, float | None]
Sample = Callable[[Features, int, PRNGKeyArray, "Setting"], Frames]
"""sample(features, frames, key, setting) -> motion, at the network's rate."""


class NotFiniteError(ValueError):
    """Motion that cannot be measured."""


@dataclass(frozen=True)
class Setting:
    """A setting of the sampler.

    Attributes:
      steps: Euler steps.
      guidance: scale of classifier-free guidance.
    """

    steps: int
    guidance: float

    def __str__(self) -> str:
        return f"{self.steps} steps, guidance {self.guidance:g}"


@dataclass(frozen=True)
class HeldOut:
    """A held-out clip, prepared for comparison.

    Attributes:
      clip: name of the clip.
      truth: its motion in the motion space.
      features: features of its sound, and of silence to the end of the last window.
      wrong_features: features of another clip's sound, as many.
      envelope: loudness at each frame.
      seams: marks of the inner frames at window borders, at the network's rate.
      closures: start and end in seconds of the closures of p, b and m; None where they
        are unknown.
      fps: the network's rate, frames a second.
    """

    clip: str
    truth: Frames
    features: Features
    wrong_features: Features
    envelope: Float[np.ndarray, " frames"]
    seams: Bool[np.ndarray, " inner_frames"]
    closures: Float[np.ndarray, "k 2"] | None = None
    fps: float = MOTION_FPS

    @property
    def network_frames(self) -> int:
        """Frames that the network makes of the clip."""
        return len(self.seams) + 2


@dataclass(frozen=True)
class Sampled:
    """Motion sampled for a clip.

    Attributes:
      samples: motion by several seeds, with the clip's own sound, at the truth's rate.
      wrong: motion by the first seed, with the wrong sound.
      native: first sample at the network's rate, at which seams are seen.
    """

    samples: Float[np.ndarray, "seeds frames d"]
    wrong: Frames
    native: Frames


@dataclass(frozen=True)
class Scale:
    """Units of a measurement: the motion space, its normalisation and its lip opening;
    its blinks, where it has them; and the judge of sound and lips, where there is
    one."""

    space: MotionSpace
    statistics: MotionStatistics
    lips: LipAxis
    lids: LidAxis | None = None
    sync: SyncJudge | None = None

    def normalise(self, motion: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d"]:
        """Return motion in deviations of the training set, so that degrees and offsets
        count alike."""
        return normalize(motion, self.statistics).astype(np.float64)

    def opening(self, motion: Frames) -> Float[np.ndarray, " frames"]:
        """Return how far the lips are open in each frame."""
        return self.lips.opening(motion, self.space)


def hold_out(
    records: Sequence[ClipRecord],
    config: WindowSizes,
    space: MotionSpace,
    windows: SampledWindows,
) -> list[HeldOut]:
    """Prepare clips for comparison.

    The wrong sound of a clip is that of the next one; a single clip has its own,
    rotated by half.
    """
    others = [*records[1:], records[0]]
    if len(records) == 1:
        # a clip by itself has no other sound
        half = len(records[0].features) // 2
        rotated = np.roll(records[0].features, half, axis=0)
        others = [replace(records[0], features=rotated)]
    return [
        _compare(record, other, config, space, windows)
        for record, other in zip(records, others, strict=True)
    ]


def _compare(
    record: ClipRecord,
    other: ClipRecord,
    config: WindowSizes,
    space: MotionSpace,
    windows: SampledWindows,
) -> HeldOut:
    """Prepare a clip, with the sound of another as the wrong one."""
    fps = FEATURES_PER_SECOND * config.motion_frames / config.audio_frames
    frames = record.frames
    if fps != MOTION_FPS:
        # One frame more, so that the last one lies between two.
        frames = int(np.ceil(frames * fps / MOTION_FPS)) + 1
    plan, count = plan_clip(frames, config, windows)
    silence = quietest_feature(record)
    needed = plan.features_of(count)
    right = record.features.astype(np.float32)
    # a shorter sound is repeated
    wrong = np.resize(other.features.astype(np.float32), right.shape)
    if windows == "original":
        # Silence of two frames makes the motion late, as published.
        lead = LEAD * config.audio_frames // config.motion_frames
        before = np.broadcast_to(silence, (lead, silence.size))
        right = np.concatenate([before, right])
        wrong = np.concatenate([before, wrong])
    columns = list(space.columns)
    return HeldOut(
        record.clip,
        record.motion[:, columns].astype(np.float64),
        with_silence(right, silence, needed),
        with_silence(wrong, silence, needed),
        record.envelope.astype(np.float64),
        metrics.at_seams(plan, count, frames),
        None if record.closures is None else record.closures / MOTION_FPS,
        fps,
    )


def plan_clip(
    frames: int, config: WindowSizes, windows: SampledWindows
) -> tuple[WindowPlan, int]:
    """Return the plan of a clip, and how many of its windows cover it."""
    # The diffusion transformer's original windows lie end to end, too.
    mode = "fused" if windows == "fused" else "independent"
    return plan_windows(frames, config, mode)


def make_sampler(
    network: FlowTransformer | MotionDiffusion,
    statistics: MotionStatistics,
    windows: SampledWindows,
) -> Sample:
    """Return the sampler of inference, on the features that the windows read.

    It differs from inference at the end of a clip within its last window; see
    `quietest_feature` for details.

    Raises:
      OptionError: the network has no such windows.
    """
    if isinstance(network, MotionDiffusion):
        check_windows(windows, DIFFUSION_WINDOWS, "the diffusion transformer")
        make = sample_diffusion if windows == "fused" else sample_diffusion_in_turn
        return partial(make, network, statistics)
    check_windows(windows, get_args(WindowMode), "the flow transformer")
    statistics = jax.tree.map(jnp.asarray, statistics)

    def sample(
        features: Features, frames: int, key: PRNGKeyArray, setting: Setting
    ) -> Frames:
        plan, count = plan_clip(frames, network.config, windows)
        # features that no window reads stay zero
        padded = np.zeros((plan.features, network.config.audio_width), np.float32)
        padded[: plan.features_of(count)] = features
        motion = sample_motion(
            network,
            statistics,
            jnp.asarray(padded),
            key,
            jnp.asarray(count),
            jnp.asarray(setting.guidance, jnp.float32),
            plan=plan,
            steps=setting.steps,
            # at 1, motion without sound has no weight
            guided=setting.guidance > 1,
        )
        return np.asarray(motion[:frames], np.float64)

    return sample


def sample_diffusion(
    network: MotionDiffusion,
    statistics: MotionStatistics,
    features: Features,
    frames: int,
    key: PRNGKeyArray,
    setting: Setting,
) -> Frames:
    """Return motion that a denoiser makes in overlapping windows."""
    plan, _ = plan_windows(frames, network.config)
    missing = max(0, plan.features - len(features))
    padded = np.pad(features, ((0, missing), (0, 0)), mode="edge")
    windows = jnp.asarray(padded[plan.feature_index])
    motion = sample_features(
        network, windows, frames, key, setting.guidance, setting.steps
    )
    return _in_units(motion, statistics)


def sample_diffusion_in_turn(
    network: MotionDiffusion,
    statistics: MotionStatistics,
    features: Features,
    frames: int,
    key: PRNGKeyArray,
    setting: Setting,
) -> Frames:
    """Return motion that a denoiser makes window after window, as published."""
    config = network.config
    _, count = plan_clip(frames, config, "original")
    # count s, a -> count s a
    windows = features.reshape(count, config.audio_frames, -1)
    audio = (encode_window(network, jnp.asarray(window)) for window in windows)
    noise = SeededNoise(key, config)
    motion = sample_in_turn(network, audio, noise, setting.guidance, setting.steps)
    return _in_units(motion[:frames], statistics)


def _in_units(motion: ArrayLike, statistics: MotionStatistics) -> Frames:
    """Return the values of the motion space in its own units."""
    values = jnp.asarray(motion)[:, : len(statistics.mean)]
    return np.asarray(denormalize(values, statistics), np.float64)


def _at_rate(motion: Frames, fps: float, frames: int) -> Frames:
    """Return frames at the rate of the truth, interpolated linearly."""
    if fps == MOTION_FPS:
        return motion
    position = np.arange(frames) * fps / MOTION_FPS
    lower = np.floor(position).astype(int)
    share = (position - lower)[:, None]
    return motion[lower] * (1 - share) + motion[lower + 1] * share


def sweep(
    sample: Sample,
    clips: Sequence[HeldOut],
    steps: Sequence[int],
    guidance: Sequence[float],
    seeds: int,
) -> Iterator[tuple[Setting, list[Sampled]]]:
    """Yield the motion sampled at every setting, in order.

    A clip has the same noise at every setting, and no clip has another's.

    Raises:
      NotFiniteError: the network's motion is not finite.
    """
    for values in product(steps, guidance):
        setting = Setting(*values)
        sampled = [
            _sample_clip(sample, index, clip, setting, seeds)
            for index, clip in enumerate(clips)
        ]
        yield setting, sampled


def _sample_clip(
    sample: Sample, index: int, clip: HeldOut, setting: Setting, seeds: int
) -> Sampled:
    frames = clip.network_frames
    # the index makes the noise of clips differ
    keys = [jax.random.fold_in(jax.random.key(seed), index) for seed in range(seeds)]
    motions = [sample(clip.features, frames, key, setting) for key in keys]
    motions.append(sample(clip.wrong_features, frames, keys[0], setting))
    *samples, wrong = (
        _at_rate(motion, clip.fps, len(clip.truth)) for motion in motions
    )
    samples = np.stack(samples)
    if not (np.isfinite(samples).all() and np.isfinite(wrong).all()):
        raise NotFiniteError(
            f"the motion sampled for {clip.clip} is not finite ({setting}): the checkpoint's weights are "
            "damaged, or its training diverged; export an earlier --step"
        )
    return Sampled(samples, wrong, motions[0])
