"""Files from users: accepted within limits, private, and deleted."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infer.limits import TooLargeError, UploadError, UploadLimits, probe
from infer.uploads import SUFFIXES, Uploads
from jaxportrait.media.audio import Audio
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.file import save_motion
from jaxportrait.motion.space import MOTION_SPACES, neutral_frames
from tests.infer.files import no_audio, talking
from tests.inputs import write_wave

ANY = tuple(SUFFIXES)


@pytest.fixture
def uploads():
    folder = Uploads(UploadLimits(megabytes=1, seconds=3, pixels=300 * 300))
    yield folder
    folder.close()


def picture(side: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (side, side), "red").save(file, "PNG")
    return file.getvalue()


def sound(tmp_path: Path, seconds: float) -> bytes:
    path = tmp_path / "sound.wav"
    write_wave(path, np.zeros(int(16_000 * seconds), np.float32))
    return path.read_bytes()


def film(tmp_path: Path) -> bytes:
    return no_audio(tmp_path / "film.mp4").read_bytes()


def motion(tmp_path: Path, frames: int) -> bytes:
    clip = MotionClip.from_values(neutral_frames(frames), MOTION_SPACES["face"], 10)
    save_motion(clip, tmp_path / "nod.safetensors")
    return (tmp_path / "nod.safetensors").read_bytes()


def huge_picture() -> bytes:
    """Return a small PNG whose header states 20000x20000 pixels."""
    data = bytearray(picture(16))
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_files_of_each_kind_are_accepted(uploads, tmp_path):
    files = {
        "picture": ("a.PNG", picture(256)),
        "sound": ("a.wav", sound(tmp_path, 1)),
        "video": ("a.mp4", film(tmp_path)),
        "motion": ("a.safetensors", motion(tmp_path, 10)),
    }
    for kind, (name, data) in files.items():
        upload = uploads.receive(BytesIO(data), name, [kind])
        assert upload.kind == kind
        assert upload.path.read_bytes() == data
        assert upload.path.suffix == Path(name).suffix.lower()
        upload.delete()
        assert not upload.path.exists()


def test_the_folder_is_private_and_goes_with_its_owner(uploads):
    upload = uploads.receive(BytesIO(picture(16)), "a.png", ["picture"])
    assert uploads.folder.stat().st_mode & 0o077 == 0
    uploads.close()
    assert not upload.path.exists()
    assert not uploads.folder.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.png",
        "a\0b.png",
        "; rm -rf ~;.png",
        "C:\\x\\y.png",
        "\n\x1b[2J.png",
    ],
)
def test_names_never_reach_a_path(uploads, name):
    upload = uploads.receive(BytesIO(picture(16)), name, ["picture"])
    assert upload.path.parent == uploads.folder
    # 16 random bytes as hexadecimal digits.
    assert len(upload.path.stem) == 32
    int(upload.path.stem, 16)
    assert "/" not in upload.name
    assert upload.name.isprintable()


def test_messages_have_the_name_of_the_user(uploads):
    upload = uploads.receive(BytesIO(picture(16)), "me.png", ["picture"])
    assert upload.name_in(f"{upload.path} has no face") == "me.png has no face"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.exe", "'a.exe', ends in none of .png"),
        ("png", "'png', ends in none of .png"),
        ("", "ends in none of .png"),
        ("a.wav", "'a.wav', ends in none of .png"),
    ],
)
def test_other_suffixes_are_refused(uploads, name, message):
    with pytest.raises(UploadError, match=message.replace(".", r"\.")):
        uploads.receive(BytesIO(picture(16)), name, ["picture"])
    assert list(uploads.folder.iterdir()) == []


def test_files_beyond_a_limit_are_refused(uploads, tmp_path):
    large = {
        "more than 1 MiB": (bytes(2**20 + 1), "a.wav"),
        "400x400 pixels": (picture(400), "a.png"),
        "20000x20000 pixels": (huge_picture(), "a.png"),
        "lasts 4.0 s": (sound(tmp_path, 4), "a.wav"),
        "lasts 5.0 s": (motion(tmp_path, 50), "a.safetensors"),
    }
    for message, (data, name) in large.items():
        with pytest.raises(TooLargeError, match=message):
            uploads.receive(BytesIO(data), name, ANY)
    # Nothing of them is left.
    assert list(uploads.folder.iterdir()) == []


def test_files_that_cannot_be_read_are_refused(uploads, tmp_path):
    files = {
        "is empty": (b"", "a.png"),
        "cannot be read as picture": (b"no media at all", "a.mp4"),
        "is a sound, and this place is for a picture": (sound(tmp_path, 1), "a.png"),
        "is no picture that can be read": (picture(16)[:20], "a.png"),
        "holds no motion": (b"\x80\x04garbage", "a.pkl"),
    }
    for message, (data, name) in files.items():
        kinds = ["picture"] if name == "a.png" else ANY
        with pytest.raises(UploadError, match=message):
            uploads.receive(BytesIO(data), name, kinds)
    assert list(uploads.folder.iterdir()) == []


def test_tags_in_an_old_encoding_are_no_reason_to_refuse_a_sound(uploads, tmp_path):
    # A title in Latin-1, as old recorders write it.
    title = b"INAM" + struct.pack("<I", 4) + b"caf\xe9"
    tags = b"INFO" + title
    data = sound(tmp_path, 0.1) + b"LIST" + struct.pack("<I", len(tags)) + tags
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    assert uploads.receive(BytesIO(data), "a.wav", ["sound"]).kind == "sound"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {}\n",
    ],
)
def test_playlists_open_no_other_file(uploads, tmp_path, text):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(sound(tmp_path, 1))
    for path in (secret, secret.name, f"file://{secret}"):
        with pytest.raises(UploadError, match="cannot be read"):
            uploads.receive(BytesIO(text.format(path).encode()), "a.mp4", ANY)


def test_the_duration_of_a_video_is_limited(uploads, tmp_path):
    path = talking(tmp_path / "long.mp4", np.zeros(16_000, np.float32))
    assert probe(path, UploadLimits(seconds=2)) == "video"
    with pytest.raises(TooLargeError, match=r"the limit is 0\.5 s"):
        probe(path, UploadLimits(seconds=0.5))


def test_a_recording_of_a_browser_has_no_duration_and_is_measured(tmp_path):
    audio = Audio.from_samples(np.zeros(4 * 16_000, np.float32), 16_000)
    path = write_stream(tmp_path / "live.webm", audio)
    assert probe(path, UploadLimits(seconds=5)) == "sound"
    with pytest.raises(TooLargeError, match=r"lasts 3\.\d s, and the limit is 3 s"):
        probe(path, UploadLimits(seconds=3))


def write_stream(path: Path, audio: Audio) -> Path:
    """Write WebM as into a pipe: without duration and index, as MediaRecorder does."""
    import av

    options = {"live": "1"}
    with av.open(str(path), "w", format="webm", options=options) as container:
        stream = container.add_stream("libopus", rate=48_000)
        samples = np.zeros((1, 3 * audio.sample_count), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
