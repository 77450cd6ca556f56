"""Files to parts, and the motion statistics."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from convert_weights.bundle import convert_files, lip_statistics, write
from convert_weights.convert import ConversionError
from convert_weights.recipe import STATISTICS_FILE
from jaxportrait.checkpoint import Contents, open_checkpoint
from jaxportrait.motion.space import LIP_KEYPOINTS


@pytest.fixture(scope="module")
def transformer_file(files):
    """The part that holds statistics, small enough to convert in every test."""
    return files["flow_transformer"]


def change_statistics(published, path, change):
    """A `statistic.pt` of which `change` makes another."""
    torch.save(
        {
            name: change(tensor)
            for name, tensor in torch.load(published / STATISTICS_FILE).items()
        },
        path,
    )
    return path


def test_every_file_gives_its_parts(converted):
    # The recipe has no small motion extractor.
    assert set(converted.params) == set(Contents.full().parts) - {"motion"}
    assert converted.configs["warping"].keypoints == 5
    assert converted.configs["whisper"].heads == 2
    assert {
        leaf.dtype for leaves in converted.params.values() for leaf in leaves.values()
    } == {np.dtype(np.float32)}


def test_what_is_left_behind_has_a_reason(converted):
    assert not converted.ignored["generator"]
    assert all(
        key.endswith("num_batches_tracked") for key in converted.ignored["appearance"]
    )
    assert {key.split(".")[0] for key in converted.ignored["flow_transformer"]} == {
        "global_cond_mlp"
    }
    assert any(key.startswith("decoder.") for key in converted.ignored["whisper"])


@pytest.mark.parametrize("part", ["appearance", "stitching_retargeting", "whisper"])
def test_a_single_part_converts_and_the_checkpoint_says_so(files, part, tmp_path):
    single = convert_files({part: files[part]})
    write(single, tmp_path / "checkpoint")
    expected = (
        ["stitching", "lip_retargeting", "eye_retargeting"]
        if part == "stitching_retargeting"
        else [part]
    )
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    assert list(checkpoint.parts) == expected
    assert checkpoint.drivers == {}
    # Only networks of the renderer read crops, which LivePortrait made so.
    expected = "insightface" if part == "appearance" else None
    assert checkpoint.crop.detector == expected


def test_crops_of_animals_were_made_by_another_detector(files, tmp_path):
    single = convert_files({"appearance": files["appearance"]})
    write(single, tmp_path / "checkpoint", animals=True)
    assert open_checkpoint(tmp_path / "checkpoint").crop.detector is None


def test_half_precision_files_convert_to_the_same_numbers(files, tmp_path):
    # Rounded to half precision, and the same values in float32.
    halves = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in torch.load(files["appearance"]).items()
    }
    torch.save(halves, tmp_path / "half.pth")
    torch.save(
        {
            key: tensor.float() if tensor.is_floating_point() else tensor
            for key, tensor in halves.items()
        },
        tmp_path / "widened.pth",
    )
    half, widened = (
        convert_files({"appearance": tmp_path / f"{name}.pth"}).params["appearance"]
        for name in ("half", "widened")
    )
    np.testing.assert_equal(half, widened)


def test_a_transformers_own_statistics_serve(transformer_file, converted):
    single = convert_files({"flow_transformer": transformer_file})
    np.testing.assert_array_equal(single.statistics.mean, converted.statistics.mean)
    np.testing.assert_array_equal(single.statistics.std, converted.statistics.std)


def test_statistics_are_the_lip_rows(published, converted, recipe):
    # The file is over all 21 keypoints, the network over the lips' 6.
    rows = recipe.statistics()["mean"].reshape(21, 3)[list(LIP_KEYPOINTS)]
    np.testing.assert_array_equal(
        lip_statistics(published / STATISTICS_FILE).mean, rows.ravel()
    )
    np.testing.assert_array_equal(converted.statistics.mean, rows.ravel())


@pytest.mark.parametrize(
    "change",
    [lambda tensor: tensor + 1e-3, lambda tensor: tensor * float("nan")],
    ids=["another run", "not a number"],
)
def test_statistics_that_disagree_are_an_error(
    transformer_file, published, tmp_path, change
):
    path = change_statistics(published, tmp_path / "statistic.pt", change)
    with pytest.raises(
        ConversionError, match=r"statistic\.pt .*disagrees|statistic\.pt.* not finite"
    ):
        convert_files({"flow_transformer": transformer_file}, path)


def test_statistics_rounded_in_the_last_digit_agree(
    transformer_file, published, tmp_path
):
    path = change_statistics(
        published, tmp_path / "statistic.pt", lambda tensor: tensor * (1 + 1e-6)
    )
    assert (
        convert_files({"flow_transformer": transformer_file}, path).statistics
        is not None
    )


@pytest.mark.parametrize(
    "content",
    [
        {"mean": torch.zeros(63)},
        {"mean": torch.zeros(62), "std": torch.ones(62)},
        {"mean": torch.zeros(30), "std": torch.ones(30)},
        {"mean": torch.zeros(63), "std": torch.ones(63), "other": torch.ones(63)},
    ],
    ids=["no deviation", "not of three axes", "too few keypoints", "a stranger"],
)
def test_what_is_no_statistics_is_named(tmp_path, content):
    torch.save(content, tmp_path / "statistic.pt")
    with pytest.raises(
        ConversionError, match=r"statistic\.pt holds .*expected mean and std"
    ):
        lip_statistics(tmp_path / "statistic.pt")


def test_statistics_without_a_transformer_are_an_error(files, published):
    with pytest.raises(ConversionError, match="belongs to a flow transformer"):
        convert_files(
            {"stitching_retargeting": files["stitching_retargeting"]},
            published / STATISTICS_FILE,
        )


def test_a_whisper_file_without_its_dimensions_is_named(files, tmp_path):
    torch.save(torch.load(files["whisper"])["model_state_dict"], tmp_path / "bare.pt")
    with pytest.raises(ConversionError, match=r"bare\.pt has no entry dims \(it has: "):
        convert_files({"whisper": tmp_path / "bare.pt"})


def test_an_entry_that_holds_no_names_is_named(tmp_path):
    torch.save({"model_state_dict": {}, "dims": 3}, tmp_path / "odd.pt")
    with pytest.raises(
        ConversionError, match=r"entry dims of .*odd\.pt is of type int"
    ):
        convert_files({"whisper": tmp_path / "odd.pt"})


def test_a_stitching_file_without_an_entry_is_named(files, tmp_path):
    # One file has three parts.
    entries = torch.load(files["stitching_retargeting"])
    del entries["retarget_eye"]
    torch.save(entries, tmp_path / "two.pth")
    with pytest.raises(ConversionError, match=r"two\.pth has no entry retarget_eye"):
        convert_files({"stitching_retargeting": tmp_path / "two.pth"})


@pytest.mark.parametrize("heads", [0, 7, -1, "six", 1.5, None])
def test_heads_that_cannot_be_are_named(files, tmp_path, heads):
    content = torch.load(files["whisper"])
    content["dims"]["n_audio_head"] = heads
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(
        ConversionError, match=r"odd\.pt.* makes no whisper \(heads is "
    ):
        convert_files({"whisper": tmp_path / "odd.pt"})


def flat_stitching(files) -> dict[str, torch.Tensor]:
    """Return the stitching file's tensors by one name each."""
    entries = torch.load(files["stitching_retargeting"])
    return {
        f"{entry}_module.{key.removeprefix('module.')}": tensor
        for entry, tensors in entries.items()
        for key, tensor in tensors.items()
    }


