"""Portraits that stay prepared between edits."""

import os

import cv2
import pytest

from jaxportrait.job import Networks
from jaxportrait.job.edit import EditRequest, run_edit
from jaxportrait.job.portraits import PortraitCache, file_key
from jaxportrait.pipeline.edits import Edits
from jaxportrait.ranges import OptionError


def test_a_portrait_is_prepared_once_and_the_oldest_makes_room():
    cache = PortraitCache(most=2)
    prepared = []

    def find(key: str) -> object:
        return cache.find(key, lambda: prepared.append(key))

    for key in ("a", "b", "a", "c", "a", "b"):
        find(key)
    # b was the oldest when c came.
    assert prepared == ["a", "b", "c", "b"]
    with pytest.raises(OptionError, match="most is 0"):
        PortraitCache(most=0)


def test_links_are_one_file_and_a_new_content_is_another(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"one")
    os.link(file, tmp_path / "b.png")
    assert file_key(file) == file_key(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"one")
    assert file_key(file) != file_key(tmp_path / "c.png")
    before = file_key(file)
    file.write_bytes(b"longer")
    assert file_key(file) != before


def test_an_edit_of_a_kept_portrait_is_the_same(tmp_path, portrait, tiny_checkpoint):
    source = tmp_path / "face.png"
    cv2.imwrite(str(source), portrait[..., ::-1])
    animator = Networks(tiny_checkpoint, detector="none").load()
    # Prepared for b, kept for c.
    cache = PortraitCache()
    pictures = []
    for name, portraits in (("a", None), ("b", cache), ("c", cache)):
        path = tmp_path / f"{name}.png"
        request = EditRequest(source, path, Edits(smile=1.0))
        run_edit(request, animator, portraits=portraits)
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1] == pictures[2]
