"""Every module imports, and without a warning, which pytest turns into an error."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages

import pytest

PACKAGES = ["jaxportrait", "infer", "train", "convert_weights"]
NEED_TORCH = {"train.verify", "train.verify_diffusion"}
"""Modules outside the converter that need PyTorch."""
PAGE = "infer.web"
"""The package that needs Gradio."""


@pytest.mark.parametrize("name", PACKAGES)
def test_every_module_imports_without_a_warning(name):
    has_torch = find_spec("torch") is not None
    if name == "convert_weights" and not has_torch:
        pytest.skip("PyTorch is not installed")
    package = import_module(name)
    modules = {module.name for module in walk_packages(package.__path__, f"{name}.")}
    assert len(modules) >= 3
    if not has_torch:
        modules -= NEED_TORCH
    # Gradio is behind the newest versions of other packages.
    if find_spec("gradio") is None:
        modules = {module for module in modules if not module.startswith(PAGE)}
    for module in modules:
        import_module(module)
