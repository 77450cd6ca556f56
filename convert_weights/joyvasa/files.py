"""JoyVASA's two files: the model with its HuBERT, and the template of its motion.

The model's options are never read, as they state other sizes than its tensors have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convert_weights.convert import ConversionError, Tensors, unwrapped
from convert_weights.networks.motion_diffusion import FEATURES_PER_FRAME
from convert_weights.tensors import as_arrays, read_pickle, read_tensors
from jaxportrait.models.motion_diffusion import Positions, sinusoids
from jaxportrait.motion.space import MotionStatistics
from jaxportrait.ops.diffusion import cosine_schedule

MODEL_ENTRY = "model"
ENCODER = "audio_encoder."
DENOISER = "denoising_net."
TABLE_BOUND = 1e-4
"""Largest difference of a table from the computed one; its values are 1 at most."""
SCHEDULE = {
    "betas": "betas",
    "alphas": "alphas",
    "alpha_bars": "alpha_bars",
    "sigmas_flex": "flexible_sigmas",
    "sigmas_inflex": "sigmas",
}
"""JoyVASA's table of the diffusion -> ours."""

POSITION_CONV = "encoder.pos_conv_embed.conv."
WEIGHT_NORMS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
"""Names of length and direction of a weight-normed kernel, old and new."""
CROSS_ATTENTION = ".multihead_attn.in_proj_"
THIRDS = ("query", "key", "value")

TEMPLATE_WIDTHS = {
    "scale": 1,
    "R": 9,
    "t": 3,
    "exp": 63,
    "pitch": 1,
    "yaw": 1,
    "roll": 1,
    "lip": 1,
    "eyes": 2,
}
"""Value of a template -> its width."""
TEMPLATE_MOMENTS = ("mean", "std", "max", "min", "abs_max")
HEAD_VALUES = ("scale", "t", "pitch", "yaw", "roll")
"""Values after the expression, in the model's order, normalised by their range."""


class Heads(NamedTuple):
    """Attention heads, which are in no shape; None for the published number."""

    encoder: int | None = None
    denoiser: int | None = None


PUBLISHED_HEADS = Heads()


@dataclass(frozen=True)
class JoyVASAFiles:
    """JoyVASA's files.

    Attributes:
      model: the model of `motion_generator`.
      template: the statistics of `motion_template`, of the same download.
      positions: the way of positions that the model was trained with.
      heads: attention heads of sizes that were never published.
    """

    model: Path
    template: Path
    positions: Positions = "constant"
    heads: Heads = PUBLISHED_HEADS


class Model(NamedTuple):
    """The tensors of one part, and what no shape of them tells."""

    tensors: Tensors
    metadata: Mapping[str, Any]


def read_model(files: JoyVASAFiles) -> dict[str, Model]:
    """Return the tensors of each part of the model.

    Raises:
      ConversionError: it is another file, or a table differs from the computed one.
    """
    content = read_tensors(files.model, with_options=True)
    name = str(files.model)
    # A file of safetensors is the state dict itself.
    state = content.get(MODEL_ENTRY, content)
    if not isinstance(state, Mapping):
        raise ConversionError(f"{name} holds no tensors under {MODEL_ENTRY}")
    tensors = unwrapped(as_arrays(state, name))
    encoder = {}
    denoiser = {}
    for key, tensor in tensors.items():
        if key.startswith(ENCODER):
            encoder[key.removeprefix(ENCODER)] = tensor
        else:
            denoiser[key] = tensor
    if not encoder:
        raise ConversionError(
            f"{name} has no tensor {ENCODER}*: pass JoyVASA's motion generator, which holds its HuBERT"
        )
    # Before anything is converted: a misfit here is another kind of model.
    frames = check_tables(denoiser, name)
    return {
        "hubert": Model(
            with_plain_kernel(encoder, name),
            _known(context=FEATURES_PER_FRAME * frames, heads=files.heads.encoder),
        ),
        "motion_diffusion": Model(
            split_attention(denoiser),
            _known(positions=files.positions, heads=files.heads.denoiser),
        ),
    }


