"""Reading checkpoints: in part, and clear about what is wrong."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from jaxportrait import demo
from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    DriverEntry,
    fill,
    leaf_shapes,
    leaves_of,
    open_checkpoint,
    save_untrained,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import abstract, build
from jaxportrait.models.stitching import StitchingConfig
from tests.checkpoint.contents import CONTENTS, FLOW, STATISTICS, TRANSFORMER

DAMAGE = ("emptied files", "cut files", "no files")


def write_config(checkpoint: Path, values: dict) -> None:
    """Replace the checkpoint's JSON."""
    shutil.rmtree(checkpoint / "config")
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as writer:
        writer.save(checkpoint / "config", args=ocp.args.JsonSave(values))


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def damage_files(folder: Path, damage: str) -> None:
    for path in files_below(folder):
        content = path.read_bytes()
        if damage == "no files":
            path.unlink()
        elif damage == "cut files":
            path.write_bytes(content[: len(content) // 2])
        else:
            path.write_bytes(b"")


def test_contents_are_read_bit_for_bit(written, params):
    checkpoint = open_checkpoint(written)
    assert checkpoint.crop == CONTENTS.crop
    assert checkpoint.parts == CONTENTS.parts
    assert checkpoint.keypoints == CONTENTS.keypoints
    for part, leaves in params.items():
        np.testing.assert_equal(checkpoint.leaves(part), leaves)
    driver = checkpoint.driver()
    assert driver.config == FLOW.config
    assert driver.statistics is not None
    np.testing.assert_array_equal(driver.statistics.mean, STATISTICS.mean)
    np.testing.assert_array_equal(driver.statistics.std, STATISTICS.std)


def test_a_part_without_weights_is_its_config(tmp_path):
    parts = {"stitching": StitchingConfig.stitching(), "log_mel": LogMelConfig(40)}
    save_untrained(tmp_path / "checkpoint", Contents(parts=parts))
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    assert checkpoint.parts == parts
    assert checkpoint.leaves("log_mel") == {}
    assert checkpoint.network("log_mel").config == LogMelConfig(40)


def test_one_part_is_read_without_the_others(written, params):
    assert set(open_checkpoint(written).leaves("stitching")) == set(params["stitching"])


def test_a_network_comes_in_its_inference_form(written, params):
    network = open_checkpoint(written).network("appearance")
    # Folded into the convolution beside it.
    assert "norm" not in nnx.state(network)["stem"]
    # The network before folding is the reference.
    reference = abstract(CONTENTS.parts["appearance"])
    fill(reference, params["appearance"])
    reference.eval()
    pixels = np.random.default_rng(0).uniform(size=(1, 64, 64, 3))
    image = jnp.asarray(pixels, jnp.float32)
    run = nnx.jit(lambda network, image: network(image))
    ours, expected = np.asarray(run(network, image)), np.asarray(run(reference, image))
    np.testing.assert_allclose(ours, expected, atol=3e-5 * np.abs(expected).max())


def test_a_network_in_half_precision_keeps_its_weights_in_it(written):
    network = open_checkpoint(written).network("appearance", dtype=jnp.bfloat16)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(nnx.state(network))}
    assert dtypes == {jnp.dtype(jnp.bfloat16)}
    assert network(jnp.zeros((1, 64, 64, 3))).dtype == jnp.bfloat16


def test_an_abstract_network_has_the_names_and_shapes_of_a_built_one():
    config = StitchingConfig.stitching()
    built = leaves_of(build(config, rngs=nnx.Rngs(0)))
    shapes = leaf_shapes(abstract(config))
    assert {name: leaf.shape for name, leaf in shapes.items()} == {
        name: leaf.shape for name, leaf in built.items()
    }


def test_a_missing_part_is_named_with_those_there(written):
    checkpoint = open_checkpoint(written)
    message = r"holds no generator.*it has: appearance, stitching"
    with pytest.raises(CheckpointError, match=message):
        checkpoint.require(["appearance", "generator", "whisper"])
    with pytest.raises(CheckpointError, match=message):
        checkpoint.network("generator")


def test_the_only_driver_needs_no_name_and_several_are_listed(tmp_path):
    parts = {"one": TRANSFORMER, "other": TRANSFORMER}
    drivers = {
        name: DriverEntry(FlowDriverConfig(transformer=name), STATISTICS)
        for name in parts
    }
    save_untrained(tmp_path / "both", Contents(parts=parts, drivers=drivers))
    both = open_checkpoint(tmp_path / "both")
    assert both.driver("other").config.transformer == "other"
    with pytest.raises(
        CheckpointError,
        match="several drivers, one, other: choose the driver by its name",
    ):
        both.driver()
    with pytest.raises(CheckpointError, match=r"no driver third \(it has: one, other"):
        both.driver("third")


def test_a_checkpoint_without_drivers_says_so(tmp_path):
    parts = {"stitching": StitchingConfig.stitching()}
    save_untrained(tmp_path / "checkpoint", Contents(parts=parts))
    with pytest.raises(CheckpointError, match=r"no driver \(it has: stitching\)"):
        open_checkpoint(tmp_path / "checkpoint").driver()


def test_the_only_audio_encoder_is_found(tmp_path):
    parts = {"sound": LogMelConfig(40), "stitching": StitchingConfig.stitching()}
    save_untrained(tmp_path / "one", Contents(parts=parts))
    assert open_checkpoint(tmp_path / "one").encoder() == "sound"
    save_untrained(tmp_path / "two", Contents(parts={**parts, "b": LogMelConfig(80)}))
    with pytest.raises(CheckpointError, match="several audio encoders, sound, b"):
        open_checkpoint(tmp_path / "two").encoder()


def test_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*absent"):
        open_checkpoint(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*file"):
        open_checkpoint(tmp_path / "file")


def test_a_folder_of_something_else_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CheckpointError, match="is not a jaxportrait checkpoint"):
        open_checkpoint(tmp_path)


def test_another_format_is_named(copy):
    write_config(copy, {"format": 99, "portrait": {}})
    with pytest.raises(CheckpointError, match=r"format 99, this version reads 1 and 2"):
        open_checkpoint(copy)


def test_a_config_that_holds_no_fields_is_named(copy):
    for text in ("[1]", "null"):
        (copy / "config" / "metadata").write_text(text)
        with pytest.raises(CheckpointError, match=r"the config is .*expected fields"):
            open_checkpoint(copy)


def test_the_config_of_a_newer_version_is_named(copy):
    metadata = copy / "config" / "metadata"
    metadata.write_text(metadata.read_text().replace('"zoom"', '"field_of_tomorrow"'))
    message = r"copy .*crop has no field field_of_tomorrow.*a newer version wrote it"
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(copy)


@pytest.mark.parametrize("item", ["", "config", "statistics"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_one_clear_error(copy, item, damage):
    damage_files(copy / item, damage)
    with pytest.raises(CheckpointError, match=r"copy.* it is damaged"):
        open_checkpoint(copy)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_weights_are_one_clear_error(copy, damage):
    damage_files(copy / "params", damage)
    with pytest.raises(CheckpointError, match=r"copy.* is damaged"):
        open_checkpoint(copy).leaves("stitching")


def test_weights_that_differ_from_their_checksum_are_named(copy):
    checkpoint = open_checkpoint(copy)
    digests = {**checkpoint.sha256["stitching"], "layers.0.bias": "0" * 64}
    metadata = copy / "config" / "metadata"
    text = metadata.read_text()
    digest = checkpoint.sha256["stitching"]["layers.0.bias"]
    # The checksum is changed rather than the array, which has checks of Orbax's own.
    assert digest in text
    metadata.write_text(text.replace(digest, digests["layers.0.bias"]))
    with pytest.raises(
        CheckpointError,
        match=r"layers\.0\.bias of its stitching is not what was stored",
    ):
        open_checkpoint(copy).leaves("stitching")


def test_missing_statistics_are_named(copy):
    shutil.rmtree(copy / "statistics")
    with pytest.raises(CheckpointError, match="driver flow: it needs the mean"):
        open_checkpoint(copy)


def test_the_demo_of_format_1_opens_as_format_2():
    checkpoint = open_checkpoint(demo.CHECKPOINT)
    assert (checkpoint.crop.image_size, checkpoint.crop.zoom) == (128, 1.35)
    assert list(checkpoint.parts) == [
        "appearance",
        "motion",
        "warping",
        "generator",
        "log_mel",
        "flow_transformer",
    ]
    driver = checkpoint.driver()
    assert driver.config == FlowDriverConfig("log_mel", space="face", cfg_scale=1.5)
    assert driver.statistics is not None
    assert np.shape(driver.statistics.mean) == (70,)
    # The demo and LivePortrait number eyes and brows differently.
    groups = checkpoint.keypoints
    upper = sorted((*groups.eyes, *groups.brows))
    assert upper == [1, 2, 3, 11, 13, 15, 16, 18]
