"""A clip in every container, read back by readers that know nothing of the writer."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import CONTAINERS, VideoWriter, check_place
from tests.media.videos import noise_frames, noise_sound, write

FPS = 25
COUNT = 5
COLORS = np.array(
    [[200, 150, 120], [30, 90, 160], [250, 250, 250], [20, 20, 20]], np.uint8
)
VIDEOS = ("mp4", "mkv", "webm")
MOVING_PICTURES = ("gif", "webp")
PICTURES = ("png", "jpg", "jpeg")


def draw_frames() -> list[np.ndarray]:
    """Four patches of colour, of which the first becomes brighter."""
    patches = np.repeat(np.repeat(COLORS.reshape(2, 2, 3), 32, axis=0), 32, axis=1)
    frames = []
    for index in range(COUNT):
        frame = patches.copy()
        frame[:32, :32] += np.uint8(10 * index)
        frames.append(frame)
    return frames


def read_frames(path: Path) -> list[np.ndarray]:
    suffix = path.suffix.removeprefix(".")
    if suffix in VIDEOS:
        return [frame for _, frame in VideoReader(path)]
    if suffix in PICTURES:
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == [
            path.name % number for number in range(1, COUNT + 1)
        ]
        return [np.asarray(Image.open(file).convert("RGB")) for file in files]
    frames = []
    with Image.open(path) as picture:
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB")))
    return frames


def name_of(suffix: str) -> str:
    return f"clip/%06d.{suffix}" if suffix in PICTURES else f"clip.{suffix}"


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_container_shows_the_frames(tmp_path, suffix):
    frames = draw_frames()
    path = tmp_path / name_of(suffix)
    write(path, frames, fps=FPS, audio=noise_sound(1.0))
    shown = read_frames(path)
    assert len(shown) == COUNT
    for frame, expected in zip(shown, frames, strict=True):
        assert frame.shape == (64, 64, 3)
        # Codecs blur the edges of patches.
        centres = frame[16::32, 16::32].astype(int)
        assert np.abs(centres - expected[16::32, 16::32]).max() <= 4
    if suffix == "png":
        np.testing.assert_array_equal(shown, frames)
    # Nothing unfinished stays.
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("suffix", VIDEOS)
def test_videos_hold_the_sound(tmp_path, suffix):
    audio = noise_sound(1.0, 44_100, channels=2)
    path = write(tmp_path / f"a.{suffix}", noise_frames(30), audio=audio)
    reader = VideoReader(path)
    assert float(reader.fps) == pytest.approx(30, rel=1e-3)
    times = [seconds for seconds, _ in reader]
    np.testing.assert_allclose(times, np.arange(30) / 30, atol=1e-3)
    sound = Audio.open(path, allow_video=True)
    assert sound.channels == 2
    assert sound.duration == pytest.approx(1.0, abs=0.05)
    before = np.concatenate(list(audio.stream()))
    after = np.concatenate(list(sound.stream()))[: len(before)]
    before = before[: len(after)]
    # The correlation by lag is largest where nothing is shifted.
    lags = np.fft.irfft(np.conj(np.fft.rfft(before)) * np.fft.rfft(after))
    assert np.argmax(lags) == 0


@pytest.mark.parametrize("suffix", MOVING_PICTURES)
def test_moving_pictures_repeat_at_their_rate(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", draw_frames(), fps=FPS)
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0
        milliseconds = []
        for index in range(picture.n_frames):
            picture.seek(index)
            picture.load()
            milliseconds.append(picture.info["duration"])
    assert milliseconds == [1000 // FPS] * COUNT


def test_video_codecs_are_those_that_players_expect(tmp_path):
    codecs = {}
    for suffix in VIDEOS:
        path = write(tmp_path / f"a.{suffix}", noise_frames(5), audio=noise_sound(0.2))
        with av.open(str(path)) as container:
            names = [stream.codec_context.name for stream in container.streams]
            codecs[suffix] = names
    assert codecs == {
        "mp4": ["h264", "aac"],
        "mkv": ["h264", "aac"],
        "webm": ["vp9", "opus"],
    }


def test_a_higher_crf_makes_a_smaller_webm(tmp_path):
    fine, coarse = (
        write(tmp_path / f"{crf}.webm", noise_frames(3), crf=crf) for crf in (10, 45)
    )
    assert coarse.stat().st_size < fine.stat().st_size / 2


def test_suffixes_may_be_in_capitals(tmp_path):
    path = write(tmp_path / "A.MP4", noise_frames(2))
    assert len(list(VideoReader(path))) == 2


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("a.avi", r"a\.avi is no name of a clip: end it in one of \.mp4, \.mkv"),
        ("a", "a is no name of a clip"),
        ("f/%.png", r"does not number the pictures .* name them FOLDER/%06d\.png"),
        ("f/%06d-%d.png", "does not number the pictures"),
        ("f/%s.jpg", "does not number the pictures"),
    ],
)
def test_other_names_are_refused(tmp_path, name, complaint):
    with pytest.raises(ValueError, match=complaint):
        VideoWriter(tmp_path / name, size=(64, 64), fps=30, audio=None)
    assert not list(tmp_path.iterdir())


def test_pictures_without_a_folder_are_refused():
    with pytest.raises(ValueError, match=r"name them FOLDER/%06d\.png"):
        VideoWriter("%06d.png", size=(64, 64), fps=30, audio=None)


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("a.gif", {"fps": 60}, "frame rate must be from 1 to 50, got 60"),
        ("a.webm", {"encoder": "libx264"}, "makes H.264, which webm does not hold"),
        ("a.webm", {"size": (63, 64)}, "even width and height, got 63x64"),
        ("a.webm", {"crf": 52}, "crf must be from 0 to 51"),
        ("a.webp", {"crf": 20}, "webp has no such quality: leave it out"),
    ],
)
def test_options_that_a_container_lacks(tmp_path, name, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        VideoWriter(
            tmp_path / name, **{"size": (64, 64), "fps": 30, "audio": None} | options
        )


def test_pictures_may_have_odd_sides(tmp_path):
    frames = [np.full((33, 31, 3), 90, np.uint8)] * COUNT
    path = write(tmp_path / "f" / "%d.png", frames, size=(31, 33))
    assert read_frames(path)[0].shape == (33, 31, 3)


def test_numbered_pictures_replace_only_pictures(tmp_path):
    pattern = tmp_path / "50% done, %d" / "p%03d.png"
    # More pictures than the next clip has.
    write(pattern, noise_frames(8))
    write(pattern, noise_frames(COUNT))
    assert len(read_frames(pattern)) == COUNT
    (pattern.parent / "notes.txt").write_text("keep me")
    with pytest.raises(
        FileExistsError, match=r"holds notes\.txt, no picture of a clip"
    ):
        write(pattern, noise_frames(2))
    assert len(list(pattern.parent.iterdir())) == COUNT + 1
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file is a file"):
        check_place(tmp_path / "file" / "%d.png")


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_nothing_is_left_of_an_interrupted_clip(tmp_path, suffix):
    def interrupted_frames():
        yield from noise_frames(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name_of(suffix), interrupted_frames(), audio=noise_sound(1.0))
    assert not list(tmp_path.iterdir())


def test_a_name_that_no_file_system_takes_is_named(tmp_path):
    with pytest.raises(OSError, match="longer than 255 bytes: choose a shorter one"):
        check_place(tmp_path / ("ä" * 126 + ".mp4"))
    check_place(tmp_path / ("ä" * 125 + ".mp4"))


@pytest.mark.parametrize("suffix", PICTURES)
def test_a_name_without_a_number_holds_one_picture(tmp_path, suffix):
    frame = draw_frames()[0]
    path = write(tmp_path / f"one.{suffix}", [frame], fps=FPS)
    shown = np.asarray(Image.open(path).convert("RGB")).astype(int)
    # The centres of its patches, whose edges JPEG blurs.
    centres = shown[16::32, 16::32]
    expected = frame[16::32, 16::32]
    assert np.abs(centres - expected).max() <= 4
    # A clip of more frames is refused, and the picture stays.
    before = path.read_bytes()
    with pytest.raises(ValueError, match="holds one picture, and the clip has 2 fr"):
        write(path, [frame, frame], fps=FPS)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
