"""MediaPipe's iris model: lids that follow a blink, and the gaze.

Without it, the face mesh hardly sees lids move.

Source: Ablavatski et al., "Real-time pupil tracking from monocular video for digital
puppetry", 2020; MediaPipe (Apache-2.0). The model file is the user's.
"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import FaceRectangle, crop_face, transform_points
from jaxportrait.media.faces.dnn import ModelFile, open_network
from jaxportrait.media.faces.mesh_points import (
    LEFT_CORNERS,
    RIGHT_CORNERS,
    Points,
    slope,
)

IRIS_FILE = ModelFile("iris_landmark.tflite", "the iris")
IRIS_SIDE = 64
IRIS_OUTPUTS = (5 * 3, 71 * 3)
"""Values of the outputs: x, y and depth of the iris' points, and of the eye's."""
IRIS_SCALE = 2.3  # the crop's side in widths of the eye, as MediaPipe has it

# The model's first points are those of the mesh's lids: along the lower one from the
# outer to the inner corner, and then along the upper one without the corners.
LEFT_LIDS = (
    *(33, 7, 163, 144, 145, 153, 154, 155, 133),
    *(246, 161, 160, 159, 158, 157, 173),
)
RIGHT_LIDS = (
    *(263, 249, 390, 373, 374, 380, 381, 382, 362),
    *(466, 388, 387, 386, 385, 384, 398),
)
OUTER_CORNER = 0
INNER_CORNER = 8


class IrisReader:
    """Read the lids and the gaze of a face that has a mesh.

    Not for several threads at once: OpenCV's networks keep state.

    Raises:
      DetectorUnavailableError: the file cannot be read.
    """

    def __init__(self, path: Path):
        self._network = open_network(path, IRIS_SIDE, IRIS_OUTPUTS)
        self._outputs = self._network.getUnconnectedOutLayersNames()

    def __call__(
        self, image: UInt8[np.ndarray, "h w 3"], mesh: Points
    ) -> tuple[Points, Float[np.ndarray, "2 2"]]:
        """Return the mesh with the model's lids, and the gaze; see `Face.gaze`."""
        refined = mesh.copy()
        refined[list(LEFT_LIDS)], left = self._read(image, mesh[list(LEFT_CORNERS)])
        # The network knows the left eye: the right one is its mirror image.
        right_corners = mesh[list(RIGHT_CORNERS)]
        lids, right = self._read(image, right_corners, mirror=True)
        refined[list(RIGHT_LIDS)] = lids
        return refined, np.stack([left, right])

    def _read(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        corners: Float[np.ndarray, "2 2"],
        mirror: bool = False,
    ) -> tuple[Float[np.ndarray, "16 2"], Float[np.ndarray, "2"]]:
        """Return the lids of an eye in the picture's pixels, and its gaze."""
        x, y = corners.mean(axis=0).tolist()
        width = float(np.linalg.norm(corners[1] - corners[0]))
        square = FaceRectangle((x, y), IRIS_SCALE * width, slope(*corners))
        crop = crop_face(image, square, IRIS_SIDE)
        picture = crop.image
        if mirror:
            picture = np.ascontiguousarray(picture[:, ::-1])
        self._network.setInput(cv2.dnn.blobFromImage(picture, 1 / 255))
        outputs = self._network.forward(self._outputs)
        # Five points of the iris, its centre first, and 71 around the eye.
        points = [output.reshape(-1, 3)[:, :2] for output in outputs]
        iris, eye = sorted(points, key=len)
        lids = eye[: len(LEFT_LIDS)].astype(np.float64)
        gaze = gaze_of(iris[0], lids[OUTER_CORNER], lids[INNER_CORNER])
        if mirror:
            # Positions are pixels' centres, from 0 to side - 1.
            lids[:, 0] = IRIS_SIDE - 1 - lids[:, 0]
            gaze[0] = -gaze[0]
        return transform_points(lids, crop.crop_to_image), gaze


def gaze_of(
    iris: Float[np.ndarray, "2"],
    left: Float[np.ndarray, "2"],
    right: Float[np.ndarray, "2"],
) -> Float[np.ndarray, "2"]:
    """Return the place of an iris between the corners of its eye.

    It is counted from their middle, across and down the eye, in widths of the eye.
    """
    across = right - left
    down = np.array([-across[1], across[0]])
    offset = iris - (left + right) / 2
    # Divided by the width twice: the axes are as long, and it is the unit.
    return np.array([offset @ across, offset @ down]) / (across @ across)
