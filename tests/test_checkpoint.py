"""Checkpoints on disk: whole or not at all, read in part, and clear about what is
wrong."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from jaxportrait.checkpoint import (
    CheckpointError,
    check_destination,
    fill,
    leaf_shapes,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
    save_untrained,
)
from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.config import PortraitConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import abstract, build
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.motion.space import MotionStatistics

CONFIG = PortraitConfig(
    64, appearance=AppearanceConfig.tiny(), stitching=StitchingConfig.stitching()
)
STATISTICS = MotionStatistics(
    np.arange(18, dtype=np.float32), np.full(18, 0.1, np.float32)
)


@pytest.fixture(scope="module")
def params() -> dict[str, dict[str, np.ndarray]]:
    return {
        part: leaves_of(build(part, getattr(CONFIG, part), rngs=nnx.Rngs(0)))
        for part in ("appearance", "stitching")
    }


@pytest.fixture(scope="module")
def written(params, tmp_path_factory) -> Path:
    """A checkpoint of two parts, never changed."""
    path = tmp_path_factory.mktemp("written") / "checkpoint"
    save_checkpoint(path, CONFIG, params, STATISTICS)
    return path


@pytest.fixture
def copy(written, tmp_path) -> Path:
    """A checkpoint to damage."""
    return shutil.copytree(written, tmp_path / "copy")


def test_what_is_written_is_read_bit_for_bit(written, params):
    checkpoint = open_checkpoint(written)
    assert checkpoint.config == CONFIG
    assert checkpoint.parts == ["appearance", "stitching"]
    for part, leaves in params.items():
        np.testing.assert_equal(checkpoint.leaves(part), leaves)
    np.testing.assert_array_equal(checkpoint.statistics.mean, STATISTICS.mean)
    np.testing.assert_array_equal(checkpoint.statistics.std, STATISTICS.std)


def test_a_checkpoint_does_not_tell_where_it_was_written(written):
    assert not [
        path
        for path in files_below(written)
        if str(written.parent).encode() in path.read_bytes()
    ]


def test_half_precision_takes_half_the_space_and_reads_as_float32(
    written, params, tmp_path
):
    save_checkpoint(tmp_path / "half", CONFIG, params, STATISTICS, dtype="float16")
    checkpoint = open_checkpoint(tmp_path / "half")
    for part, leaves in params.items():
        for name, leaf in checkpoint.leaves(part).items():
            assert leaf.dtype == np.float32
            np.testing.assert_array_equal(leaf, leaves[name].astype(np.float16))
    np.testing.assert_array_equal(
        checkpoint.statistics.std, STATISTICS.std
    )  # not rounded
    half, whole = (
        sum(path.stat().st_size for path in files_below(path))
        for path in (tmp_path / "half", written)
    )
    assert half < 0.7 * whole


def test_a_value_beyond_half_precision_is_named(params, tmp_path):
    large = params["stitching"] | {"layers.0.bias": np.full(128, 1e5, np.float32)}
    with pytest.raises(
        CheckpointError, match=r"stitching has values beyond 65504 in layers\.0\.bias"
    ):
        save_checkpoint(
            tmp_path / "half", CONFIG, params | {"stitching": large}, dtype="float16"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_part_without_weights_is_its_config(tmp_path):
    config = PortraitConfig(
        log_mel=LogMelConfig(40), stitching=StitchingConfig.stitching()
    )
    save_untrained(tmp_path / "checkpoint", config)
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    assert checkpoint.parts == ["stitching", "log_mel"]
    assert checkpoint.leaves("log_mel") == {}
    assert checkpoint.network("log_mel").config == config.log_mel


def test_one_part_is_read_without_the_others(written, params):
    assert set(open_checkpoint(written).leaves("stitching")) == set(params["stitching"])


def test_a_checkpoint_without_statistics_has_none(params, tmp_path):
    save_checkpoint(tmp_path / "checkpoint", CONFIG, params)
    assert open_checkpoint(tmp_path / "checkpoint").statistics is None


def test_a_network_comes_in_its_inference_form(written, params):
    network = open_checkpoint(written).network("appearance")
    assert "norm" not in nnx.state(network)["stem"]
    reference = abstract("appearance", CONFIG.appearance)
    fill(reference, params["appearance"])
    reference.eval()
    image = jnp.asarray(
        np.random.default_rng(0).uniform(size=(1, 64, 64, 3)), jnp.float32
    )
    ours, expected = (
        np.asarray(nnx.jit(lambda n, x: n(x))(n, image)) for n in (network, reference)
    )
    np.testing.assert_allclose(ours, expected, atol=3e-5 * np.abs(expected).max())


def test_a_network_in_half_precision_keeps_its_weights_in_it(written):
    network = open_checkpoint(written).network("appearance", dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(network))} == {
        jnp.dtype(jnp.bfloat16)
    }
    assert network(jnp.zeros((1, 64, 64, 3))).dtype == jnp.bfloat16


def test_an_abstract_network_has_the_names_and_shapes_of_a_built_one():
    built = leaves_of(build("stitching", CONFIG.stitching, rngs=nnx.Rngs(0)))
    shapes = leaf_shapes(abstract("stitching", CONFIG.stitching))
    assert {name: leaf.shape for name, leaf in shapes.items()} == {
        name: leaf.shape for name, leaf in built.items()
    }


def test_a_missing_part_is_named_with_those_there(written):
    checkpoint = open_checkpoint(written)
    for ask in (
        lambda: checkpoint.require(["appearance", "generator", "whisper"]),
        lambda: checkpoint.network("generator"),
    ):
        with pytest.raises(
            CheckpointError, match=r"holds no generator.*it has: appearance, stitching"
        ):
            ask()


def test_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*absent"):
        open_checkpoint(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*file"):
        open_checkpoint(tmp_path / "file")


def test_another_format_is_named(copy):
    shutil.rmtree(copy / "config")
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as writer:
        writer.save(
            copy / "config", args=ocp.args.JsonSave({"format": 99, "portrait": {}})
        )
    with pytest.raises(CheckpointError, match=r"is of format 99, this version reads 1"):
        open_checkpoint(copy)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("item", ["", "config", "statistics"])
@pytest.mark.parametrize("damage", ["emptied files", "cut files", "no files"])
def test_a_damaged_checkpoint_is_one_clear_error(copy, item, damage):
    for path in files_below(copy / item):
        if damage == "no files":
            path.unlink()
        else:
            path.write_bytes(
                path.read_bytes()[
                    : path.stat().st_size // 2 if damage == "cut files" else 0
                ]
            )
    with pytest.raises(
        CheckpointError, match=r"copy is not a jaxportrait checkpoint, or it is damaged"
    ):
        open_checkpoint(copy)


@pytest.mark.parametrize("damage", ["emptied files", "cut files", "no files"])
def test_damaged_weights_are_one_clear_error(copy, damage):
    for path in files_below(copy / "params"):
        if damage == "no files":
            path.unlink()
        else:
            path.write_bytes(
                path.read_bytes()[
                    : path.stat().st_size // 2 if damage == "cut files" else 0
                ]
            )
    with pytest.raises(CheckpointError, match=r"copy.* is damaged"):
        open_checkpoint(copy).leaves("stitching")


def test_a_folder_of_something_else_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CheckpointError, match="is not a jaxportrait checkpoint"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["checkpoint", "checkpoint [1]"])
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt, OSError(28, "No space left on device")],
    ids=["Ctrl-C", "full disk"],
)
def test_an_interrupted_save_leaves_nothing(params, tmp_path, monkeypatch, name, error):
    def rename(path, target):
        raise error

    monkeypatch.setattr(Path, "rename", rename)  # after everything was written
    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        save_checkpoint(tmp_path / name, CONFIG, params)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_old_checkpoint(
    params, copy, monkeypatch
):
    def rename(path, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(copy, CONFIG, params, overwrite=True)
    assert open_checkpoint(copy).statistics is not None


def test_a_killed_save_leaves_no_checkpoint_behind(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from jaxportrait.checkpoint import save_untrained
from jaxportrait.models.config import PortraitConfig, StitchingConfig
Path.rename = lambda path, target: os.kill(os.getpid(), signal.SIGKILL)
save_untrained(sys.argv[1], PortraitConfig(stitching=StitchingConfig.stitching()))
"""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", program, str(tmp_path / "checkpoint")]
    killed = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=environment, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "checkpoint").exists()


