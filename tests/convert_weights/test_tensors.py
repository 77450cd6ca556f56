"""Files of tensors: read whatever their form, and without running code."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from convert_weights.networks.base import ConversionError
from convert_weights.tensors import as_arrays, read_tensors


class RunsCode:
    """A pickle that makes a folder when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_forms_of_torch_files_are_read(tmp_path, zipped):
    torch.save(
        {"a": torch.arange(3)},
        tmp_path / "some.pth",
        _use_new_zipfile_serialization=zipped,
    )
    assert read_tensors(tmp_path / "some.pth")["a"].tolist() == [0, 1, 2]


def test_safetensors_are_read(tmp_path):
    save_file({"a": torch.arange(3)}, tmp_path / "some.safetensors")
    assert read_tensors(tmp_path / "some.safetensors")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_pickle_that_runs_code_is_refused_by_name(tmp_path, form):
    path, marker = tmp_path / "evil.pth", tmp_path / "it-ran"
    if form == "torch":
        torch.save({"a": RunsCode(marker)}, path)
    else:
        path.write_bytes(pickle.dumps({"a": RunsCode(marker)}, protocol=2))
    with pytest.raises(ConversionError, match=r"evil\.pth is refused"):
        read_tensors(path)
    # The code did not run.
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80",
        b"\x80\x02",
        # A pickle that ends within the length of a name.
        b"\x80\x02}q\x00X\x01",
        b"PK\x03\x04",
        b"<html>not files</html>",
    ],
)
def test_what_is_no_file_of_tensors_is_named(tmp_path, suffix, content):
    path = tmp_path / f"some{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        ConversionError, match=rf"some\{suffix} (is refused|cannot be read)"
    ):
        read_tensors(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_truncated_file_is_named(tmp_path, form, share):
    tensors, path = (
        {"a": torch.ones(1000)},
        tmp_path / ("cut.safetensors" if form == "safetensors" else "cut.pth"),
    )
    if form == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "zip")
    # As an interrupted download leaves it.
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ConversionError, match=r"cut\.\w+ (is refused|cannot be read)"):
        read_tensors(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(ConversionError, match=f"no file {path}"):
            read_tensors(path)


def test_a_file_of_one_tensor_is_no_state_dict(tmp_path):
    torch.save(torch.ones(3), tmp_path / "some.pth")
    with pytest.raises(ConversionError, match=r"some\.pth holds a Tensor"):
        read_tensors(tmp_path / "some.pth")


@pytest.mark.parametrize("form", ["torch", "safetensors"])
def test_bfloat16_is_widened_exactly(tmp_path, form):
    # The last is beyond float16, by way of which it would be infinite.
    tensor = torch.tensor([1.0, 0.3, -1e30], dtype=torch.bfloat16)
    save = torch.save if form == "torch" else save_file
    save({"a": tensor}, tmp_path / "some.pth")
    array = as_arrays(read_tensors(tmp_path / "some.pth"), "some")["a"]
    assert array.dtype == np.float32
    assert torch.equal(torch.from_numpy(array).bfloat16(), tensor)


def test_what_a_training_program_stores_around_the_weights_is_passed_over(tmp_path):
    content = {"epoch": 3, "state_dict": {"a": torch.ones(2)}, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "some.pth")
    assert read_tensors(tmp_path / "some.pth")["a"].tolist() == [1, 1]
    arrays = as_arrays({"state_dict": {"state_dict": {"a": np.ones(3)}}}, "some")
    assert arrays["a"].tolist() == [1, 1, 1]


def test_what_is_nested_otherwise_is_named():
    content = {"a": np.ones(3), "optimizer": {"b": np.ones(3)}}
    with pytest.raises(ConversionError, match="state dict: optimizer are not tensors"):
        as_arrays(content, "some")


ODD = {
    "sparse": lambda: torch.ones(3, 3).to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "float8": lambda: torch.ones(3).to(torch.float8_e4m3fn),
    "complex": lambda: torch.ones(3, dtype=torch.complex64),
    "meta": lambda: torch.ones(3, device="meta"),
}


@pytest.mark.filterwarnings("ignore")  # of PyTorch, about sparse and quantised tensors
@pytest.mark.parametrize("kind", ODD)
def test_tensors_of_odd_kinds_are_refused_by_kind(tmp_path, kind):
    torch.save({"a": torch.ones(3), "b": ODD[kind]()}, tmp_path / "odd.pth")
    words = {"complex": "complex64", "float8": "float8_e4m3fn"}
    message = rf"odd has tensors that are not converted: b, .*{words.get(kind, kind)}"
    with pytest.raises(ConversionError, match=message):
        as_arrays(read_tensors(tmp_path / "odd.pth"), "odd")


def test_odd_types_of_safetensors_are_refused_by_kind(tmp_path):
    save_file({"a": ODD["float8"]()}, tmp_path / "odd.safetensors")
    with pytest.raises(ConversionError, match=r"not converted: a, .* of type F8_E4M3"):
        as_arrays(read_tensors(tmp_path / "odd.safetensors"), "odd")


@pytest.mark.parametrize("key", [3, ("a", 1), None])
def test_names_that_are_no_text_are_refused(tmp_path, key):
    torch.save({key: torch.ones(3)}, tmp_path / "odd.pth")
    with pytest.raises(ConversionError, match=r"are no names of tensors"):
        as_arrays(read_tensors(tmp_path / "odd.pth"), "odd")


def test_odd_tensors_beside_the_weights_do_no_harm(tmp_path):
    content = {"state_dict": {"a": torch.ones(3)}, "other": {1: ODD["sparse"]()}}
    torch.save(content, tmp_path / "some.pth")
    assert list(as_arrays(read_tensors(tmp_path / "some.pth"), "some")) == ["a"]


@pytest.mark.parametrize("name", ["some.sft", "some.pth", "some", "some.ckpt"])
def test_safetensors_are_read_whatever_their_suffix(tmp_path, name):
    save_file({"a": torch.arange(3)}, tmp_path / name)
    assert read_tensors(tmp_path / name)["a"].tolist() == [0, 1, 2]


def test_safetensors_are_converted_without_torch(tmp_path):
    save_file({"a": torch.arange(3)}, tmp_path / "some.safetensors")
    torch.save({"a": torch.arange(3)}, tmp_path / "some.pth")
    program = """
import sys
from pathlib import Path
sys.modules["torch"] = None  # as if it were not installed
from convert_weights import __main__
from convert_weights.bundle import read_tensors
assert read_tensors(Path("some.safetensors"))["a"].tolist() == [0, 1, 2]
read_tensors(Path("some.pth"))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "some.pth is a file of PyTorch, which is not installed" in result.stderr
