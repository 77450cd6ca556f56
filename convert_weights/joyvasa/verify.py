"""JoyVASA's golden figures, beside the values of the converter, the networks and the
driver."""

import tempfile
from pathlib import Path

import numpy as np

from convert_weights.bundle import convert_files, write
from convert_weights.joyvasa.cases import run_cases
from convert_weights.joyvasa.outputs import run_joyvasa
from convert_weights.joyvasa.recipe import (
    CorrectionRecipe,
    JoyVASARecipe,
    write_joyvasa,
)
from convert_weights.motion_cases import convert_corrections
from convert_weights.parity import Comparison, compare, forgotten, is_figure
from jaxportrait.checkpoint import open_checkpoint

FILES = ("audio", "denoiser", "sequence")
NETWORK_BOUND = 2e-5
SAMPLED_BOUND = 1e-4
"""Largest errors in float32, of a network and of its samples, as shares of the largest
golden value."""
HALF_BOUNDS = (3e-2, 1e-1)
"""The same for a denoiser in bfloat16, whose numbers are 4e-3 apart."""
DENOISED = ("/constant", "/sequence", "/time_embedding", "/audio_features")
"""Ends of the names of what the denoiser makes in one call."""
CASE_BOUND = 1e-5
"""Largest error of a keypoint, as a share of the largest coordinate."""
COUNTS = ("padded_length", "lengths", "frames")
"""Ends of the names of whole numbers, which have no error."""
UNSIZED = ("schedule_", "padded_lengths", "lengths")
"""Beginnings of the names of figures that have no size of their own."""
UNUSED = ("small/sample/threshold/0",)
"""Figures of an option that no published program uses: clipping of the prediction."""


SIZES = ("small", "full")


def is_joyvasa(golden: Path) -> bool:
    """Return whether a folder holds JoyVASA's golden figures."""
    components = JoyVASARecipe(golden).components
    return any(name.startswith("joyvasa/") for name in components)


def verify_joyvasa(
    golden: Path, size: str = "all", dtype: str = "float32"
) -> list[Comparison]:
    """Compare everything that is known of JoyVASA with golden figures.

    Args:
      size: size of the networks, "motion" for the option cases, or "all".
      dtype: compute dtype of the denoiser; HuBERT's is float32 in every case.
    """
    rows = []
    for name in SIZES:
        if size in (name, "all"):
            rows += verify_size(golden, name, dtype)
    if size in ("motion", "all"):
        rows += verify_cases(golden)
    return rows


def verify_cases(golden: Path) -> list[Comparison]:
    """Compare the keypoints of every option case."""
    figures = dict(np.load(golden / "keypoints.npz"))
    recipe = JoyVASARecipe(golden)
    networks = convert_corrections(CorrectionRecipe(golden))
    rows = []
    for name, value in run_cases(recipe, figures, networks):
        rows.append(compare(figures, name, value, CASE_BOUND))
    names = [name for name in figures if is_figure(name)]
    inputs = ("keypoints/source/", "keypoints/motion/", "keypoints/landmarks")
    names = [name for name in names if not name.startswith(inputs)]
    return rows + forgotten(names, rows)


def verify_size(golden: Path, size: str, dtype: str = "float32") -> list[Comparison]:
    """Write, convert and run the recipe's model of one size, and compare every output."""
    recipe = JoyVASARecipe(golden)
    figures = load_joyvasa(golden)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = write_joyvasa(recipe, size, Path(folder, "published"))
        write(convert_files({}, joyvasa=files), Path(folder, "checkpoint"))
        checkpoint = open_checkpoint(Path(folder, "checkpoint"))
        for name, value in run_joyvasa(recipe, figures, checkpoint, size, dtype):
            # Layers between those that are stored have no figure.
            if name in figures:
                bound = bound_of_joyvasa(name, dtype)
                rows.append(compare(figures, name, value, bound))
    return rows + forgotten(names_of_joyvasa(figures, size), rows)


def load_joyvasa(golden: Path) -> dict[str, np.ndarray]:
    """Return the figures of networks and motion."""
    figures: dict[str, np.ndarray] = {}
    for file in FILES:
        figures |= np.load(golden / f"{file}.npz")
    return figures


def names_of_joyvasa(figures: dict[str, np.ndarray], size: str) -> list[str]:
    """Return the golden tensors of a size; those without one count with the small one."""
    prefixes = (f"{size}/", *UNSIZED) if size == "small" else (f"{size}/",)
    names = [name for name in figures if name.startswith(prefixes)]
    return [name for name in names if is_figure(name) and name not in UNUSED]


def bound_of_joyvasa(name: str, dtype: str = "float32") -> float:
    """Return the largest error that a value may have."""
    if name.endswith(COUNTS):
        return 0.0
    is_sampled = "/sample/" in name or "/sequence/" in name
    if dtype == "float32" or not (is_sampled or name.endswith(DENOISED)):
        return SAMPLED_BOUND if is_sampled else NETWORK_BOUND
    one_network, in_a_row = HALF_BOUNDS
    return in_a_row if is_sampled else one_network