def test_a_checkpoint_is_replaced_on_request_alone(params, copy):
    with pytest.raises(CheckpointError, match="already holds a checkpoint"):
        save_checkpoint(copy, CONFIG, params)
    save_checkpoint(copy, CONFIG, params, overwrite=True)
    assert open_checkpoint(copy).statistics is None
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_a_folder_that_is_no_checkpoint_is_never_replaced(params, tmp_path):
    (tmp_path / "project" / "config").mkdir(parents=True)
    (tmp_path / "project" / "work.py").write_text("mine")
    with pytest.raises(CheckpointError, match="exists and is not a checkpoint"):
        save_checkpoint(tmp_path / "project", CONFIG, params, overwrite=True)
    assert (tmp_path / "project" / "work.py").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named_before_any_work(
    tmp_path, monkeypatch
):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(CheckpointError, match=r"cannot be written, .*notes is a file"):
        check_destination(tmp_path / "notes" / "deep" / "checkpoint", overwrite=False)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(
        CheckpointError, match=rf"you may not write into {tmp_path}: choose another"
    ):
        check_destination(tmp_path / "deep" / "checkpoint", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_parts_and_config_belong_together(params, tmp_path):
    with pytest.raises(
        CheckpointError,
        match="names appearance, stitching, and there are weights of stitching",
    ):
        save_checkpoint(tmp_path / "few", CONFIG, {"stitching": params["stitching"]})
    flow = FlowTransformerConfig.tiny()
    leaves = leaves_of(build("flow_transformer", flow, rngs=nnx.Rngs(0)))
    with pytest.raises(
        CheckpointError, match="needs the mean and deviation of its motion"
    ):
        save_checkpoint(
            tmp_path / "flow",
            PortraitConfig(flow_transformer=flow),
            {"flow_transformer": leaves},
        )
    assert not any(tmp_path.iterdir())
    with pytest.raises(
        ValueError, match="features of 20 values and the flow transformer reads"
    ):
        PortraitConfig(log_mel=LogMelConfig(10), flow_transformer=flow)


def test_the_config_of_a_newer_version_is_named(copy):
    metadata = copy / "config" / "metadata"
    metadata.write_text(
        metadata.read_text().replace('"crop_zoom"', '"field_of_tomorrow"')
    )
    with pytest.raises(
        CheckpointError, match=r"field_of_tomorrow.*a newer version wrote it"
    ):
        open_checkpoint(copy)


def test_an_empty_folder_may_become_a_checkpoint(params, tmp_path):
    save_checkpoint(tmp_path, CONFIG, params)
    assert open_checkpoint(tmp_path).config == CONFIG


def test_untrained_weights_come_from_the_seed(tmp_path):
    config = PortraitConfig(stitching=StitchingConfig.stitching())
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_untrained(tmp_path / name, config, seed)
    first, again, other = (open_checkpoint(tmp_path / name) for name in "abc")
    np.testing.assert_equal(first.leaves("stitching"), again.leaves("stitching"))
    assert np.any(
        first.leaves("stitching")["layers.0.kernel"]
        != other.leaves("stitching")["layers.0.kernel"]
    )


def test_untrained_motion_has_statistics_as_wide_as_itself(tmp_path):
    transformer = FlowTransformerConfig(18, 8, 16, 2, 1, 1)
    save_untrained(
        tmp_path / "checkpoint", PortraitConfig(flow_transformer=transformer)
    )
    statistics = open_checkpoint(tmp_path / "checkpoint").statistics
    assert statistics.mean.shape == statistics.std.shape == (18,)
    assert np.all(statistics.std > 0)
