"""Detectors of the tests of faces."""

import pytest

from jaxportrait.media.faces import open_detector
from tests.media.faces.files import HAS_CASCADES, save_models


@pytest.fixture(autouse=True)
def without_mesh(monkeypatch, tmp_path):
    """Hide the face mesh, whose tests are elsewhere."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("jaxportrait.media.faces.dnn.packaged_models", lambda: [])


@pytest.fixture(scope="package")
def haar():
    if not HAS_CASCADES:
        pytest.skip("OpenCV 5 has no cascades")
    return open_detector("haar")


@pytest.fixture
def models(tmp_path):
    """LivePortrait's folder of weights, with generated graphs."""
    save_models(tmp_path)
    return tmp_path
