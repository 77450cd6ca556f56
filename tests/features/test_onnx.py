"""Features of an encoder in an ONNX file: chunks, live and whole, and graphs that do not
fit. ONNX Runtime runs generated graphs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert_weights.ditto.stub import write_stub
from jaxportrait.checkpoint import CheckpointError
from jaxportrait.features.chunks import Cutting, published_count
from jaxportrait.features.onnx import ChunkFeatures, OnnxEncoder, check_encoder
from tests.arrays import draw
from tests.features import contract

CUTTING = Cutting()


@pytest.fixture(scope="module")
def features(tmp_path_factory) -> ChunkFeatures:
    folder = tmp_path_factory.mktemp("stub")
    encoder = OnnxEncoder(write_stub(folder / "stub.onnx", CUTTING.length))
    check_encoder(encoder, CUTTING)
    return ChunkFeatures(encoder)


def write_graph(path, inputs: int, shape: list[int], kind=TensorProto.FLOAT):
    """Write a graph that returns ones of a shape."""
    names = [f"input{i}" for i in range(inputs)]
    values = [
        helper.make_tensor_value_info(name, kind, [1, CUTTING.length]) for name in names
    ]
    size = int(np.prod(shape))
    ones = helper.make_tensor("ones", TensorProto.FLOAT, shape, np.ones(size))
    node = helper.make_node("Identity", ["ones"], ["output"])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)
    graph = helper.make_graph([node], "graph", values, [output], [ones])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def test_the_contract_of_features_holds(features):
    sound = draw(20_321, seed=3)
    contract.assert_any_cutting_makes_the_same_features(features, sound, hop=3200)
    contract.assert_features_arrive_within_the_latency(features, sound)
    contract.assert_a_live_feature_reads_its_context_only(features, sound, 9_000)
    contract.assert_states_are_pytrees(features, sound)


def test_a_live_sound_has_the_features_of_the_whole_clip(features):
    sound = draw(20_321, seed=3)
    whole = features.encode(lambda: [sound], 32)
    live = contract.live_features(features, sound, 1_234, 32)
    np.testing.assert_array_equal(live, whole)


def test_a_feature_is_complete_after_its_latency(features):
    # The first frame of a chunk needs the chunk's last sample.
    samples = round(features.latency * 16_000)
    assert samples == 4480
    _, state = features.step(features.start(), np.zeros(samples - 1, np.float32))
    assert state.frames == 0
    piece, _ = features.step(state, np.zeros(1, np.float32))
    assert len(piece) == 5


def test_a_feature_depends_on_its_chunk_only(features):
    samples = draw(16_000, seed=4)
    changed = samples.copy()
    changed[3200 + 4480 :] = 0
    before = features.encode(lambda: [samples], 25)
    after = features.encode(lambda: [changed], 25)
    same = (before == after).all(axis=1)
    # Two chunks of five frames end before the change.
    assert same.tolist() == [True] * 10 + [False] * 15


def test_silence_follows_a_clip(features):
    samples = draw(700, seed=5)
    longer = np.concatenate([samples, np.zeros(9000, np.float32)])
    np.testing.assert_array_equal(
        features.encode(lambda: [samples], 12), features.encode(lambda: [longer], 12)
    )
    assert features.encode(lambda: [], 3).shape == (3, 1024)
    assert features.encode(lambda: [samples], 0).shape == (0, 1024)


def test_the_published_count_is_one_too_many_for_some_lengths():
    assert published_count(4480) == 8
    assert published_count(6400) == 10


@pytest.mark.parametrize(
    ("inputs", "shape", "message"),
    [
        (2, [20, 1024], "has the inputs .* expected one of float32"),
        (1, [20, 768], r"makes features \(20, 768\) .* expected 1024"),
        (1, [19, 1024], "makes 19 features of 6480 samples: expected 20"),
    ],
)
def test_a_graph_that_does_not_fit_is_named(tmp_path, inputs, shape, message):
    path = write_graph(tmp_path / "graph.onnx", inputs, shape)
    with pytest.raises(CheckpointError, match=message):
        check_encoder(OnnxEncoder(path), CUTTING)


def test_a_graph_of_another_input_is_named(tmp_path):
    path = write_graph(tmp_path / "graph.onnx", 1, [20, 1024], TensorProto.INT64)
    with pytest.raises(CheckpointError, match="expected one of float32"):
        OnnxEncoder(path)


def test_a_graph_of_another_length_is_named(tmp_path):
    encoder = OnnxEncoder(write_stub(tmp_path / "stub.onnx", 3280))
    with pytest.raises(CheckpointError, match="does not run on a chunk of 6480"):
        check_encoder(encoder, CUTTING)


def test_a_batch_axis_is_taken_off(tmp_path):
    path = write_graph(tmp_path / "graph.onnx", 1, [1, 20, 1024])
    check_encoder(OnnxEncoder(path), CUTTING)


def test_a_damaged_file_is_one_line(tmp_path):
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match="cannot be read as an ONNX graph"):
        OnnxEncoder(path)
