"""Convolutions, each in the form that is fastest for its platform and shape.

This is the only door of the folder. `convolve` and `convolve_upsampled` read kernels
that may still change. `prepare` does once what can be done to a fixed kernel, and
`convolve_prepared` reads what it returns. The forms themselves are for those who
measure them.
"""

from jaxportrait.ops.conv.direct import convolve
from jaxportrait.ops.conv.maps import as_written
from jaxportrait.ops.conv.padding import Padding, half_padding
from jaxportrait.ops.conv.prepared import convolve_prepared, prepare, toom_cook_suits
from jaxportrait.ops.conv.upsampled import convolve_upsampled
from jaxportrait.ops.conv.volumes import ALIGNMENT, FORMS_3D, aligned

__all__ = [
    "ALIGNMENT",
    "FORMS_3D",
    "Padding",
    "aligned",
    "as_written",
    "convolve",
    "convolve_prepared",
    "convolve_upsampled",
    "half_padding",
    "prepare",
    "toom_cook_suits",
]
