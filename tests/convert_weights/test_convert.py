"""The strict engine: everything that is wrong, at once."""

import json

import jax
import numpy as np
import pytest

from convert_weights.bundle import convert_network
from convert_weights.convert import ConversionError, convert
from convert_weights.networks import KEY_MAPS
from convert_weights.networks.base import TensorShapes
from convert_weights.sources import PARTS
from jaxportrait.checkpoint import leaf_shapes
from jaxportrait.models.parts import abstract

# A table of a fixed row and of a numbered one.
TABLE = (
    ("first", "stem", "conv2d"),
    ("blocks.{i}.norm", "layers.{i}.norm", "layer_norm"),
)
IGNORE = (("*.num_batches_tracked", "a count"), ("decoder.*", "not needed"))


def shape(*lengths: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(lengths, np.float32)


@pytest.fixture
def shapes() -> dict[str, jax.ShapeDtypeStruct]:
    norms = {
        f"layers.{i}.norm.{leaf}": shape(4)
        for i in range(2)
        for leaf in ("scale", "bias")
    }
    return {"stem.kernel": shape(3, 3, 2, 4), "stem.bias": shape(4), **norms}


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    norms = {
        f"blocks.{i}.norm.{name}": rng.standard_normal(4, np.float32)
        for i in range(2)
        for name in ("weight", "bias")
    }
    return {
        "first.weight": rng.standard_normal((4, 2, 3, 3), np.float32),
        "first.bias": rng.standard_normal(4, np.float32),
        **norms,
    }


def test_every_leaf_is_filled_and_laid_out(tensors, shapes):
    result = convert(tensors, TABLE, shapes, IGNORE)
    assert set(result.leaves) == set(shapes)
    assert (
        result.leaves["stem.kernel"][2, 1, 0, 3] == tensors["first.weight"][3, 0, 2, 1]
    )
    np.testing.assert_array_equal(
        result.leaves["layers.1.norm.scale"], tensors["blocks.1.norm.weight"]
    )
    assert result.ignored == {}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"stranger": np.ones(3, np.float32)}, r"stranger \(3,\) is matched by no row"),
        ({"first.bias": None}, r"stem\.bias \(4,\) is filled by no tensor"),
        (
            {"first.bias": np.ones(5, np.float32)},
            r"first\.bias \(5,\) becomes \(5,\), but stem\.bias is \(4,\)",
        ),
        (
            {"first.weight": np.ones(4, np.float32)},
            r"first\.weight \(4,\) .* stem\.kernel is \(3, 3, 2, 4\)",
        ),
        (
            {"first.bias": np.ones(4, np.int64)},
            r"first\.bias is int64, but stem\.bias is float32",
        ),
        ({"first.bias": np.ones(4, bool)}, r"first\.bias is bool"),
        (
            {"first.bias": np.full(4, np.nan, np.float32)},
            r"first\.bias holds values that are not finite",
        ),
        (
            {"first.bias": np.full(4, np.inf, np.float16)},
            r"first\.bias holds values that are not finite",
        ),
        (
            {"first.weight": None, "first.bias": None},
            r"row 'first' of the key map matches no tensor",
        ),
        (
            {"blocks.2.norm.bias": np.ones(4, np.float32)},
            r"would fill layers\.2\.norm\.bias, which the network does not have",
        ),
    ],
)
def test_a_misfit_is_named(tensors, shapes, change, complaint):
    tensors |= change
    # None stands for a tensor that is missing.
    tensors = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    with pytest.raises(ConversionError, match=complaint):
        convert(tensors, TABLE, shapes, IGNORE, name="some.pth")


def test_a_tensor_of_two_rows_is_named_with_both(tensors, shapes):
    # The numbered row matches block 1 as well.
    table = (*TABLE, ("blocks.1.norm", "layers.1.norm", "layer_norm"))
    with pytest.raises(
        ConversionError,
        match=r"matched more than once: by 'blocks\.\{i\}\.norm', 'blocks\.1\.norm'",
    ):
        convert(tensors, table, shapes, IGNORE)


