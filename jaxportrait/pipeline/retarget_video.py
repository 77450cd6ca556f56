"""Retargeting over a source video: the motion of a clip and the faces of its frames ->
driving keypoints."""

from dataclasses import dataclass, replace
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import KeypointGroups, region_mask
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.pipeline.correct import OPEN_EYES, SHUT_EYES, CorrectionNetworks
from jaxportrait.pipeline.options import Retargeting, check_openness
from jaxportrait.pipeline.retarget import CHUNK, Corrections, apply_strengths
from jaxportrait.pipeline.smooth import smooth_shots
from jaxportrait.types import SourceFrames


@dataclass(frozen=True)
class VideoFaces:
    """The faces of the frames of a source video, in the order of a clip.

    Attributes:
      frames: keypoints and motion of every frame, on the host.
      shots: number of each frame's shot; motion is smoothed within shots.
      openness: openness of the left eye, the right eye and the lips, where it is known.
      first_eyes: openness of the eyes in the video's first frame.
      lips_at_rest: expression in which the source's lips rest, where they are replaced
        and not moved.
    """

    frames: SourceFrames
    shots: Int[np.ndarray, " n"]
    openness: Float32[np.ndarray, "n 3"] | None = None
    first_eyes: float = OPEN_EYES
    lips_at_rest: Float32[np.ndarray, "k 3"] | None = None

    def __len__(self) -> int:
        return len(self.shots)

    def rows(self, indices: Int[np.ndarray, " m"]) -> Self:
        """Return the faces of these frames."""
        openness = None if self.openness is None else self.openness[indices]
        frames = jax.tree.map(lambda array: array[indices], self.frames)
        return replace(
            self, frames=frames, shots=self.shots[indices], openness=openness
        )

    def clip(self, fps: float) -> MotionClip:
        """Return the frames' own motion."""
        motion = self.frames.motion
        rotation = np.asarray(rotation_matrix(jnp.asarray(motion.pose)))
        return MotionClip(
            np.asarray(motion.expression),
            rotation,
            np.asarray(motion.translation),
            np.asarray(motion.scale),
            fps,
        )


def drive_video(
    faces: VideoFaces,
    clip: MotionClip,
    rest: MotionClip | None,
    retargeting: Retargeting,
    networks: CorrectionNetworks,
    *,
    groups: KeypointGroups,
) -> Float32[np.ndarray, "n k 3"]:
    """Return the driving keypoints of every frame of a clip.

    Relative motion adds the motion since rest to that of every frame; absolute motion
    replaces it. The sum is smoothed over time, unless one picture drives. Size and
    position stay the video's own, but for absolute motion's position.

    Args:
      clip: motion of every frame, or of one that drives all of them.
      rest: the one frame that leaves the source as it is; None counts from the frames.
      networks: those of `Retargeting.parts`.
      groups: the keypoints of eyes, brows and lips.

    Raises:
      ValueError: openness is needed, and that of the source or of the clip is not
        known.

    Source: LivePortrait, its composition for a source video.
    """
    check_openness(retargeting, clip, faces.openness)
    clip = apply_strengths(clip, rest, retargeting, groups)
    is_picture = len(clip) == 1
    clip = clip.pad(len(faces))
    driven = _compose(faces, clip, rest, retargeting.relative_motion, groups)
    if not is_picture:
        variance = retargeting.driving_smooth_observation_variance
        driven = _smooth(driven, faces.shots, variance)
    driven = _limit(faces, driven, retargeting, groups)
    chunks = []
    for first in range(0, len(faces), CHUNK):
        # One program serves chunks of any length.
        rows = np.minimum(np.arange(first, first + CHUNK), len(faces) - 1)
        chunk = faces.rows(rows)
        corrections = Corrections(
            jnp.asarray(chunk.frames.keypoints), retargeting, networks, chunk.openness
        )
        corrections = corrections.shut_lips().hold_eyes(faces.first_eyes)
        moved = driven[rows.tolist()]
        keypoints = transform_keypoints(
            jnp.asarray(chunk.frames.motion.keypoints),
            jnp.asarray(moved.rotation),
            jnp.asarray(moved.expression),
            jnp.asarray(moved.scale),
            jnp.asarray(moved.translation),
        )
        chunks.append(np.asarray(corrections.apply(keypoints, clip[rows.tolist()])))
    return np.concatenate(chunks)[: len(faces)]


def held_openness(first: Float32[np.ndarray, " 2"]) -> float:
    """Return how far the eyes of all frames open: as in the first one, or wide if they
    are shut there.

    Source: LivePortrait, `flag_source_video_eye_retargeting`.
    """
    openness = float(first.mean())
    return OPEN_EYES if openness < SHUT_EYES else openness


def _compose(
    faces: VideoFaces,
    clip: MotionClip,
    rest: MotionClip | None,
    relative: bool,
    groups: KeypointGroups,
) -> MotionClip:
    """Return the motion of every frame, with nothing left out."""
    still = faces.clip(clip.fps)
    expression = still.expression
    rotation = still.rotation
    translation = still.translation
    rest = still if rest is None else rest
    if clip.expression is not None:
        expression = clip.expression
        if relative and rest.expression is not None:
            start = _start(faces, groups)
            expression = start + (clip.expression - rest.expression)
    if clip.rotation is not None:
        rotation = clip.rotation
        if relative and rest.rotation is not None:
            back = rest.rotation.swapaxes(-1, -2)
            rotation = clip.rotation @ back @ still.rotation
    # Only absolute motion moves the head to where the driving one is.
    if clip.translation is not None and not relative:
        translation = clip.translation
    return replace(
        still, expression=expression, rotation=rotation, translation=translation
    )


def _start(faces: VideoFaces, groups: KeypointGroups) -> Float32[np.ndarray, "n k 3"]:
    """Return the expressions that relative motion is added to."""
    start = np.array(faces.frames.motion.expression)
    if faces.lips_at_rest is not None:
        lips = list(groups.lips)
        start[:, lips] = faces.lips_at_rest[lips]
    return start


def _smooth(
    driven: MotionClip, shots: Int[np.ndarray, " n"], variance: float
) -> MotionClip:
    """Smooth expression and rotation; as published, the matrices value by value."""
    smoothed = {}
    for name in ("expression", "rotation"):
        values = smooth_shots(driven.arrays()[name], shots, variance)
        smoothed[name] = values.astype(np.float32)
    return replace(driven, **smoothed)


def _limit(
    faces: VideoFaces,
    driven: MotionClip,
    retargeting: Retargeting,
    groups: KeypointGroups,
) -> MotionClip:
    """Return motion that is the video's own outside of the region."""
    still = faces.clip(driven.fps)
    # As published, the shape of the face is the video's even in relative motion.
    mask = region_mask(retargeting.region, groups, shape=False)
    changed = driven.arrays()["expression"]
    expression = np.where(mask, changed, still.arrays()["expression"])
    if retargeting.region in ("all", "pose"):
        return replace(driven, expression=expression)
    return replace(still, expression=expression)
