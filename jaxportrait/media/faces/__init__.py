"""Find faces: InsightFace, MediaPipe's face mesh, YuNet or Haar cascades, each giving
the same square around a face."""

from jaxportrait.media.faces.detect import (
    Detector,
    DetectorName,
    NoFaceError,
    choose_face,
    detect_faces,
    open_detector,
    open_irises,
)
from jaxportrait.media.faces.dnn import MESH_REMEDY
from jaxportrait.media.faces.face import DetectorUnavailableError, Face
from jaxportrait.media.faces.openness import Openness

__all__ = [
    "MESH_REMEDY",
    "Detector",
    "DetectorName",
    "DetectorUnavailableError",
    "Face",
    "NoFaceError",
    "Openness",
    "choose_face",
    "detect_faces",
    "open_detector",
    "open_irises",
]
