"""Options of sampling motion from sound, for every driver that samples."""

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

import jax

from jaxportrait.ranges import Guidance, OptionError, SamplingSteps, check_ranges

SampledWindows = Literal["fused", "independent", "original"]


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
    """

    cfg_scale: Guidance | None = None
    steps: SamplingSteps | None = None
    windows: SampledWindows = "fused"

    def __post_init__(self):
        check_ranges(self)
        check_windows(self.windows, get_args(SampledWindows))


def check_windows(windows: str, choices: Collection[str], driver: str = "") -> None:
    """Raise an OptionError unless windows are among those of a driver."""
    if windows not in choices:
        reason = f", which {driver} has not" if driver else ""
        raise OptionError(
            f"windows is {windows!r}{reason}: choose one of {', '.join(choices)}"
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
        if self.full_precision:
            return jax.default_matmul_precision("highest")
        return nullcontext()
