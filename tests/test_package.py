"""The top of the package: what users import, and its types."""

import subprocess
import sys
from importlib.resources import files

import pytest

import jaxportrait

PROGRAM = """
import sys
import jaxportrait
assert "jax" not in sys.modules
jaxportrait.{name}
"""


@pytest.mark.parametrize("name", jaxportrait.NAMES)
def test_names_lead_to_what_they_name(name):
    assert getattr(jaxportrait, name).__name__ == name
    assert name in dir(jaxportrait)


def test_other_names_are_none():
    with pytest.raises(AttributeError, match="has no attribute 'Animation'"):
        jaxportrait.Animation  # noqa: B018  # pyright: ignore


def test_the_package_loads_nothing_that_is_not_asked_for():
    program = PROGRAM.format(name="Retargeting")
    subprocess.run([sys.executable, "-c", program], check=True)


def test_checkers_may_read_its_types():
    assert files("jaxportrait").joinpath("py.typed").is_file()