def test_a_flat_stitching_file_is_read(files, converted, tmp_path):
    save_file(flat_stitching(files), tmp_path / "flat.safetensors")
    flat = convert_files({"stitching_retargeting": tmp_path / "flat.safetensors"})
    assert len(flat.params) == 3
    for part, leaves in flat.params.items():
        np.testing.assert_equal(leaves, converted.params[part])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"other.weight": torch.ones(3)}, r"tensors of none of .*: other\.weight"),
        ({"retarget_mouth": {"a": torch.ones(3)}}, "no entry retarget_shoulder"),
    ],
)
def test_a_flat_file_of_something_else_is_named(files, tmp_path, change, message):
    torch.save({**flat_stitching(files), **change}, tmp_path / "flat.pth")
    with pytest.raises(ConversionError, match=message):
        convert_files({"stitching_retargeting": tmp_path / "flat.pth"})


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: {f"_orig_mod.{key}": item for key, item in tensors.items()},
        lambda tensors: {f"module.module.{key}": item for key, item in tensors.items()},
        lambda tensors: {f"module._orig_mod.{key}": i for key, i in tensors.items()},
        lambda tensors: {
            key.replace(".", "._orig_mod.", 1): i for key, i in tensors.items()
        },
        lambda tensors: {"state_dict": tensors, "epoch": 3},
        lambda tensors: {key: item.double() for key, item in tensors.items()},
    ],
    ids=["compiled", "wrapped twice", "both", "compiled layers", "entry", "float64"],
)
def test_weights_as_training_programs_save_them_are_the_same(
    files, converted, tmp_path, wrap
):
    torch.save(wrap(torch.load(files["appearance"])), tmp_path / "wrapped.pth")
    wrapped = convert_files({"appearance": tmp_path / "wrapped.pth"})
    np.testing.assert_equal(
        wrapped.params["appearance"], converted.params["appearance"]
    )


