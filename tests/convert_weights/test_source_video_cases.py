"""The golden option cases of source videos."""

from convert_weights import source_video_cases
from convert_weights.motion_cases import MOTION_BOUND
from convert_weights.source_video_cases import verify_source_video


def test_every_case_is_within_its_bound(golden):
    rows = verify_source_video(golden)
    # 51 sets of options, and three variances of the smoother.
    assert len(rows) == 54
    assert {row.name for row in rows if not row.passed} == set()
    assert {row.bound for row in rows} == {MOTION_BOUND}


def test_motion_that_is_not_smoothed_fails(golden, monkeypatch):
    monkeypatch.setattr(
        "jaxportrait.pipeline.retarget_video.smooth_shots",
        lambda values, shots, variance: values,
    )
    rows = verify_source_video(golden)
    failed = [row.name for row in rows if not row.passed]
    # Retargeting of openness by relative motion keeps nothing of the motion.
    assert len(failed) == 28
    assert all("video, " in name for name in failed)
    assert not any("image" in name for name in failed)


def test_a_folder_without_such_cases_has_none(tmp_path):
    assert verify_source_video(tmp_path) == []
    assert source_video_cases.FILE == "source_video.npz"
