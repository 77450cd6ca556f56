"""Writing checkpoints: whole or not at all, and never over anything else."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from jaxportrait import whole
from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    Leaves,
    check_destination,
    open_checkpoint,
    save_checkpoint,
    save_untrained,
)
from jaxportrait.checkpoint.description import FileRecord
from jaxportrait.checkpoint.files import verify_files
from jaxportrait.models.stitching import StitchingConfig
from tests.checkpoint.contents import CONTENTS, STATISTICS


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def stitching_only(params: Mapping[str, Leaves]) -> tuple[Contents, dict[str, Leaves]]:
    """Return the stitching network without the other parts."""
    contents = Contents(parts={"stitching": CONTENTS.parts["stitching"]})
    return contents, {"stitching": params["stitching"]}


def test_a_checkpoint_does_not_tell_where_it_was_written(written):
    # Orbax would write the absolute path into a note.
    assert not [
        path
        for path in files_below(written)
        if str(written.parent).encode() in path.read_bytes()
    ]


def test_half_precision_takes_half_the_space_and_reads_as_float32(
    written, params, tmp_path
):
    save_checkpoint(tmp_path / "half", CONTENTS, params, dtype="float16")
    checkpoint = open_checkpoint(tmp_path / "half")
    for part, leaves in params.items():
        for name, leaf in checkpoint.leaves(part).items():
            assert leaf.dtype == np.float32
            np.testing.assert_array_equal(leaf, leaves[name].astype(np.float16))
    # Statistics are not rounded.
    statistics = checkpoint.driver().statistics
    assert statistics is not None
    np.testing.assert_array_equal(statistics.std, STATISTICS.std)
    # Not half: the metadata of arrays takes space as well.
    sizes = [
        sum(path.stat().st_size for path in files_below(folder / "params"))
        for folder in (tmp_path / "half", written)
    ]
    assert sizes[0] < 0.7 * sizes[1]


def test_a_value_beyond_half_precision_is_named(params, tmp_path):
    # float16 ends at 65504.
    large = params["stitching"] | {"layers.0.bias": np.full(128, 1e5, np.float32)}
    with pytest.raises(
        CheckpointError, match=r"stitching has values beyond 65504 in layers\.0\.bias"
    ):
        save_checkpoint(
            tmp_path / "half", CONTENTS, params | {"stitching": large}, dtype="float16"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["checkpoint", "checkpoint *?"])
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt, OSError(28, "No space left on device")],
    ids=["Ctrl-C", "full disk"],
)
def test_an_interrupted_save_leaves_nothing(params, tmp_path, monkeypatch, name, error):
    def replace(path, target):
        raise error

    monkeypatch.setattr(Path, "replace", replace)  # after everything was written
    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        save_checkpoint(tmp_path / name, CONTENTS, params)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_old_checkpoint(
    params, copy, monkeypatch
):
    def exchange(first, second):
        raise KeyboardInterrupt

    monkeypatch.setattr(whole, "_exchange", exchange)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(copy, *stitching_only(params), overwrite=True)
    assert open_checkpoint(copy).parts == CONTENTS.parts


def test_a_killed_save_leaves_no_checkpoint_behind(tmp_path):
    # In a process of its own, killed where the rename would be.
    program = """
