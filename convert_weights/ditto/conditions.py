"""Golden conditions of Ditto: eyes, what follows the sound in a frame, sources."""

from typing import Any

import numpy as np

from convert_weights.ditto.recipe import ANGLES, DittoRecipe, read_video
from convert_weights.outputs import Outputs
from jaxportrait.drivers.ditto_condition import (
    Emotions,
    Face,
    condition_tail,
    emotion_weights,
    mirror_frames,
    pack_reference,
)
from jaxportrait.media.faces.eyeballs import (
    MESH_POINTS,
    eye_openness,
    eyeball_offsets,
)
from jaxportrait.motion.binned import smooth_frames

# The cases are described in tests/golden/ditto/README.md: source, emotion, first frame,
# frames.
IMAGE = "image"
VIDEO = "video"
CASES: dict[str, tuple[str, Any, int, int]] = {
    "image": (IMAGE, 4, 0, 12),
    "window": (IMAGE, 3, -8, 12),
    "labels": (IMAGE, [3, 4], 0, 7),
    "lists": (IMAGE, [[0], [1, 2], [7]], -2, 8),
    "rows": (IMAGE, None, 3, 9),
    "video": (VIDEO, 4, -3, 14),
    "video_later": (VIDEO, None, 8, 12),
    "video_first": ("video_first", 4, 2, 7),
    "character": ("character", 6, 0, 7),
}
VIDEO_FRAMES = 5
SMOOTHED_FRAMES = 9
SMOOTHED_WIDTH = 5


def run_conditions(recipe: DittoRecipe) -> Outputs:
    """Yield every golden output of `conditions.npz`."""
    mesh = recipe.input(
        "conditions/video_landmarks", (VIDEO_FRAMES, MESH_POINTS, 3), 0.1, 0.5
    )
    yield "eye_open", eye_openness(mesh)
    yield "eye_ball", eyeball_offsets(mesh)
    faces = read_faces(recipe, mesh)
    for case, (source, emotion, start, count) in CASES.items():
        emotions = Emotions(read_emotions(recipe, emotion))
        tail = condition_tail(faces[source], emotions, start, count)
        yield f"{case}/tail", tail
    video = read_video(recipe, "video", SMOOTHED_FRAMES)
    for name, values in video.items():
        yield f"smoothed_source/{name}", smooth_frames(values, SMOOTHED_WIDTH)
    yield "vector", reference_of(video)
    table = [mirror_frames(np.arange(12), length) for length in (1, 2, 5)]
    yield "mirror", np.stack(table)


def read_faces(recipe: DittoRecipe, mesh: np.ndarray) -> dict[str, Face]:
    """Return the faces of the cases, by the names that they have there.

    Args:
      mesh: landmarks of the video.
    """
    keypoints = read_video(recipe, VIDEO, SMOOTHED_FRAMES)["kp"][:, 0]
    openness = eye_openness(mesh)
    eyeballs = eyeball_offsets(mesh)
    video = Face(openness, eyeballs, keypoints[0])
    # A picture is the first frame of the video, and the character the second.
    return {
        IMAGE: video.first(),
        VIDEO: video,
        "video_first": video.first(),
        "character": Face(openness[1:2], eyeballs[1:2], keypoints[1]),
    }


def reference_of(video: dict[str, np.ndarray]) -> np.ndarray:
    """Return the first frame as the network reads it."""
    # (frames, 1, d): the first frame, without its batch of one.
    first = {name: values[0, 0] for name, values in video.items()}
    angles = [first[angle] for angle in ANGLES]
    return pack_reference(first["scale"], angles, first["t"], first["exp"])


def read_emotions(recipe: DittoRecipe, emotion: Any) -> np.ndarray:
    """Return the vectors of a case's emotion, a row a frame."""
    if emotion is None:
        return recipe.input("conditions/emotion", (4, 8), 0.2, 0.1)
    # A list of lists has a vector for each frame.
    is_sequence = isinstance(emotion, list) and isinstance(emotion[0], list)
    rows = emotion if is_sequence else [emotion]
    return np.stack([emotion_weights(row) for row in rows])
