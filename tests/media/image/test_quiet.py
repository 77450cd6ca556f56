"""Pillow's own lines, which appear neither on the terminal nor as errors."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from jaxportrait.media.image.quiet import quiet_pillow


def warn_as_pillow() -> None:
    warnings.warn_explicit("a remark", UserWarning, "file.py", 1, module="PIL.Tiff")


def test_pillow_is_quiet_only_in_the_thread_that_reads():
    # warnings are errors in these tests
    with ThreadPoolExecutor(1) as other, quiet_pillow():
        warn_as_pillow()
        with pytest.raises(UserWarning, match="a remark"):
            other.submit(warn_as_pillow).result()
        # not even by filters that come later
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with quiet_pillow():
                warn_as_pillow()
    with pytest.raises(UserWarning, match="a remark"):
        warn_as_pillow()


def test_other_warnings_are_left_alone():
    with quiet_pillow(), pytest.raises(UserWarning, match="of another"):
        warnings.warn("of another module", stacklevel=1)
