"""Groups of landmarks: which points of a face are lips, lids or brows.

A data set names its own groups, so that its readers need not know who marked the faces.
Left and right are the picture's.
"""

from collections.abc import Iterable, Mapping

LandmarkGroups = Mapping[str, tuple[int, ...]]
"""Name -> indices of its landmarks."""

MOUTH = ("lips_outer", "lips_inner")
LEFT_EYE = ("eye_left",)
RIGHT_EYE = ("eye_right",)
EYES = (*LEFT_EYE, *RIGHT_EYE, "iris_left", "iris_right")
BROWS = ("brow_left", "brow_right")

MESH_GROUPS: LandmarkGroups = {
    "jaw": (
        *(127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
        *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356),
    ),
    "brow_left": (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    "brow_right": (336, 296, 334, 293, 300, 276, 283, 282, 295, 285),
    "eye_left": (
        *(33, 246, 161, 160, 159, 158, 157, 173),
        *(133, 155, 154, 153, 145, 144, 163, 7),
    ),
    "eye_right": (
        *(362, 398, 384, 385, 386, 387, 388, 466),
        *(263, 249, 390, 373, 374, 380, 381, 382),
    ),
    "lips_outer": (
        *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409),
        *(291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
    ),
    "lips_inner": (
        *(78, 191, 80, 81, 82, 13, 312, 311, 310, 415),
        *(308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
    ),
}
"""Groups of the 468 points of MediaPipe's face mesh.

Source: MediaPipe (Apache-2.0), `face_mesh_connections`."""
DETECTED_GROUPS: Mapping[int, LandmarkGroups] = {468: MESH_GROUPS}
"""Number of a detector's landmarks -> their groups, where they are known."""


def group_points(names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the groups of landmarks, given the name of each point's group."""
    # groups keep the order of their first points
    groups: dict[str, tuple[int, ...]] = {}
    for index, name in enumerate(names):
        groups[name] = (*groups.get(name, ()), index)
    return groups


def points_of(groups: LandmarkGroups, names: Iterable[str]) -> tuple[int, ...]:
    """Return the points of the named groups; unknown groups have none."""
    return tuple(index for name in names for index in groups.get(name, ()))
