"""Networks in TensorFlow Lite files, run by OpenCV's own dnn."""

from dataclasses import dataclass
from pathlib import Path

import cv2

from jaxportrait.media.faces.face import DetectorUnavailableError


@dataclass(frozen=True)
class ModelFile:
    """A model file that the user provides.

    Attributes:
      name: file name, as its publisher names it.
      purpose: the network that it holds, for messages.
    """

    name: str
    purpose: str


def open_network(path: Path) -> cv2.dnn.Net:
    """Load a TensorFlow Lite network.

    Raises:
      DetectorUnavailableError: the file cannot be read, or OpenCV cannot run it.
    """
    options = {}
    # OpenCV 5 has a new engine, which does not run these graphs.
    if hasattr(cv2.dnn, "ENGINE_CLASSIC"):
        options["engine"] = cv2.dnn.ENGINE_CLASSIC
    try:
        return cv2.dnn.readNetFromTFLite(str(path), **options)
    except (cv2.error, OSError) as error:
        raise DetectorUnavailableError(
            f"mesh needs {path}, which OpenCV cannot read", "download it again"
        ) from error
