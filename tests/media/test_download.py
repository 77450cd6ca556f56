"""The download of the face mesh's files, from a server of this process."""

import pytest

from jaxportrait.console.download import main
from jaxportrait.media.faces import download
from jaxportrait.media.faces.blazeface import FULL_RANGE, SHORT_RANGE
from jaxportrait.media.faces.dnn import user_models
from jaxportrait.media.faces.download import (
    PUBLISHED,
    DownloadError,
    download_faces,
)
from jaxportrait.media.faces.iris import IRIS_FILE
from jaxportrait.media.faces.mesh import MESH_FILE
from tests.media.published import CONTENT, FILES, serve


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PUBLISHED", FILES)
    with serve() as server:
        yield server


def test_missing_files_are_fetched_once(server, tmp_path):
    lines: list[str] = []
    folder = tmp_path / "new" / "faces"
    assert download_faces(folder, server.address, lines.append) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    paths = ["/assets/one.tflite?generation=7", "/assets/two.tflite?generation=7"]
    assert server.requests == paths
    # Again: nothing is asked for.
    download_faces(folder, server.address, lines.append)
    assert server.requests == paths
    assert [line.split()[0] for line in lines[:2]] == ["wrote", "wrote"]
    assert all(line.endswith("is there already") for line in lines[2:])


def test_a_file_that_differs_is_refused_and_leaves_the_old_one(server, tmp_path):
    server.files["two.tflite"] = b"second netw"
    (tmp_path / "two.tflite").write_bytes(b"old")
    with pytest.raises(
        DownloadError, match=r"gave 11 bytes whose SHA-256 is .* was pub"
    ):
        download_faces(tmp_path, server.address)
    assert (tmp_path / "one.tflite").read_bytes() == CONTENT["one.tflite"]
    assert (tmp_path / "two.tflite").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    # The next try fetches only what is missing.
    server.files["two.tflite"] = CONTENT["two.tflite"]
    server.requests.clear()
    download_faces(tmp_path, server.address)
    assert server.requests == ["/assets/two.tflite?generation=7"]
    assert (tmp_path / "two.tflite").read_bytes() == CONTENT["two.tflite"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/assets", "nowhere"])
def test_an_address_without_a_server_is_one_line(tmp_path, address):
    with pytest.raises(DownloadError, match=r"cannot be fetched .*: try again, or pip"):
        download_faces(tmp_path / "faces", address)
    assert not (tmp_path / "faces").exists()


def test_a_missing_file_is_one_line(server, tmp_path):
    del server.files["one.tflite"]
    with pytest.raises(DownloadError, match=r"one\.tflite.* cannot be fetched .*404"):
        download_faces(tmp_path, server.address)


def test_the_command_fetches_into_the_users_folder(
    server, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    arguments = ["jaxportrait download", "faces", "--address", server.address]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    folder = user_models()
    assert folder is not None
    assert {path.name for path in folder.iterdir()} == set(CONTENT)
    assert capsys.readouterr().out.count("wrote ") == 2
    # A server that has gone: one line, exit status 2.
    server.files.clear()
    (folder / "one.tflite").unlink()
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: http://127.0.0.1")
    assert error.count("\n") == 1


def test_every_file_of_the_detector_is_published():
    models = [SHORT_RANGE, FULL_RANGE, MESH_FILE, IRIS_FILE]
    assert [file.name for file in PUBLISHED] == [model.name for model in models]
    assert {len(file.sha256) for file in PUBLISHED} == {64}
