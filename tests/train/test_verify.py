"""Five updates against the published code's; the report must also be able to fail."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from train.verify import verify


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