def _known(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def with_plain_kernel(tensors: Tensors, name: str) -> Tensors:
    """Return the encoder's tensors, with a plain kernel of the positions.

    Weight norm stores every tap as its length and a direction, in either spelling.

    Raises:
      ConversionError: half of it is missing, or lengths and directions differ.
    """
    plain = dict(tensors)
    for length_name, direction_name in WEIGHT_NORMS:
        length = plain.pop(POSITION_CONV + length_name, None)
        direction = plain.pop(POSITION_CONV + direction_name, None)
        if length is None and direction is None:
            continue
        if length is None or direction is None:
            raise ConversionError(
                f"{name} has only one of {length_name} and {direction_name} of {ENCODER}{POSITION_CONV[:-1]}"
            )
        if direction.ndim != 3 or length.shape != (1, 1, direction.shape[2]):
            raise ConversionError(
                f"{name}: {length_name} {length.shape} is no length of every tap of {direction_name} {direction.shape}"
            )
        # In float64: a norm is a sum over 37 000 values.
        wide = direction.astype(np.float64)
        norm = np.sqrt(np.square(wide).sum(axis=(0, 1), keepdims=True))
        kernel = (length * wide / norm).astype(np.float32)
        if POSITION_CONV + "weight" in plain:
            raise ConversionError(
                f"{name} has the kernel of {ENCODER}{POSITION_CONV[:-1]} twice"
            )
        plain[POSITION_CONV + "weight"] = kernel
    return plain


def split_attention(tensors: Tensors) -> Tensors:
    """Return the denoiser's tensors by the names that its key map reads.

    PyTorch stores queries, keys and values as one tensor. Those of the cross attention
    are taken apart, since only its values have an influence.
    """
    split: dict[str, np.ndarray] = {}
    for key, tensor in tensors.items():
        if CROSS_ATTENTION in key and len(tensor) % len(THIRDS) == 0:
            prefix, _, kind = key.partition(CROSS_ATTENTION)
            for third, part in zip(THIRDS, np.split(tensor, 3), strict=True):
                split[f"{prefix}.multihead_attn.{third}.{kind}"] = part
        else:
            # `in_proj_weight` is the weight of a layer like any other.
            split[key.replace("in_proj_", "in_proj.")] = tensor
    return split


def check_tables(tensors: Tensors, name: str) -> int:
    """Compare the stored tables with those that are computed; return a window's frames.

    Raises:
      ConversionError: a table is missing, or another one.
    """
    mask = _table(tensors, DENOISER + "alignment_mask", name)
    if mask.ndim != 2 or not np.array_equal(mask, ~np.eye(len(mask), dtype=bool)):
        raise ConversionError(
            f"{name} lets a frame hear other frames of audio than its own: only the published mask is computed"
        )
    for table in ("TE.pe", "PE.pe"):
        stored = _table(tensors, DENOISER + table, name)
        expected = sinusoids(*stored.shape[-2:]) if stored.ndim == 3 else stored
        _check_table(stored.reshape(expected.shape), expected, f"{name}: {table}")
    betas = _table(tensors, "diffusion_sched.betas", name)
    schedule = cosine_schedule(len(betas) - 1)
    for theirs, ours in SCHEDULE.items():
        stored = _table(tensors, f"diffusion_sched.{theirs}", name)
        _check_table(stored, getattr(schedule, ours), f"{name}: {theirs}")
    # The mask spans the earlier frames and those of the window.
    start = _table(tensors, "start_motion_feat", name)
    return len(mask) - start.shape[1]


def _table(tensors: Tensors, key: str, name: str) -> np.ndarray:
    if key not in tensors:
        raise ConversionError(f"{name} has no tensor {key}: it is no model of JoyVASA")
    return tensors[key]


def _check_table(stored: np.ndarray, expected: np.ndarray, name: str) -> None:
    same_shape = stored.shape == expected.shape
    # A difference that is not a number is above every limit.
    if not same_shape or not np.abs(stored - expected).max() <= TABLE_BOUND:
        raise ConversionError(
            f"{name} is another table than the published one, which this version computes"
        )


def read_template(path: Path) -> MotionStatistics:
    """Return the statistics of a template: what is added to motion, and its factor.

    The expression is normalised by mean and deviation, the head by its range.

    Raises:
      ConversionError: it cannot be read, or is no template.
    """
    template = check_template(read_pickle(path), path)
    shift = [template["mean_exp"]]
    factor = [template["std_exp"]]
    for value in HEAD_VALUES:
        least = template[f"min_{value}"]
        shift.append(least)
        factor.append(template[f"max_{value}"] - least)
    return MotionStatistics(np.concatenate(shift), np.concatenate(factor))


def check_template(content: Any, path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a template, flat and in float32.

    Raises:
      ConversionError: they are not those of a template.
    """
    # All 45 arrays are there, though the motion needs twelve of them.
    widths = {
        f"{moment}_{value}": width
        for moment in TEMPLATE_MOMENTS
        for value, width in TEMPLATE_WIDTHS.items()
    }
    if not isinstance(content, Mapping) or set(content) != set(widths):
        raise ConversionError(
            f"{path} is no motion template of JoyVASA: it must hold {', '.join(TEMPLATE_MOMENTS)} of "
            f"{', '.join(TEMPLATE_WIDTHS)}"
        )
    template = {}
    for name, width in widths.items():
        array = np.asarray(content[name])
        if array.size != width or array.dtype.kind != "f":
            raise ConversionError(
                f"{path}: {name} is {array.shape} of {array.dtype}: it must be {width} floats"
            )
        template[name] = array.astype(np.float32).ravel()
    return template
