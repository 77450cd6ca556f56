"""Options of the export, and statistics of training data as checkpoints store them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from jaxportrait.checkpoint import check_statistics
from jaxportrait.motion.space import MotionStatistics, denormalize
from train.export.__main__ import main
from train.export.drivers import without_zeros


def test_a_value_that_never_changed_stays_at_its_mean():
    mean = np.array([0.5, 2], np.float32)
    statistics = MotionStatistics(mean, np.array([0, 0.25], np.float32))
    exported = without_zeros(statistics)
    assert exported is not None
    check_statistics(exported)
    # The other deviation is as it was.
    assert exported.std[1] == np.float32(0.25)
    values = denormalize(np.array([[3, 1]], np.float32), exported)
    np.testing.assert_allclose(values, [[0.5, 2.25]], atol=1e-5)
    assert without_zeros(None) is None


@pytest.mark.parametrize("step", ["worst", "-3", "1.5"])
def test_a_step_that_names_none_is_refused_in_one_line(
    step: str, tmp_path: Path, monkeypatch, capsys
):
    paths = [f"--work-dir={tmp_path}", f"--output={tmp_path / 'out'}"]
    monkeypatch.setattr(sys, "argv", ["export", *paths, f"--step={step}"])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    expected = f"error: step is '{step}': name a saved step by its number, or choose best or best-loss"
    assert capsys.readouterr().err == f"{expected}\n"
