"""`MotionClip`: the motion that every driver makes and that retargeting reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.motion import rotation
from jaxportrait.motion.space import (
    BINS,
    EXPRESSION,
    KEYPOINTS,
    POSE,
    SCALE,
    TRANSLATION,
    MotionSpace,
    neutral_frames,
)

FIELD_SHAPES: dict[str, tuple[int, ...]] = {
    "expression": (KEYPOINTS, 3),
    "rotation": (3, 3),
    "translation": (3,),
    "scale": (1,),
    "eyes": (2,),
    "lips": (1,),
    "logits": (3, BINS),
}
"""Shape of one frame's value of each field."""

HEAD_FIELDS = ("rotation", "translation", "scale")
MOTION_FIELDS = ("expression", *HEAD_FIELDS)


@dataclass(frozen=True)
class Performer:
    """The face whose motion a clip is, where that is not the source's.

    Attributes:
      scale: size of its head.
      scales_eyes: False where the eyes are those of a curve, which serves heads of any
        size.
    """

    scale: float
    scales_eyes: bool = True


@dataclass(frozen=True)
class MotionClip:
    """The motion of n frames, on the host; a field is None where a driver makes none.

    A driver of the lips leaves the head's pose to the source, for example.

    Attributes:
      expression: offsets of the keypoints; zero where a driver moves only some of them.
      rotation: matrices that rotate row vectors, as `ops.geometry.rotation_matrix`
        makes them.
      translation: position of the head; the z part is not used by the renderer.
      scale: size of the head.
      fps: frames a second.
      eyes: openness of the left and right eye, height over width.
      lips: openness of the lips, height over width.
      logits: pitch, yaw and roll as logits over bins, of drivers that make them so. Only
        the composition "ditto" reads them, and files do not hold them.
      rest: one frame of the same face at rest, where the driver knows it.
      performer: the face whose motion it is, where the driver knows it.
      neutral: the same motion without its emotion, where one is chosen. Motion counts
        from the rest of that, so that the emotion shows.

    Raises:
      ValueError: a rate that is not positive, no motion, or arrays whose shapes or
        lengths do not fit.
    """

    expression: Float32[np.ndarray, "n 21 3"] | None
    rotation: Float32[np.ndarray, "n 3 3"] | None
    translation: Float32[np.ndarray, "n 3"] | None
    scale: Float32[np.ndarray, "n 1"] | None
    fps: float
    eyes: Float32[np.ndarray, "n 2"] | None = None
    lips: Float32[np.ndarray, "n 1"] | None = None
    logits: Float32[np.ndarray, "n 3 66"] | None = None
    rest: "MotionClip | None" = None
    performer: Performer | None = None
    neutral: "MotionClip | None" = None

    def __post_init__(self):
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"motion has {self.fps} frames a second: pass a rate > 0")
        arrays = self.arrays()
        # Openness of eyes and lips is no motion by itself.
        if not any(name in arrays for name in MOTION_FIELDS):
            raise ValueError("motion has no field: pass at least an expression")
        count = len(self)
        for name, array in arrays.items():
            expected = (count, *FIELD_SHAPES[name])
            if array.shape != expected:
                raise ValueError(
                    f"{name} of motion has shape {array.shape}: pass {expected}"
                )

    def __repr__(self) -> str:
        fields = ", ".join(self.arrays())
        return f"MotionClip({len(self)} frames, {self.fps:g} a second: {fields})"

    def __len__(self) -> int:
        # Any field will do: they are of one length.
        return len(next(iter(self.arrays().values())))

    @property
    def moves_head(self) -> bool:
        """True where the head turns, moves or grows, and not only its expression
        changes."""
        return any(name in self.arrays() for name in HEAD_FIELDS)

    def __getitem__(self, frames: slice | Sequence[int]) -> Self:
        """Return the frames of a slice or with these indices, at the same rate."""
        return self._map(lambda _, array: array[frames])

    def arrays(self) -> dict[str, Float32[np.ndarray, "n ..."]]:
        """Return the arrays by field name, without fields that are None."""
        fields = {name: getattr(self, name) for name in FIELD_SHAPES}
        return {name: array for name, array in fields.items() if array is not None}

    @classmethod
    def from_values(
        cls, values: Float[np.ndarray, "n d"], space: MotionSpace, fps: float
    ) -> Self:
        """Make a clip of the values of a motion space.

        Args:
          values: in the space's own units.
          space: choice of values; a field that it leaves out is None in the clip.
          fps: frames a second.
        """
        # Pose angles become matrices here, and nowhere else.
        frames = space.complete(np.asarray(values, np.float32))
        expression = frames[:, EXPRESSION].reshape(-1, KEYPOINTS, 3)
        turn = rotation.matrices_of(frames[:, POSE]) if space.covers(POSE) else None
        translation = frames[:, TRANSLATION] if space.covers(TRANSLATION) else None
        scale = frames[:, SCALE] if space.covers(SCALE) else None
        return cls(expression, turn, translation, scale, fps)

    def to_frames(self) -> Float32[np.ndarray, "n 70"]:
        """Return the packed values of whole frames; a field that is None is neutral."""
        # Fields are written into frames that change nothing.
        frames = neutral_frames(len(self))
        if self.expression is not None:
            frames[:, EXPRESSION] = self.expression.reshape(len(self), -1)
        if self.rotation is not None:
            frames[:, POSE] = rotation.angles_of(self.rotation)
        if self.translation is not None:
            frames[:, TRANSLATION] = self.translation
        if self.scale is not None:
            frames[:, SCALE] = self.scale
        return frames

    def resample(self, fps: float, count: int) -> Self:
        """Return `count` frames at another rate; the last frame is held at the end."""
        # Frame i of the result lies i / fps seconds after the start.
        position = np.arange(count) * (self.fps / fps)
        return self.at(np.minimum(position, len(self) - 1), fps)

    def at(self, positions: Float[np.ndarray, " m"], fps: float) -> Self:
        """Return the motion between frames.

        Values are interpolated linearly, rotations about one axis from frame to frame.

        Args:
          positions: from 0, the first frame, to n - 1.
          fps: frames a second of the result.
        """
        lower = np.floor(positions).astype(int)
        # The last frame has no next one, and is its own neighbour.
        upper = np.minimum(lower + 1, len(self) - 1)
        weight = (positions - lower).astype(np.float32)

        def interpolate(name: str, array: np.ndarray) -> np.ndarray:
            if name == "rotation":
                return rotation.interpolate(array[lower], array[upper], weight)
            # One weight a frame, for arrays of any rank.
            share = np.expand_dims(weight, tuple(range(1, array.ndim)))
            return array[lower] * (1 - share) + array[upper] * share

        return replace(self._map(interpolate), fps=fps)

    def pad(self, count: int) -> Self:
        """Return `count` frames, or all if there are more; the last one is repeated."""
        missing = max(0, count - len(self))

        def repeat_last(_: str, array: np.ndarray) -> np.ndarray:
            last = np.repeat(array[-1:], missing, axis=0)
            return np.concatenate([array, last])

        return self._map(repeat_last)

    def transform(self, change: Callable[["MotionClip"], "MotionClip"]) -> "MotionClip":
        """Return this motion after a change, which its neutral motion undergoes too."""
        changed = change(self)
        if self.neutral is None:
            return changed
        return replace(changed, neutral=change(self.neutral))

    def _map(self, change: Callable[[str, np.ndarray], np.ndarray]) -> Self:
        changed = {name: change(name, array) for name, array in self.arrays().items()}
        return replace(self, **changed)


def concatenate(clips: Sequence[MotionClip]) -> MotionClip:
    """Return one clip of several, one after the other.

    Raises:
      ValueError: no clips, or clips whose rates or fields differ.
    """
    if not clips:
        raise ValueError("there is no motion to join: pass at least one clip")
    first = clips[0]
    names = first.arrays().keys()
    for clip in clips[1:]:
        if clip.fps != first.fps:
            raise ValueError(
                f"motion of {first.fps:g} and {clip.fps:g} frames a second: "
                "resample to one rate first"
            )
        if clip.arrays().keys() != names:
            raise ValueError(
                f"motion of {', '.join(names)} and of {', '.join(clip.arrays())}: "
                "join clips with the same fields"
            )
    joined = {}
    for name in names:
        parts = [clip.arrays()[name] for clip in clips]
        joined[name] = np.concatenate(parts)
    # The rest frame is the first clip's.
    return replace(first, **joined)
