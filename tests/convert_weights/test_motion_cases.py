"""The golden option cases of LivePortrait's pipeline."""

from convert_weights import motion_cases
from convert_weights.motion_cases import MOTION_BOUND, verify_motion


def test_every_case_is_within_its_bound(golden):
    rows = verify_motion(golden)
    assert len(rows) == 56
    assert {row.name for row in rows if not row.passed} == set()
    assert {row.bound for row in rows} == {MOTION_BOUND}


def test_another_pipeline_fails(golden, monkeypatch):
    # Lips and eyes are confused: most cases stay, those of either region do not.
    swapped = motion_cases.REGIONS | {"lip": "eyes", "eyes": "lips"}
    monkeypatch.setattr(motion_cases, "REGIONS", swapped)
    failed = [row.name for row in verify_motion(golden) if not row.passed]
    assert len(failed) == 16
    assert all(", lip, " in name or ", eyes, " in name for name in failed)
