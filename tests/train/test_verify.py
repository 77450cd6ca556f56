"""Five updates against the published code's; the report must also be able to fail."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from train.verify import verify
from train.verify_diffusion import verify_diffusion


@pytest.mark.usefixtures("optax_promotion")
def test_five_updates_are_the_published_ones(golden: Path, tmp_path: Path):
    for name in ("manifest.json", "manifest_whisper.json"):
        shutil.copy(golden / name, tmp_path)
    figures = dict(np.load(golden / "train.npz"))
    wrong = figures | {
        "losses": figures["losses"] * (1 + 2e-4),
        "after5/unknown": np.zeros(1),
    }
    np.savez(tmp_path / "train.npz", **wrong)
    # A wrong loss fails, and so does a figure that is never compared.
    rows = verify(tmp_path)
    assert {row.name for row in rows if not row.passed} == {"losses", "after5/unknown"}
    assert len(rows) == len(figures) + 1


def test_the_losses_of_the_denoiser_are_the_published_ones(
    golden: Path, tmp_path: Path
):
    for name in ("manifest.json", "sequence.npz"):
        shutil.copy(golden / "joyvasa" / name, tmp_path)
    figures = dict(np.load(golden / "joyvasa" / "train.npz"))
    name = "train/loss/1/exp_smooth"
    np.savez(tmp_path / "train.npz", **figures | {name: figures[name] * (1 + 1e-4)})
    with jax.default_matmul_precision("highest"):
        rows = verify_diffusion(tmp_path)
    assert {row.name for row in rows if not row.passed} == {name}
    # Every figure but the prediction of the first window's earlier frames.
    assert len(rows) > 60
