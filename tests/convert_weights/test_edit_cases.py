"""The golden cases of LivePortrait's sliders."""

from dataclasses import replace

import numpy as np

from convert_weights.edit_cases import verify_edits
from convert_weights.motion_cases import MOTION_BOUND
from jaxportrait.motion.sliders import PUBLISHED_SLIDERS


def test_every_case_is_within_its_bound(golden):
    rows = verify_edits(golden)
    assert len(rows) == 46
    assert {row.name for row in rows if not row.passed} == set()
    assert {row.bound for row in rows} == {MOTION_BOUND}


def test_another_slider_fails(golden, monkeypatch):
    smile = PUBLISHED_SLIDERS["smile"]
    other = replace(smile, above=np.roll(smile.above, 1, axis=0))
    monkeypatch.setitem(PUBLISHED_SLIDERS, "smile", other)
    failed = {row.name for row in verify_edits(golden) if not row.passed}
    assert failed
    assert all("smile" in name for name in failed)
