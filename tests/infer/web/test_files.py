"""Uploads of the page: lent to jobs, kept while they are used, and deleted."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from infer.limits import UploadError
from infer.uploads import Uploads
from infer.web.files import Loans, Shelf
from jaxportrait import demo


class Clock:
    """A clock that stands still until it is set."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def shelf():
    uploads = Uploads()
    yield Shelf(uploads, 60.0, clock=Clock())
    uploads.close()


def add(shelf: Shelf, path: Path = demo.PORTRAIT) -> str:
    with path.open("rb") as file:
        return str(shelf.receive(file, path.name).path)


def files(shelf: Shelf) -> list[Path]:
    return list(shelf.uploads.folder.rglob("*.*"))


def test_a_job_deletes_its_loan_and_the_upload_stays(shelf):
    path = add(shelf)
    # A person tries other options on the same upload.
    for _ in range(2):
        loan = shelf.lend(path, "portrait", ["picture"])
        assert loan.path.read_bytes() == demo.PORTRAIT.read_bytes()
        assert loan.upload is not None
        assert loan.upload.name == "portrait.png"
        loan.upload.delete()
        assert files(shelf) == [Path(path)]


def test_an_upload_is_deleted_a_while_after_its_last_use(shelf):
    path = add(shelf)
    shelf.clock.seconds = 50
    shelf.lend(path, "portrait", ["picture"])
    shelf.clock.seconds = 100
    shelf.sweep()
    assert Path(path).exists()
    shelf.clock.seconds = 111
    shelf.sweep()
    assert not Path(path).exists()
    with pytest.raises(UploadError, match="the portrait is no longer kept: add it"):
        shelf.lend(path, "portrait", ["picture"])


def test_the_limit_of_all_files_keeps_an_upload_out_until_others_are_stale(shelf):
    size = demo.PORTRAIT.stat().st_size
    shelf.megabytes = 2.5 * size / 2**20
    paths = {Path(add(shelf)), Path(add(shelf))}
    with pytest.raises(UploadError, match="of files, which is its limit: try again"):
        add(shelf)
    # Nothing of it is left.
    assert set(files(shelf)) == paths
    shelf.clock.seconds = 61
    path = Path(add(shelf))
    assert files(shelf) == [path]


def test_the_shelf_is_swept_while_nobody_adds_anything(shelf):
    path = Path(add(shelf))
    shelf.seconds = 0.02
    shelf.clock.seconds = 1.0

    async def wait() -> None:
        task = asyncio.create_task(shelf.keep_swept())
        while path.exists():
            await asyncio.sleep(0.01)
        task.cancel()

    # Playwright of other tests has an event loop in this thread.
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, asyncio.wait_for(wait(), 5)).result()


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "", None])
def test_nothing_outside_the_shelf_is_lent(shelf, path):
    with pytest.raises(UploadError, match="portrait"):
        shelf.lend(path, "portrait", ["picture"])


def test_a_file_in_the_folder_that_nobody_has_uploaded_is_not_lent(shelf):
    other = shelf.uploads.place(".png")
    other.write_bytes(b"result of another person")
    with pytest.raises(UploadError, match="no longer kept"):
        shelf.lend(str(other), "portrait", ["picture"])


def test_a_file_of_another_kind_is_refused_in_words(shelf):
    path = add(shelf, demo.SENTENCE)
    with pytest.raises(UploadError, match="the portrait is a sound, and must be a pic"):
        shelf.lend(path, "portrait", ["picture"])


def test_a_copy_of_an_example_is_the_example_itself(shelf):
    copy = shelf.uploads.place(".png")
    copy.write_bytes(demo.PORTRAIT.read_bytes())
    loan = shelf.lend(str(copy), "portrait", ["picture"])
    assert loan.path == demo.PORTRAIT
    # The demo's own file is never deleted.
    assert loan.upload is None


def lend_two(shelf: Shelf, path: str) -> None:
    with Loans(shelf) as loans:
        loans.lend({"path": path}, "portrait", "picture")
        loans.lend(None, "speech", "sound")


def test_loans_are_deleted_where_a_job_cannot_start(shelf):
    path = add(shelf)
    with pytest.raises(UploadError, match="no speech"):
        lend_two(shelf, path)
    assert files(shelf) == [Path(path)]


def test_a_file_beyond_the_limits_leaves_nothing(shelf):
    noise = np.random.default_rng(0).bytes(2_000)
    with pytest.raises(UploadError):
        shelf.receive(BytesIO(noise), "noise.png")
    assert files(shelf) == []