def test_a_tensor_both_wanted_and_ignored_is_named(tensors, shapes):
    with pytest.raises(
        ConversionError,
        match=r"first\.bias \(4,\) is matched more than once.* ignored tensors",
    ):
        convert(tensors, TABLE, shapes, (("first.bias", "not needed"),))


def test_two_tensors_for_one_leaf_are_named(tensors, shapes):
    with pytest.raises(
        ConversionError, match=r"again\.bias fills stem\.bias a second time"
    ):
        convert(
            {**tensors, "again.bias": tensors["first.bias"]},
            (*TABLE, ("again", "stem", "conv2d")),
            shapes,
        )


def test_all_misfits_are_in_one_message(tensors, shapes):
    del tensors["blocks.0.norm.bias"]
    tensors |= {
        "stranger": np.ones(3, np.float32),
        "first.bias": np.ones(5, np.float32),
    }
    tensors["first.weight"][0] = np.nan
    with pytest.raises(ConversionError) as caught:
        convert(
            tensors, (*TABLE, ("nowhere", "nowhere", "linear")), shapes, name="some.pth"
        )
    # Every misfit, whatever its kind, in the one line that a program prints.
    message = str(caught.value)
    assert message.startswith("some.pth does not fit, 5 misfit(s): ")
    assert len(message.partition(": ")[2].split("; ")) == 5
    assert "\n" not in message
    for named in (
        "stranger",
        "layers.0.norm.bias",
        "first.bias (5,)",
        "first.weight holds",
        "'nowhere'",
    ):
        assert named in message


def test_prefixes_of_parallel_wrappers_are_taken_off(tensors, shapes):
    wrapped = {f"module.{key}": tensor for key, tensor in tensors.items()}
    np.testing.assert_equal(
        convert(wrapped, TABLE, shapes).leaves, convert(tensors, TABLE, shapes).leaves
    )


def test_a_tensor_with_and_without_the_prefix_is_not_lost_silently(tensors, shapes):
    with pytest.raises(ConversionError, match=r"first\.bias"):
        convert(
            {**tensors, "module.first.bias": np.zeros(4, np.float32)}, TABLE, shapes
        )


def test_half_precision_is_widened_exactly(tensors, shapes):
    halves = {key: tensor.astype(np.float16) for key, tensor in tensors.items()}
    leaves = convert(halves, TABLE, shapes).leaves
    assert {leaf.dtype for leaf in leaves.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(leaves["stem.bias"], halves["first.bias"])
    np.testing.assert_array_equal(
        leaves["stem.kernel"], halves["first.weight"].transpose(2, 3, 1, 0)
    )


def test_ignored_tensors_come_with_their_reason(tensors, shapes):
    tensors |= {
        "decoder.weight": np.ones(2, np.float32),
        "first.num_batches_tracked": np.zeros((), np.int64),
    }
    result = convert(tensors, TABLE, shapes, IGNORE)
    assert result.ignored == {
        "decoder.weight": "not needed",
        "first.num_batches_tracked": "a count",
    }


@pytest.mark.parametrize(
    "part", ["motion", "stitching", "lip_retargeting", "eye_retargeting"]
)
def test_the_tables_fit_what_has_no_small_size(part, golden):
    names = {
        "motion": "motion_extractor",
        "stitching": "stitching_retargeting_module/stitching",
    }
    names |= {
        f"{organ}_retargeting": f"stitching_retargeting_module/{organ}"
        for organ in ("lip", "eye")
    }
    components = json.loads((golden / "manifest.json").read_text())["components"]
    tensors = {
        # Only shapes matter: a broadcast zero takes no memory.
        key: np.broadcast_to(np.float32(0), lengths)
        for key, lengths in components[f"full/{names[part]}"]["tensors"].items()
    }
    lengths = {key: tensor.shape for key, tensor in tensors.items()}
    config = KEY_MAPS[PARTS[part].kind].size(TensorShapes(lengths, part), {})
    leaves = convert_network(tensors, config).leaves
    assert set(leaves) == set(leaf_shapes(abstract(config)))
