"""The place and the name of a clip, and the last line of the program."""

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from infer.config import Inputs, Options, Output, clip_name
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.file import save_motion
from tests.infer.program import command, run
from tests.infer.test_driving import nod


def clip_of(output: str, source: str = "face.png", driving: str = "voice.wav") -> Path:
    inputs = Inputs(source=Path(source), driving=Path(driving))
    return Options(input=inputs, output=Output(Path(output))).clip_path()


def test_a_suffix_names_the_file_and_none_a_folder():
    assert clip_of("a/talk.webm") == Path("a/talk.webm")
    assert clip_of("a/%04d.png") == Path("a/%04d.png")
    assert clip_of("a/b") == Path("a/b/face--voice.mp4")


def test_a_folder_may_have_a_suffix_if_it_is_there(tmp_path):
    folder = tmp_path / "v1.2"
    with pytest.raises(ValueError, match=r"ends in \.2: clips end in \.mp4, \.mkv"):
        clip_of(str(folder))
    folder.mkdir()
    assert clip_of(str(folder)) == folder / "face--voice.mp4"


def byte_count(name: str) -> int:
    return len(os.fsencode(name))


@pytest.mark.parametrize(
    ("source", "driving"), [("ä" * 200, "b"), ("a", "肖" * 100), ("ä" * 99, "肖" * 99)]
)
def test_long_names_are_shortened_at_a_character(source, driving):
    name = clip_name(source, driving)
    assert 250 <= byte_count(name) <= 255
    first, _, second = name.removesuffix(".mp4").partition("--")
    # A short name stays, and of two long ones each has its half.
    assert source.startswith(first)
    assert driving.startswith(second)
    shortest = min(byte_count(first), byte_count(second))
    before = min(byte_count(source), byte_count(driving))
    assert shortest >= min(before, 120)


def test_short_names_stay():
    assert clip_name("face", "voice") == "face--voice.mp4"
    # Just as long as names may be.
    source = "a" * 124
    driving = "b" * 125
    assert clip_name(source, driving) == f"{source}--{driving}.mp4"


def test_the_suffix_decides_the_container(inputs, tmp_path, capsys):
    for name in ("talk.gif", "frames/%03d.jpg"):
        path = tmp_path / "new" / name
        run(inputs, "--output-fps", "4", **{"-o": path})
        printed = capsys.readouterr()
        is_folder = path.suffix == ".jpg"
        final = path.parent if is_folder else path
        assert printed.out == f"{final}\n"
        last = printed.err.splitlines()[-1]
        assert last == f"wrote {final} (1.0 s, 256x256)"
    with Image.open(tmp_path / "new" / "talk.gif") as picture:
        assert (picture.format, picture.n_frames) == ("GIF", 4)
    frames = sorted((tmp_path / "new" / "frames").iterdir())
    assert [frame.name for frame in frames] == [f"00{n}.jpg" for n in range(1, 5)]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("talk.avi", "ends in .avi: clips end in .mp4"),
        ("folder.mp4", "folder.mp4 is a folder"),
        ("talk.png", "or number the pictures, FOLDER/%06d.png"),
        ("face.png/%d.jpg", "face.png is a file"),
        ("ä" * 126 + ".mp4", "longer than 255 bytes"),
        ("face.png/talk.mp4", "cannot be written to"),
        ("source.webp", "source.webp would replace"),
    ],
)
def test_a_place_that_cannot_be_is_named_before_the_work(
    output, message, inputs, tmp_path, capsys
):
    (tmp_path / "folder.mp4").mkdir()
    Image.open(inputs["-s"]).save(tmp_path / "source.webp")
    options = {**inputs, "-s": tmp_path / "source.webp"}
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit, match="2"):
        run(options, **{"-o": tmp_path / output, "--checkpoint": tmp_path / "none"})
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert sorted(tmp_path.rglob("*")) == before


def test_pictures_do_not_replace_the_one_they_are_made_of(inputs, tmp_path, capsys):
    frames = tmp_path / "frames"
    frames.mkdir()
    source = inputs["-s"].rename(frames / "000001.png")
    with pytest.raises(SystemExit, match="2"):
        run({**inputs, "-s": source}, **{"-o": frames / "%06d.png"})
    assert "%06d.png would replace" in capsys.readouterr().err
    assert source.is_file()


def test_a_clip_stands_though_nobody_can_be_told(inputs, tmp_path):
    """A name that no encoding has, an ASCII terminal, a full disk behind stdout, and
    stderr without a reader."""
    source = inputs["-s"].with_name(os.fsdecode("fäce".encode() + b"\xff.png"))
    inputs["-s"].rename(source)
    output = tmp_path / "out"
    words = command({**inputs, "-s": source, "-o": output})
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=writer, env=environment)
    os.close(writer)
    assert done.returncode == 0
    (clip,) = output.iterdir()
    assert os.fsencode(clip.name) == "fäce".encode() + b"\xff--voice.mp4"
    assert len(list(VideoReader(clip))) == 30


def test_without_a_home_there_is_no_cache_and_one_line(inputs, tmp_path):
    environment = {**os.environ, "HOME": str(inputs["-s"])}
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    words = command(inputs)
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0
    assert done.stderr.count("compiled programs are not kept: ") == 1
    warm_up = subprocess.run(
        [*words, "--warmup"], capture_output=True, text=True, env=environment
    )
    assert warm_up.returncode == 2
    assert warm_up.stderr.startswith("error: compiled programs are not kept: ")
    assert warm_up.stderr.count("\n") == 1


def test_motion_does_not_replace_the_head_that_it_is_made_of(inputs, tmp_path, capsys):
    head = tmp_path / "head.safetensors"
    save_motion(nod(2), head)
    before = head.read_bytes()
    options = {"--head-from": head, "--template-out": head}
    with pytest.raises(SystemExit, match="2"):
        run(inputs, **options)
    assert "head.safetensors would replace an input" in capsys.readouterr().err
    assert head.read_bytes() == before
