"""Bad clips beside good ones, processed as a user does it."""

import json
from io import StringIO
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter
from tests.train.videos import draw_head, save_tiny_checkpoint, voice, write_head
from train.data.dataset import open_dataset
from train.prepare.motion.extract import MotionRecipe
from train.prepare.motion.run import Options, process

SECONDS = 2.4
SIZE = (160, 128)
FPS = 25
GOOD = ("anna/a.mp4", "bert/a.mp4", "cleo/a.mp4")


def write_pictures(path: Path, pictures: list[np.ndarray], sound: Audio) -> None:
    """Write a video of pictures at 25 a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, size=SIZE, fps=FPS, audio=sound) as writer:
        for picture in pictures:
            writer.write(picture)


def copy_to(path: Path, source: Path) -> None:
    """Copy the packets of a video into another container."""
    with av.open(str(source)) as reader, av.open(str(path), "w") as writer:
        streams = {
            stream: writer.add_stream_from_template(stream) for stream in reader.streams
        }
        for packet in reader.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                writer.mux(packet)


def pictures_of(video: Path) -> list[np.ndarray]:
    return [picture for _, picture in VideoReader(video)]


def write_all(root: Path) -> None:
    """Write good clips and one of every kind of bad ones."""
    sound = voice(SECONDS)
    head = {"seconds": SECONDS, "fps": FPS, "sound": sound}
    for phase, name in enumerate(GOOD):
        write_head(root / name, phase=phase / 7, **head)
    copy_to(root / "copy.mkv", root / GOOD[0])
    quiet = Audio.from_samples(np.zeros(round(16_000 * SECONDS), np.float32), 16_000)
    write_head(root / "silent.mp4", phase=0.3, **{**head, "sound": quiet})
    pictures = pictures_of(root / GOOD[1])
    count = len(pictures)
    write_pictures(root / "still.mp4", [pictures[5]] * count, sound)
    black = [np.zeros_like(picture) for picture in pictures]
    write_pictures(root / "black.mp4", [*black[:25], *pictures[25:]], sound)
    # the second half is nearer
    middle = count // 2
    near = [draw_head(index / FPS, half=46) for index in range(middle, count)]
    write_pictures(root / "zoom.mp4", [*pictures[:middle], *near], sound)


@pytest.fixture(scope="module")
def lines() -> StringIO:
    return StringIO()


@pytest.fixture(scope="module")
def output(tmp_path_factory, lines) -> Path:
    folder = tmp_path_factory.mktemp("quality")
    write_all(folder / "videos")
    checkpoint = save_tiny_checkpoint(folder / "tiny")
    options = Options(
        dataset_path=folder / "videos",
        output_path=folder / "out",
        layout="folder",
        recipe=MotionRecipe(checkpoint=checkpoint, detector="haar", lips="motion"),
        report=True,
    )
    process(options, Console(file=lines, width=200))
    return folder / "out"


@pytest.fixture(scope="module")
def manifest(output) -> dict[str, dict]:
    text = (output / "manifest.jsonl").read_text(encoding="utf-8")
    return {entry["clip"]: entry for entry in map(json.loads, text.splitlines())}


def test_good_clips_are_used(manifest):
    assert all(manifest[name]["reason"] == "" for name in GOOD)
    assert all(manifest[name]["splits"] for name in GOOD)


@pytest.mark.parametrize(
    ("clip", "option"),
    [
        ("silent.mp4", "--most-silence"),
        ("still.mp4", "--least-movement"),
        ("black.mp4", "--most-black"),
        ("copy.mkv", "--keep-duplicates"),
    ],
)
def test_a_bad_clip_is_left_out_with_its_reason(clip, option, manifest):
    assert option in manifest[clip]["reason"]
    assert manifest[clip]["splits"] == []


def test_a_clip_is_cut_where_its_zoom_jumps(manifest, output):
    zoom = manifest["zoom.mp4"]
    assert zoom["cuts"] == [pytest.approx(30 / FPS, abs=0.01)]
    assert "at 1.20 s" in zoom["remark"]
    (first, middle), (start, last) = zoom["spans"]
    assert first == 0
    assert 0 <= start - middle <= 3
    assert last <= SECONDS * 30
    assert zoom["frames"] == middle + last - start
    # no record holds both sides
    dataset = open_dataset(output)
    records = [*dataset.clips("train"), *dataset.clips("validation")]
    assert sum(record.clip == "zoom.mp4" for record in records) == 2


def test_columns_are_measured(manifest):
    good = manifest[GOOD[0]]
    assert good["silence"] < 0.3 < manifest["silent.mp4"]["silence"]
    assert good["movement"] > 0.15 > manifest["still.mp4"]["movement"]
    assert manifest["black.mp4"]["black"] == pytest.approx(25 / 60, abs=0.02)
    assert good["pictures"] == manifest["copy.mkv"]["pictures"]
    # Haar's faces are too uncertain to count
    assert (good["aspect"], good["people"]) == (1.0, None)


def test_the_set_is_too_small_for_the_gate_and_says_so(lines, output):
    text = lines.getvalue()
    assert "lips are read from motion, along its learnt lip axis" in text
    # three good clips, and both sides of the zoom
    assert "no gate, as there are 5 clips, and 12 are needed" in text
    assert f"report: {output / 'report.html'}" in text
    page = (output / "report.html").read_text(encoding="utf-8")
    # a thumbnail of every clip, used or not
    assert page.count("data:image/jpeg") == 8
