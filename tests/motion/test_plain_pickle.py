"""Pickles: arrays and plain containers are read, and nothing is executed."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait.motion.plain_pickle import PlainPickleError, load_plain

CONTENT = {
    "number": 3,
    "list": [1.5, None, True, "text", b"bytes", (1, 2)],
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big end": np.arange(3, dtype=">i4"),
    "scalar": np.float64(2.5),
    "empty": np.zeros((0, 3), np.float32),
}
OLD_NAMES = (b"numpy._core", b"numpy.core")


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_are_read_in_every_protocol(protocol):
    content = load_plain(pickle.dumps(CONTENT, protocol))
    assert content.keys() == CONTENT.keys()
    assert content["list"] == CONTENT["list"]
    for name in ("array", "fortran", "big end", "scalar", "empty"):
        assert_array_equal(content[name], CONTENT[name])
        # The byte order may become the machine's.
        dtype = np.asarray(content[name]).dtype
        assert dtype.newbyteorder("=") == CONTENT[name].dtype.newbyteorder("=")


def test_the_older_names_of_numpy_are_read():
    # Protocol 0 has names without lengths.
    data = pickle.dumps(CONTENT["array"], 0).replace(*OLD_NAMES)
    assert OLD_NAMES[1] in data
    assert_array_equal(load_plain(data), CONTENT["array"])


def gadgets(path) -> dict[str, object]:
    """Return objects whose pickles would touch a file when they are loaded."""
    import os
    import subprocess

    touch = f"touch {path}"
    code = f"open({str(path)!r}, 'w')"
    return {
        "os.system": Call(os.system, touch),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "subprocess": Call(subprocess.check_output, touch.split()),
        "getattr": Call(getattr, "text", "format"),
        "object array": np.array([Call(os.system, touch)], object),
        "nested": [{"a": (Call(eval, code),)}],
        "a reduction in an argument": Call(np.dtype, Call(eval, code)),
    }


@pytest.mark.parametrize("name", list(gadgets("x")))
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_is_executed(tmp_path, name, protocol):
    witness = tmp_path / "witness"
    data = pickle.dumps(gadgets(witness)[name], protocol)
    with pytest.raises(PlainPickleError):
        load_plain(data)
    assert not witness.exists()


def test_the_gadgets_do_run_elsewhere(tmp_path):
    witness = tmp_path / "witness"
    pickle.loads(pickle.dumps(gadgets(witness)["os.system"]))
    assert witness.exists()


def test_functions_of_the_reader_are_not_changed():
    # GLOBAL, then BUILD with attributes.
    data = b"\x80\x04cnumpy._core.multiarray\n_reconstruct\n}\x8c\x01aK\x01sb."
    with pytest.raises(PlainPickleError, match="changes a function"):
        load_plain(data)


def test_arrays_whose_sizes_lie_are_refused():
    data = pickle.dumps(np.zeros(4, np.float32), 4)
    # The shape (4,) becomes (9,).
    longer = data.replace(b"K\x04\x85", b"K\x09\x85")
    assert longer != data
    with pytest.raises(PlainPickleError, match=r"shape \(9,\) whose data"):
        load_plain(longer)


@pytest.mark.parametrize("data", [b"", b"text", pickle.dumps(CONTENT)[:-20]])
def test_damaged_pickles_are_refused(data):
    with pytest.raises(PlainPickleError, match="no pickle, or damaged"):
        load_plain(data)
