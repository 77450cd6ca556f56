"""Find faces: InsightFace, YuNet or Haar cascades, each giving the same square around a
face."""

from jaxportrait.media.faces.detect import (
    Detector,
    DetectorName,
    NoFaceError,
    choose_face,
    detect_faces,
    open_detector,
)
from jaxportrait.media.faces.face import DetectorUnavailableError, Face

__all__ = [
    "Detector",
    "DetectorName",
    "DetectorUnavailableError",
    "Face",
    "NoFaceError",
    "choose_face",
    "detect_faces",
    "open_detector",
]
