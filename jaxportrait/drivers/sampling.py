"""Options of sampling motion from sound, for every driver that samples."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from jaxportrait.devices import matrix_products
from jaxportrait.drivers.blinks import Blinks
from jaxportrait.drivers.ditto_condition import Emotions
from jaxportrait.drivers.emotions import one_emotion, read_emotions
from jaxportrait.ranges import (
    Guidance,
    OptionError,
    SamplingSteps,
    Strength,
    check_choice,
    check_ranges,
)

SampledWindows = Literal["fused", "independent", "original"]
Condition = Literal["character", "source"]
FACE_OPTIONS = ("blinks", "emotion_keyframes", "condition")
"""Options of drivers that make the motion of a whole face."""


@dataclass(frozen=True)
class MotionSampling:
    """Options of sampling motion.

    Attributes:
      cfg_scale: scale of classifier-free guidance; at 1 or below, only the prediction
        with sound is evaluated. By default the checkpoint's own.
      steps: steps of sampling; by default the driver's own.
      windows: "fused" windows overlap and are blended. "independent" ones lie end to
        end, as in the flow transformer's original, and "original" ones are those of the
        diffusion transformer's.
      blinks: "model" has those that Ditto's network makes, "curve" those of its curve at
        times that the seed decides, and "off" none.
      emotion: emotion of the motion, one of those that the checkpoint's driver knows. By
        default, Ditto has that of its checkpoint, and the flow transformer none.
      emotion_strength: 0 is Ditto's neutral emotion, or none of the flow
        transformer's; 1 is the emotion as it was trained, and more exaggerates it.
      emotion_keyframes: TOML file of strengths of emotions at times, in place of one
        emotion.
      condition: the face whose motion Ditto makes: the checkpoint's "character", or
        the "source" itself, whose eyes and pose it then starts from.
    """

    cfg_scale: Guidance | None = None
    steps: SamplingSteps | None = None
    windows: SampledWindows = "fused"
    blinks: Blinks = "model"
    emotion: str | None = None
    emotion_strength: Strength = 1.0
    emotion_keyframes: Path | None = None
    condition: Condition = "character"

    def __post_init__(self):
        check_ranges(self)
        # Types are not checked at run time.
        check_choice("windows", self.windows, SampledWindows)
        check_choice("blinks", self.blinks, Blinks)
        check_choice("condition", self.condition, Condition)
        # A strength without an emotion would do nothing.
        if self.emotion is not None:
            if self.emotion_keyframes is not None:
                raise OptionError(
                    "emotion_keyframes have emotions of their own: leave out emotion"
                )
        elif self.emotion_strength != 1:
            raise OptionError(
                f"emotion_strength is {self.emotion_strength:g}, and there is no emotion: pass one as well"
            )

    def check_face(
        self, *, has_face: bool, emotion_names: tuple[str, ...] = ()
    ) -> None:
        """Raise an OptionError for options of a face that a driver does not have.

        Args:
          has_face: whether the driver makes the motion of a face with eyes and emotions;
            see `drivers.base.has_face`.
          emotion_names: emotions that the driver knows.
        """
        if self.emotion is not None and self.emotion not in emotion_names:
            names = ", ".join(emotion_names)
            advice = f"choose one of {names}" if names else "leave it out"
            reason = "" if names else ", and this driver has no emotions"
            raise OptionError(f"emotion is {self.emotion!r}{reason}: {advice}")
        if has_face:
            return
        for name in FACE_OPTIONS:
            # Defaults of a frozen dataclass are attributes of the class.
            if getattr(self, name) != getattr(MotionSampling, name):
                raise OptionError(
                    f"{name} is an option of Ditto's driver, and this driver has none: leave it out"
                )

    def chosen_emotions(self, fps: float) -> Emotions | None:
        """Return the emotions of frames; None for the checkpoint's own.

        Raises:
          OSError, OptionError: the file of keyframes cannot be read, or is wrong.
        """
        if self.emotion_keyframes is not None:
            return read_emotions(self.emotion_keyframes, fps)
        if self.emotion is None:
            return None
        return one_emotion(self.emotion, self.emotion_strength)


def check_windows(windows: str, choices: Collection[str], driver: str) -> None:
    """Raise an OptionError unless windows are among those of a driver."""
    if windows not in choices:
        raise OptionError(
            f"windows is {windows!r}, which {driver} has not: choose one of {', '.join(choices)}"
        )


class SampledDriver:
    """A driver that samples the motion of whole clips.

    Attributes:
      cfg_scale: guidance where `sampling` has none.
      sampling: options of the sampling.
      full_precision: whether products have full float32 factors, which accelerators
        round by default.
    """

    cfg_scale: float
    sampling: MotionSampling
    full_precision: bool

    @property
    def latency(self) -> float:
        return inf

    @property
    def guidance(self) -> float:
        """The scale of guidance in use."""
        scale = self.sampling.cfg_scale
        return self.cfg_scale if scale is None else scale

    def products(self) -> AbstractContextManager[object]:
        """Return the context in which programs are traced with the precision of this
        driver's products."""
        return matrix_products(self.full_precision)
