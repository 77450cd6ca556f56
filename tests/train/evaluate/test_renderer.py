"""Measures of pictures on figures known by hand, a renderer in its inference form, and
the program as users run it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.pipeline.encode import extract_motion
from jaxportrait.pipeline.render import render
from jaxportrait.renderer import Renderer
from tests.train.portraits import IMAGE_SIZE, save_small_checkpoint
from tests.train.videos import draw_head
from train.data.frames import FrameRecord, encode_image
from train.evaluate.renderer.__main__ import main
from train.evaluate.renderer.measures import (
    INNER,
    landmark_box,
    signal_to_noise,
    similarity,
)
from train.evaluate.renderer.pairs import Pair, driving_frames, make_pairs
from train.evaluate.renderer.report import measure
from train.evaluate.renderer.run import BATCH, Options, evaluate
from train.prepare.frames.extract import FrameRecipe
from train.prepare.frames.run import write_frames
from train.prepare.split import Piece
from train.synthetic.landmarks import COUNT

SIZE = 2 * IMAGE_SIZE


# Measures


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def test_signal_to_noise_of_a_known_error():
    true = np.full((8, 8, 3), 100, np.uint8)
    made, everywhere = true.copy(), np.ones((8, 8), bool)
    made[0] += 20
    assert signal_to_noise(made, true, everywhere) == pytest.approx(
        10 * np.log10(255**2 / (400 / 8))
    )
    assert signal_to_noise(
        made, true, np.arange(64).reshape(8, 8) < 8
    ) == pytest.approx(20 * np.log10(255 / 20))
    assert signal_to_noise(true, true, everywhere) == pytest.approx(
        10 * np.log10(255**2 * 12)
    )


def test_similarity_of_flat_pictures_is_that_of_their_means():
    a, b = (np.full((SIZE, SIZE, 3), level, np.uint8) for level in (100, 150))
    steady = (0.01 * 255) ** 2
    found = similarity(a, b)
    np.testing.assert_allclose(
        found[INNER, INNER], (2 * 100 * 150 + steady) / (100**2 + 150**2 + steady)
    )
    assert np.isnan(found[:5]).all()
    assert np.isfinite(found).sum() == (SIZE - 10) ** 2


def test_similarity_at_a_pixel_is_the_formula_over_its_window():
    x, y = (noise(seed)[:11, :11] for seed in (0, 1))
    steps = np.arange(-5, 6)
    weight = np.exp(-np.add.outer(steps**2, steps**2) / (2 * 1.5**2))
    weight /= weight.sum()
    a, b = (picture @ np.array([0.299, 0.587, 0.114]) for picture in (x, y))
    mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
    spread_a, spread_b = (
        (weight * (a - mean_a) ** 2).sum(),
        (weight * (b - mean_b) ** 2).sum(),
    )
    shared = (weight * (a - mean_a) * (b - mean_b)).sum()
    steady_mean, steady_variance = 2.55**2, 7.65**2
    expected = (
        (2 * mean_a * mean_b + steady_mean) * (2 * shared + steady_variance)
    ) / (
        (mean_a**2 + mean_b**2 + steady_mean) * (spread_a + spread_b + steady_variance)
    )
    found = similarity(x, y)
    assert found[5, 5] == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(found).sum() == 1
    assert similarity(x, x)[5, 5] == pytest.approx(1)


def test_a_box_holds_its_landmarks_and_a_margin():
    points = np.array([[-1.0, 0.0], [1.0, 0.5]])
    box = landmark_box(points, 101)
    rows, columns = np.nonzero(box)
    assert (columns.min(), columns.max()) == (0, 100)
    assert (rows.min(), rows.max()) == (50 - 25, 75 + 25)
    assert not landmark_box(np.array([[np.nan, 0.0], [0.1, 0.1]]), 101).any()
    assert not landmark_box(np.zeros((0, 2)), 101).any()


def pair_of(made: np.ndarray, true: np.ndarray, landmarks: np.ndarray) -> Pair:
    return Pair("a", "A", np.zeros_like(true), true, made, true, np.float32(landmarks))


def test_a_region_is_measured_where_its_landmarks_are_known():
    true = noise(0)
    spoilt = true.copy()
    spoilt[:40, :40] = 0
    corner, other = np.full((2, 2), -0.9), np.full((2, 2), 0.9)
    corner[1], other[1] = -0.6, 0.6
    pairs = [
        pair_of(spoilt, true, np.concatenate([corner, other])),
        pair_of(true, true, np.full((4, 2), np.nan)),
    ]
    found = measure(pairs, {"corner": [(0, 1)], "other": [(2, 3)]})
    assert found["corner"]["made"]["psnr"] < 10
    assert found["corner"]["made"]["ssim"] < 0.1
    assert found["other"]["made"]["psnr"] > 58
    assert found["picture"]["made"]["psnr"] > found["corner"]["made"]["psnr"] + 10
    assert found["picture"]["reduced"]["ssim"] == pytest.approx(1)
    assert "nose" not in measure(pairs[1:], {"nose": [(0, 1)]})


# What is made


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture(scope="module")
def renderer(checkpoint) -> Renderer:
    return Renderer.from_checkpoint(checkpoint, dtype="float32", batch_size=BATCH)


def head(seconds: float, size: int = SIZE) -> np.ndarray:
    return cv2.resize(
        draw_head(seconds)[:, 16:144], (size, size), interpolation=cv2.INTER_AREA
    ).astype(np.uint8)


def test_own_frames_give_their_pose_and_expression_to_the_source(renderer):
    pictures = [head(second, IMAGE_SIZE) for second in np.arange(BATCH + 2) / 10]
    source = renderer.source(pictures[0])
    motion = renderer.read(pictures[1:], 30)
    keypoints = renderer.keypoints(source, motion, "source")
    made = np.concatenate(list(renderer.frames(source, keypoints)))
    seen = extract_motion(
        renderer.networks["motion"], np.stack(pictures[1 : BATCH + 1])
    )
    placed = transform_keypoints(
        source.motion.keypoints,
        rotation_matrix(seen.pose),
        seen.expression,
        seen.scale,
        seen.translation,
    )
    expected = render(
        renderer.networks["warping"], renderer.networks["generator"], source, placed
    )
    assert made.shape == (BATCH + 1, SIZE, SIZE, 3)
    assert np.abs(made[:BATCH].astype(int) - np.asarray(expected)).max() <= 1
    assert made[0].tobytes() != made[2].tobytes()


def test_driving_frames_are_spread_over_a_clip_and_never_its_first():
    assert driving_frames(11, 5) == [2, 4, 6, 8, 10]
    assert driving_frames(3, 9) == [1, 2]
    assert driving_frames(2, 1) == [1]


def record_of(clip: str, frames: int, points: int = COUNT) -> FrameRecord:
    """A head whose landmarks are all around its mouth, but for those of the eyes."""
    landmarks = np.full((frames, points, 2), np.nan, np.float32)
    landmarks[:, 62:, 0], landmarks[:, 62:, 1] = (
        np.linspace(-0.2, 0.2, points - 62),
        np.linspace(0.3, 0.5, points - 62),
    )
    pictures = [
        encode_image(head(0.11 * frame + 0.07 * ord(clip[-1])))
        for frame in range(frames)
    ]
    return FrameRecord(
        clip, clip.split("/")[0], pictures, landmarks, np.zeros((frames, 3), np.float32)
    )


def test_pairs_are_shared_out_over_clips(renderer):
    records = [record_of("M1/a", 6), record_of("M1/b", 3), record_of("W2/c", 6)]
    pairs = list(make_pairs(renderer, records, 7))
    assert [pair.clip for pair in pairs] == ["M1/a"] * 3 + ["M1/b"] * 2 + ["W2/c"] * 2
    (one,) = {pair.source.tobytes() for pair in pairs[:3]}
    assert one != pairs[3].source.tobytes()
    for pair in pairs:
        assert (
            pair.made.shape == pair.true.shape == pair.reduced.shape == (SIZE, SIZE, 3)
        )
    lost = np.abs(pairs[0].reduced.astype(int) - pairs[0].true).mean()
    assert 0.1 < lost < np.abs(pairs[0].source.astype(int) - pairs[0].true).mean() + 5
    assert len(list(make_pairs(renderer, records, 1))) == 1


# The program


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("frames")
    records = {name: record_of(name, 4) for name in ("M1/a", "M1/b", "W2/c")}
    pieces = [
        Piece(clip, "train" if clip == "M1/b" else "validation", 0, 4)
        for clip in records
    ]
    write_frames(path, pieces, records.__getitem__, FrameRecipe(size=SIZE))
    return path


@pytest.mark.parametrize(
    ("people", "pairs", "clips"),
    [("held-out", 4, ["M1/a", "W2/c"]), ("all", 6, ["M1/a", "M1/b", "W2/c"])],
)
def test_program_writes_table_figures_and_sheets(
    frames, checkpoint, tmp_path, monkeypatch, capsys, people, pairs, clips
):
    output = tmp_path / "out"
    arguments = [
        "--dataset-path",
        frames,
        "--checkpoint",
        checkpoint,
        "--output",
        output,
        "--pairs",
        pairs,
    ]
    arguments += ["--people", people] if people == "all" else []
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    main()
    report = json.loads((output / "evaluation.json").read_text())
    assert (report["people"], report["pairs"], report["clips"], report["size"]) == (
        people,
        pairs,
        clips,
        SIZE,
    )
    assert set(report["measures"]) == {
        "picture",
        "mouth",
    }  # of the eyes nothing is known
    for region in report["measures"].values():
        assert set(region) == {"made", "reduced", "source"}
        assert region["reduced"]["psnr"] > region["made"]["psnr"]
    own = cv2.imread(str(output / "own.png"))
    assert own is not None
    assert own.shape[1] == 4 * 256
    assert {path.name for path in output.iterdir()} == {
        "evaluation.json",
        "own.png",
        "cross-1.png",
        "cross-2.png",
    }
    out = capsys.readouterr().out
    assert (
        f"{pairs} pairs of {len(clips)} clips ({people} people) at {SIZE} pixels" in out
    )
    assert "truth at input size" in out


def test_what_does_not_fit_is_one_line_and_status_2(
    frames, checkpoint, tmp_path, monkeypatch, capsys
):
    arguments = [
        "--dataset-path",
        frames,
        "--checkpoint",
        checkpoint,
        "--output",
        tmp_path / "out",
        "--pairs",
        0,
    ]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    assert capsys.readouterr().err == "error: --pairs must be at least 1, got 0\n"

    def run(folder: Path, **options):
        evaluate(
            replace(Options(folder, checkpoint, tmp_path / "out"), **options),
            Console(quiet=True),
        )

    with pytest.raises(
        ValueError, match=r"--left-eye names landmark 82, and .* has 82: give its own"
    ):
        run(frames, left_eye=(3, 82))
    record = record_of("M1/a", 4)
    write_frames(
        tmp_path,
        [Piece("M1/a", "validation", 0, 4)],
        lambda _: record,
        FrameRecipe(size=SIZE, zoom=1.5),
    )
    with pytest.raises(
        ValueError,
        match=r"was cut out with --zoom 1\.5, and .* was trained on 1: make frames",
    ):
        run(tmp_path)
