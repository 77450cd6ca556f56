"""Every module imports, and without a warning, which pytest turns into an error."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages

import pytest

PACKAGES = ["jaxportrait", "infer", "train"]
# The one package that needs PyTorch.
CONVERTER = "convert_weights"


@pytest.mark.parametrize("name", [*PACKAGES, CONVERTER])
def test_every_module_imports_without_a_warning(name):
    if name == CONVERTER and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    package = import_module(name)
    modules = [module.name for module in walk_packages(package.__path__, f"{name}.")]
    assert len(modules) > 3
    for module in modules:
        import_module(module)
