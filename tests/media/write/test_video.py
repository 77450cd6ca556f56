"""Videos written: colours, clocks, sound, and what is left after a failure."""

import dataclasses
import resource
from fractions import Fraction

import av
import numpy as np
import pytest

from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter
from tests.media.videos import noise_frames, noise_sound, write

# Saturated colours, greys and skin.
PATCHES = np.array(
    [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
        [0, 0, 0],
        [128, 128, 128],
        [200, 150, 120],
        [30, 90, 160],
    ],
    np.uint8,
)


def seconds_of(stream) -> float:
    return float(stream.duration * stream.time_base)


def test_colours_do_not_shift(tmp_path):
    # A patch is 32 pixels wide.
    chart = np.repeat(np.repeat(PATCHES.reshape(2, 4, 3), 32, axis=0), 32, axis=1)
    path = write(tmp_path / "a.mp4", [chart] * 3, (128, 64))
    with av.open(str(path)) as container:
        coding = container.streams.video[0].codec_context
        assert coding.pix_fmt == "yuv420p"
        tags = (
            coding.colorspace,
            coding.color_primaries,
            coding.color_trc,
            coding.color_range,
        )
        assert tags == (1, 1, 1, 1)  # BT.709 thrice, limited range
    for _, frame in VideoReader(path):
        # Codecs blur the edges of patches.
        centres = frame[16::32, 16::32].reshape(-1, 3).astype(int)
        assert np.abs(centres - PATCHES).max() <= 3


def test_smooth_pictures_keep_their_light(tmp_path):
    y, x = np.mgrid[:96, :128] / 60
    picture = np.stack(
        [127 + 100 * np.sin(x + k) * np.cos(y - k) for k in range(3)], axis=-1
    ).astype(np.uint8)
    # A low constant rate factor, so that the codec changes little.
    (_, first), *_ = VideoReader(
        write(tmp_path / "a.mp4", [picture], (128, 96), crf=10)
    )
    # The mean of all pixels shows a shift of light.
    error = first.astype(float) - picture
    assert np.abs(error.mean((0, 1))).max() < 0.5
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 44


@pytest.mark.parametrize("fps", [30, 25.0, Fraction(30_000, 1001), 29.97002997, 60])
def test_pictures_and_sound_keep_time(tmp_path, fps):
    audio = noise_sound(1.0, 44_100, channels=2)
    count = round(fps)
    path = write(tmp_path / "a.mp4", noise_frames(count, 32), (32, 32), fps, audio)
    reader = VideoReader(path)
    assert reader.size == (32, 32)
    assert float(reader.fps) == pytest.approx(float(fps), rel=1e-6)
    # The clock of the file is exact to its ticks.
    times = [seconds for seconds, _ in reader]
    np.testing.assert_allclose(times, np.arange(count) / float(fps), atol=1e-3)
    with av.open(str(path)) as container:
        pictures, sound = container.streams.video[0], container.streams.audio[0]
        assert abs(seconds_of(pictures) - seconds_of(sound)) < 1 / fps
        assert (sound.rate, sound.layout.name) == (44_100, "stereo")


def test_sound_lies_where_it_was(tmp_path):
    audio = noise_sound(1.0, SAMPLE_RATE)
    path = write(tmp_path / "a.mp4", noise_frames(30), audio=audio)
    before = np.concatenate(list(audio.stream()))
    after = np.concatenate(list(Audio.open(path, allow_video=True).stream()))[
        : len(before)
    ]
    # The correlation by lag is largest where nothing is shifted.
    lags = np.fft.irfft(np.conj(np.fft.rfft(before)) * np.fft.rfft(after))
    assert np.argmax(lags) == 0
    assert np.corrcoef(before, after)[0, 1] > 0.9


def test_sound_is_cut_with_the_pictures(tmp_path):
    path = write(tmp_path / "a.mp4", noise_frames(6), audio=noise_sound(5.0))
    with av.open(str(path)) as container:
        assert seconds_of(container.streams.audio[0]) == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize(
    ("rate", "channels", "rate_kept", "layout"),
    [
        (16_000, 1, 16_000, "mono"),
        (37_800, 2, 48_000, "stereo"),
        (48_000, 6, 48_000, "stereo"),
    ],
)
def test_sound_keeps_the_rate_that_aac_knows(
    tmp_path, rate, channels, rate_kept, layout
):
    path = write(
        tmp_path / "a.mp4", noise_frames(5), audio=noise_sound(0.3, rate, channels)
    )
    with av.open(str(path)) as container:
        sound = container.streams.audio[0]
        assert (sound.rate, sound.layout.name) == (rate_kept, layout)