import os, signal, sys
from pathlib import Path
from jaxportrait.checkpoint import Contents, save_untrained
from jaxportrait.checkpoint.description import FileRecord
from jaxportrait.checkpoint.files import verify_files
from jaxportrait.models.stitching import StitchingConfig
Path.replace = lambda path, target: os.kill(os.getpid(), signal.SIGKILL)
save_untrained(sys.argv[1], Contents(parts={'stitching': StitchingConfig.stitching()}))
"""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", program, str(tmp_path / "checkpoint")]
    killed = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "checkpoint").exists()


def test_a_checkpoint_is_replaced_only_on_request(params, copy):
    contents, leaves = stitching_only(params)
    with pytest.raises(CheckpointError, match="already holds a checkpoint"):
        save_checkpoint(copy, contents, leaves)
    save_checkpoint(copy, contents, leaves, overwrite=True)
    assert open_checkpoint(copy).parts == contents.parts
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_a_folder_that_is_no_checkpoint_is_never_replaced(params, tmp_path):
    (tmp_path / "project" / "config").mkdir(parents=True)
    (tmp_path / "project" / "work.py").write_text("mine")
    with pytest.raises(CheckpointError, match="exists and is not a checkpoint"):
        save_checkpoint(tmp_path / "project", CONTENTS, params, overwrite=True)
    assert (tmp_path / "project" / "work.py").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named_before_any_work(
    tmp_path, monkeypatch
):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(CheckpointError, match=r"cannot be written, .*notes is a file"):
        check_destination(tmp_path / "notes" / "deep" / "checkpoint", overwrite=False)
    # Tests may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(
        CheckpointError, match=rf"you may not write into {tmp_path}: choose another"
    ):
        check_destination(tmp_path / "deep" / "checkpoint", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_an_empty_folder_may_become_a_checkpoint(params, tmp_path):
    save_checkpoint(tmp_path, CONTENTS, params)
    assert open_checkpoint(tmp_path).parts == CONTENTS.parts


def test_untrained_weights_come_from_the_seed(tmp_path):
    contents = Contents(parts={"stitching": StitchingConfig.stitching()})
    # Twice one seed, and another.
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_untrained(tmp_path / name, contents, seed)
    first, again, other = (open_checkpoint(tmp_path / name) for name in "abc")
    np.testing.assert_equal(first.leaves("stitching"), again.leaves("stitching"))
    assert np.any(
        first.leaves("stitching")["layers.0.kernel"]
        != other.leaves("stitching")["layers.0.kernel"]
    )


def test_parts_and_weights_belong_together(params, tmp_path):
    message = (
        "names appearance, flow_transformer, stitching, and there are weights of "
        "stitching: pass the same"
    )
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path / "few", CONTENTS, stitching_only(params)[1])
    assert not any(tmp_path.iterdir())


def test_files_are_copied_in_and_verified(params, tmp_path, caplog):
    (tmp_path / "graph.onnx").write_bytes(b"graph")
    contents, leaves = stitching_only(params)
    path = tmp_path / "checkpoint"
    save_checkpoint(path, contents, leaves, files={"g.onnx": tmp_path / "graph.onnx"})
    stored = open_checkpoint(path).files["g.onnx"]
    # A reader of arrays would warn of it.
    assert caplog.messages == []
    assert stored.read_bytes() == b"graph"
    # As long as before, so that only the checksum tells.
    stored.write_bytes(b"grapf")
    with pytest.raises(CheckpointError, match=r"file g\.onnx differs from what was"):
        open_checkpoint(path)
    stored.unlink()
    with pytest.raises(CheckpointError, match=r"file g\.onnx is missing"):
        open_checkpoint(path)


def test_a_file_outside_the_checkpoint_is_refused(tmp_path):
    record = FileRecord(5, "ab")
    for name in ("../secret", "..", ""):
        with pytest.raises(CheckpointError, match=f"'{name}' is no file name"):
            verify_files(tmp_path, {name: record})


def test_files_that_cannot_be_stored_are_named(params, tmp_path):
    contents, leaves = stitching_only(params)
    (tmp_path / "graph").touch()
    for name, file, message in (
        ("../g", tmp_path / "graph", r"'\.\./g' is no file name"),
        ("g", tmp_path / "none", "no file .*none"),
    ):
        with pytest.raises(CheckpointError, match=message):
            save_checkpoint(tmp_path / "out", contents, leaves, files={name: file})
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_path_whose_arrays_would_be_lost_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"has a bracket \[: choose another name"):
        check_destination(tmp_path / "a [b]" / "checkpoint", overwrite=True)
