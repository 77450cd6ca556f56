"""The eyes of a portrait, for drivers that are conditioned on the source."""

from pathlib import Path

import numpy as np

from jaxportrait.drivers.base import SourceFace
from jaxportrait.media.faces import Detector, NoFaceError, open_irises
from jaxportrait.media.faces.eyeballs import eye_openness, eyeball_offsets
from jaxportrait.media.faces.mesh import MeshDetector
from jaxportrait.portrait.picture import Portrait


def read_source_face(
    portrait: Portrait, detector: Detector, models: str | Path | None = None
) -> SourceFace:
    """Return the face of a portrait as a driver reads it.

    Args:
      detector: the portrait's; the mesh reads the crop where it sees no irises.
      models: folder of model files; see `open_irises`.

    Raises:
      DetectorUnavailableError: the face mesh or its iris model is missing.
      NoFaceError: the mesh does not see the face.
    """
    reader = detector.find
    if not isinstance(reader, MeshDetector) or not reader.sees_irises:
        reader = open_irises(models)
    mesh = reader.read_irises(portrait.crop)
    if mesh is None:
        raise NoFaceError(
            'the face mesh sees no eyes in the source: use condition "character"'
        )
    # In sides of the crop, which is square.
    points = (mesh / len(portrait.crop))[None]
    return SourceFace(
        portrait.source.motion,
        eye_openness(points).astype(np.float32),
        eyeball_offsets(points).astype(np.float32),
    )