def test_values_beyond_float32_are_named(files, tmp_path):
    tensors = torch.load(files["appearance"])
    tensors["second.bias"] = tensors["second.bias"].double() * 0 + 1e300
    torch.save(tensors, tmp_path / "large.pth")
    with pytest.raises(ConversionError, match=r"second\.bias .*not finite in float32"):
        convert_files({"appearance": tmp_path / "large.pth"})


@pytest.mark.parametrize(
    ("value", "word"), [(0, "above 0"), (-1, "above 0"), (math.nan, "finite")]
)
def test_deviations_that_normalise_nothing_are_refused(
    transformer_file, published, tmp_path, value, word
):
    tensors = load_file(transformer_file)
    tensors["latent_std"][..., 3] = value
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ConversionError, match=word):
        convert_files({"flow_transformer": tmp_path / "model.safetensors"})
    statistics = torch.load(published / STATISTICS_FILE)
    # The x of the first lip keypoint, 6.
    statistics["std"].view(-1)[18] = value
    torch.save(statistics, tmp_path / "statistic.pt")
    with pytest.raises(
        ConversionError, match=rf"statistic\.pt: the deviation .*{word}"
    ):
        lip_statistics(tmp_path / "statistic.pt")


def test_an_attention_head_wider_than_the_network_is_an_error(
    transformer_file, tmp_path
):
    tensors = load_file(transformer_file)
    # The width of a head is read from this tensor.
    tensors["fused_blocks.0.attn.q_norm.weight"] = torch.ones(1000)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ConversionError, match=r"model\.safetensors"):
        convert_files({"flow_transformer": tmp_path / "model.safetensors"})


@pytest.mark.parametrize("shape", [(), (0,), (5,)])
@pytest.mark.parametrize(
    "key", ["first.conv.weight", "second.weight", "resblocks_3d.3dr0.conv1.weight"]
)
def test_a_tensor_of_another_rank_is_an_error_of_the_file(files, tmp_path, key, shape):
    tensors = torch.load(files["appearance"])
    tensors[key] = torch.ones(shape)
    torch.save(tensors, tmp_path / "bent.pth")
    with pytest.raises(ConversionError, match=r"bent\.pth"):
        convert_files({"appearance": tmp_path / "bent.pth"})
