"""Options of sampling motion from sound, for every driver that samples."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

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