def test_sound_is_decoded_only_as_far_as_frames_have_come(tmp_path):
    audio, decoded = noise_sound(30.0), []

    def counted():
        for frame in audio.decode():
            decoded.append(frame.samples / frame.sample_rate)
            yield frame

    write(
        tmp_path / "a.mp4",
        noise_frames(60),
        audio=dataclasses.replace(audio, decode=counted),
    )
    # Two seconds of frames need little more sound.
    assert sum(decoded) < 4


def test_sound_may_start_late_on_its_own_clock(tmp_path):
    audio = noise_sound(0.2)

    def late():
        for frame in audio.decode():
            frame.pts = (frame.pts or 0) + 1105  # as in an mp3
            yield frame

    path = write(
        tmp_path / "a.mp4",
        noise_frames(6),
        audio=dataclasses.replace(audio, decode=late),
    )
    with av.open(str(path)) as container:
        assert container.streams.audio[0].start_time == 0


def test_file_is_interleaved_and_starts_with_its_index(tmp_path):
    path = write(tmp_path / "a.mp4", noise_frames(150), audio=noise_sound(5.0))
    data = path.read_bytes()
    # Players can start before the whole file has come.
    assert data.index(b"moov") < data.index(b"mdat")
    latest = {"video": 0.0, "audio": 0.0}
    with av.open(str(path)) as container:
        # Pictures and sound of one time lie near each other in the file.
        packets = (packet for packet in container.demux() if packet.size)
        for packet in sorted(packets, key=lambda packet: packet.pos or 0):
            latest[packet.stream.type] = float((packet.dts or 0) * packet.time_base)
            assert abs(latest["video"] - latest["audio"]) < 1.5


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_of_an_interrupted_file(tmp_path, error):
    def interrupted_frames():
        yield from noise_frames(2)
        raise error

    path = tmp_path / "a.mp4"
    # An earlier file stays as it was.
    path.write_bytes(b"the one before")
    with pytest.raises(error):
        write(path, interrupted_frames(), audio=noise_sound(1.0))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"the one before"


def test_a_complete_file_replaces_the_one_before(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"the one before")
    write(path, noise_frames(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
    assert len(list(VideoReader(path))) == 3


def test_a_full_disk_is_one_clear_error(tmp_path):
    # A limit of the size of files stands in for a full disk.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        with pytest.raises(
            OSError, match=r"a\.mp4 cannot be written \(File too large\): free space"
        ):
            write(tmp_path / "a.mp4", noise_frames(100), audio=noise_sound(4.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_a_video_without_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="got no frame"):
        write(tmp_path / "a.mp4", noise_frames(0))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"size": (65, 64)}, "even width and height, got 65x64"),
        ({"size": (0, 64)}, "even width and height, got 0x64"),
        ({"fps": 0}, "frame rate must be from 1 to 1000, got 0"),
        ({"fps": float("inf")}, "frame rate must be from 1 to 1000, got inf"),
        ({"crf": 52}, "crf must be from 0 to 51, got 52"),
        (
            {"encoder": "h264_nvenc", "size": (16, 16)},
            "h264_nvenc does not open on this machine at 16x16",
        ),
    ],
)
def test_options_that_cannot_be_had(tmp_path, option, complaint):
    with pytest.raises(ValueError, match=complaint):
        VideoWriter(
            tmp_path / "a.mp4", **{"size": (64, 64), "fps": 30, "audio": None} | option
        )


def test_auto_falls_back_to_libx264(tmp_path):
    # NVENC refuses so small a picture on any card.
    assert (
        VideoWriter(tmp_path / "a.mp4", size=(16, 16), fps=30, audio=None).encoder
        == "libx264"
    )


def test_a_higher_crf_makes_a_smaller_file(tmp_path):
    fine, coarse = (
        write(tmp_path / f"{crf}.mp4", noise_frames(3), crf=crf) for crf in (10, 40)
    )
    assert coarse.stat().st_size < fine.stat().st_size / 2


@pytest.mark.parametrize(
    "frame", [np.zeros((64, 32, 3), np.uint8), np.zeros((32, 64, 3), np.float32)]
)
def test_a_frame_must_be_as_announced(tmp_path, frame):
    with (
        pytest.raises(ValueError, match=r"must be uint8 \(32, 64, 3\), got"),
        VideoWriter(tmp_path / "a.mp4", size=(64, 32), fps=30, audio=None) as writer,
    ):
        writer.write(frame)


def test_a_place_where_no_file_can_be(tmp_path):
    with pytest.raises(FileNotFoundError, match="none does not exist: make it"):
        VideoWriter(tmp_path / "none" / "a.mp4", size=(64, 64), fps=30, audio=None)
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        VideoWriter(tmp_path / "a.mp4", size=(64, 64), fps=30, audio=None)
