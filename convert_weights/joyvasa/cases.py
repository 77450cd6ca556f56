"""JoyVASA's option cases: keypoints that its pipelines hand to the renderer, beside those
of our retargeting."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.joyvasa.recipe import JoyVASARecipe
from convert_weights.joyvasa.sampling import (
    PUBLISHED_SMOOTHING,
    values_by_name,
)
from convert_weights.motion_cases import REGIONS, source_motion
from jaxportrait.media.faces.openness import openness_of
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import smooth_head
from jaxportrait.motion.rotation import matrices_of
from jaxportrait.motion.space import MOTION_SPACES, KeypointGroups
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.retarget import drive
from jaxportrait.types import AnyArray, Source

FPS = 25.0
ANGLES = ("pitch", "yaw", "roll")

Figures = Mapping[str, np.ndarray]


def run_cases(
    recipe: JoyVASARecipe, figures: Figures, networks: Mapping[str, Any]
) -> Iterator[tuple[str, AnyArray]]:
    """Yield the smoothed motion, the source's keypoints and those of every case.

    Args:
      networks: stitching and retargeting networks by their names in
        `CorrectionNetworks`.
    """
    source = read_source(figures)
    clip = read_motion(figures)
    smoothed = smooth_head(clip, PUBLISHED_SMOOTHING)
    frames = MOTION_SPACES["joyvasa"].select(smoothed.to_frames())
    for name, value in values_by_name(np.asarray(frames)).items():
        # Only the head is smoothed.
        if name != "exp":
            yield f"keypoints/smoothed/{name}", value
    yield "keypoints/smoothed/R", np.asarray(smoothed.rotation)
    yield "keypoints/x_s", source.keypoints
    for name, case in recipe.manifest["cases"].items():
        moved = smoothed if case.get("smooth") else clip
        drive_case = drive_animal if name.startswith("animal/") else drive_human
        keypoints = drive_case(figures, source, moved, networks, case)
        yield f"keypoints/{name}", keypoints


def drive_human(
    figures: Figures,
    source: Source,
    clip: MotionClip,
    networks: Mapping[str, Any],
    case: Mapping[str, Any],
) -> AnyArray:
    """Return the driving keypoints of a case of a human face."""
    relative = case["flag_relative_motion"]
    retargets = case.get("flag_lip_retargeting", False)
    retargeting = Retargeting(
        composition="joyvasa",
        relative_motion=relative,
        region=REGIONS[case["animation_region"]],  # pyright: ignore[reportArgumentType]
        driving_option=case["driving_option"],
        driving_multiplier=case["driving_multiplier"],
        # As published, lips are shut only for relative motion.
        normalize_lips=case["flag_normalize_lip"] and relative and not retargets,
        lip_retargeting=retargets,
    )
    used = CorrectionNetworks(
        stitching=networks["stitching"] if case["flag_stitching"] else None,
        # The published lip retargeting has no network: the face stands still.
        lips=networks["lips"] if retargeting.normalize_lips else None,
    )
    if retargets:
        clip = replace(clip, lips=np.zeros((len(clip), 1), np.float32))
    keypoints = drive(
        source,
        clip,
        # The rest is the first frame, as published.
        clip[:1],
        retargeting,
        used,
        groups=KeypointGroups(),
        openness=openness_of(whole(figures, "keypoints/landmarks")),
    )
    # A face that stands still is one frame.
    return np.broadcast_to(keypoints, (len(clip), *keypoints.shape[1:]))


def drive_animal(
    figures: Figures,
    source: Source,
    clip: MotionClip,
    networks: Mapping[str, Any],
    case: Mapping[str, Any],
) -> AnyArray:
    """Return the driving keypoints of a case of an animal: relative motion, whatever its
    options, without the head's size."""
    retargeting = Retargeting(
        driving_option="expression-friendly",
        driving_multiplier=case["driving_multiplier"],
    )
    # The published pipeline stitches animals by the network of humans.
    stitching = networks["stitching"] if case["flag_stitching"] else None
    return drive(
        source,
        replace(clip, scale=None),
        replace(clip[:1], scale=None),
        retargeting,
        CorrectionNetworks(stitching=stitching),
        groups=KeypointGroups(),
    )


def read_source(figures: Figures) -> Source:
    """Return the golden source; its volumes are of no interest to retargeting."""
    motion = source_motion(lambda name: whole(figures, f"keypoints/{name}"))
    keypoints = transform_keypoints(
        motion.keypoints,
        rotation_matrix(motion.pose),
        motion.expression,
        motion.scale,
        motion.translation,
    )
    nothing = jnp.zeros(())
    return Source(nothing, nothing, keypoints, motion, nothing)


def read_motion(figures: Figures) -> MotionClip:
    """Return the golden motion."""
    angles = [whole(figures, f"keypoints/motion/{name}") for name in ANGLES]
    return MotionClip(
        expression=whole(figures, "keypoints/motion/exp"),
        rotation=matrices_of(np.concatenate(angles, axis=1)),
        translation=whole(figures, "keypoints/motion/t"),
        scale=whole(figures, "keypoints/motion/scale"),
        fps=FPS,
    )


def whole(figures: Figures, name: str) -> np.ndarray:
    """Return a golden tensor of which every value is stored, in its shape."""
    return figures[name].reshape(figures[f"{name}/shape"])
