"""Networks of an exported checkpoint: those that a run has trained, and those that it
copies."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxportrait.checkpoint import Checkpoint, CheckpointError, Contents, Crop, Leaves
from jaxportrait.checkpoint.description import (
    FORMAT_1_KEYPOINTS,
    decode_block,
    decode_parts,
    upgrade_part,
)
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.motion.space import KeypointGroups


def untrained_parts(
    frozen: Checkpoint | None, trained: list[str]
) -> tuple[Contents, dict[str, Leaves]]:
    """Return a checkpoint's contents without the parts in `trained`, and their weights.

    The contents are empty where there is no checkpoint.
    """
    if frozen is None:
        # Only renderer runs need none. They name their groups of keypoints, and those
        # from before format 2 have the groups that format 1 implied.
        return Contents(keypoints=FORMAT_1_KEYPOINTS), {}
    parts = {
        part: config for part, config in frozen.parts.items() if part not in trained
    }
    # A driver whose transformer was trained comes back with the new one.
    drivers = {
        name: driver
        for name, driver in frozen.drivers.items()
        if driver.config.motion_part not in trained
    }
    contents = replace(frozen.contents, parts=parts, drivers=drivers)
    return contents, {part: frozen.leaves(part) for part in parts}


def add_trained(
    contents: Contents, trained: Mapping[str, Any]
) -> tuple[Contents, list[str]]:
    """Return `contents` with what a run has trained, and the names of its parts.

    Args:
      trained: part -> sizes as JSON keeps them, and the crop of a renderer.
    """
    # Runs from before format 2 wrote parts as format 1 did.
    blocks = {
        name: upgrade_part(name, sizes)
        for name, sizes in trained.items()
        if isinstance(sizes, Mapping)
    }
    crop = contents.crop
    if "image_size" in trained:
        # Runs on older frames do not name the detector.
        detector = trained.get("crop_detector")
        crop = Crop(trained["image_size"], trained["crop_zoom"], detector)
    parts = {**contents.parts, **decode_parts(blocks)}
    return replace(contents, parts=parts, crop=crop), list(blocks)


def with_keypoints(contents: Contents, groups: Mapping[str, Any]) -> Contents:
    """Return `contents` with the groups of keypoints that a renderer run names.

    Args:
      contents: contents of the checkpoint to write.
      groups: eyes, brows and lips, as JSON keeps them.
    """
    keypoints = decode_block(groups, KeypointGroups, "keypoints")
    return replace(contents, keypoints=keypoints)


def with_log_mel(
    contents: Contents, parts: dict[str, Leaves], mel_bins: int
) -> tuple[Contents, dict[str, Leaves]]:
    """Return the same with the log-mel as audio encoder, in place of any other.

    Raises:
      CheckpointError: there is a driver, which reads the features that it was trained
        on.
    """
    if contents.drivers:
        raise CheckpointError(
            f"--log-mel {mel_bins} would change what the flow transformer hears: choose the "
            "audio encoder before `python -m train.process`, and train on its features"
        )
    encoders = contents.with_role("audio features")
    configs = {
        part: config for part, config in contents.parts.items() if part not in encoders
    }
    leaves = {part: item for part, item in parts.items() if part not in encoders}
    contents = replace(contents, parts={**configs, "log_mel": LogMelConfig(mel_bins)})
    return contents, {**leaves, "log_mel": {}}


def by_part(weights: Leaves, parts: list[str]) -> dict[str, Leaves]:
    """Return the weights of each part that was trained; the flow transformer's names
    have no prefix."""
    # A run of several networks has names such as `motion.expression.kernel`.
    if parts == ["flow_transformer"]:
        return {"flow_transformer": weights}
    # A discriminator is no part of a portrait, and stays behind.
    leaves: dict[str, dict[str, np.ndarray]] = {part: {} for part in parts}
    for name, leaf in weights.items():
        part, _, path = name.partition(".")
        if part in leaves:
            leaves[part][path] = leaf
    return dict(leaves)
