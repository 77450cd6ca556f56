"""JoyVASA's files: converted strictly, whatever their spelling, and never executed."""

import os
import pickle
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from convert_weights.bundle import JOYVASA, convert_files, write
from convert_weights.convert import ConversionError
from convert_weights.joyvasa.files import JoyVASAFiles, read_template
from convert_weights.joyvasa.recipe import write_joyvasa
from convert_weights.tensors import read_tensors
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.motion.space import EXPRESSION, MOTION_SPACES, SCALE


@pytest.fixture
def change(model_files, tmp_path) -> Callable[..., JoyVASAFiles]:
    """Write a model of which a function has changed the tensors."""

    def change(alter: Callable[[dict], object]) -> JoyVASAFiles:
        content = torch.load(model_files.model, weights_only=False)
        alter(content["model"])
        torch.save(content, tmp_path / "changed.pt")
        return replace(model_files, model=tmp_path / "changed.pt")

    return change


def test_the_recipe_draws_the_published_tensors(joyvasa):
    """Digests of the recipe's page."""
    full = "joyvasa/full"
    digests = {
        "audio_feature_map.weight": "9ed579c61a4552fa",
        "denoising_net.transformer.layers.3.self_attn.in_proj_bias": "c68af1eae4ffd0d8",
        "audio_encoder.encoder.pos_conv_embed.conv.weight_g": "68fdb6eebe1e461a",
    }
    for key, digest in digests.items():
        shape = tuple(joyvasa.components[full]["tensors"][key])
        values = joyvasa._draw(full, key, shape)
        assert sha256(values.tobytes()).hexdigest()[:16] == digest


def test_one_model_gives_an_encoder_a_denoiser_and_a_driver(
    converted_joyvasa, joyvasa, tmp_path
):
    write(converted_joyvasa, tmp_path / "checkpoint")
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    assert list(checkpoint.parts) == ["hubert", "motion_diffusion"]
    assert list(checkpoint.drivers) == [JOYVASA]
    driver = checkpoint.driver()
    assert driver.kind == "diffusion"
    assert driver.config.fps == 25
    # No crop was read by these networks.
    assert checkpoint.crop.detector is None
    config = checkpoint.sizes("motion_diffusion")
    sizes = joyvasa.config("small")
    assert config.motion_width == sizes["motion_feat_dim"]
    assert config.motion_frames == sizes["n_motions"]
    assert config.earlier_frames == sizes["n_prev_motions"]
    assert config.steps == sizes["n_diff_steps"]
    assert config.blocks == sizes["n_layers"]
    assert config.positions == "constant"
    encoder = checkpoint.sizes("hubert")
    assert encoder.context == 2 * sizes["n_motions"]
    assert (encoder.layers, encoder.position_taps, encoder.position_groups) == (
        2,
        16,
        4,
    )


def test_options_of_the_file_are_not_believed(converted_joyvasa):
    """The recipe's options say 6 blocks, as the published ones do."""
    assert converted_joyvasa.configs["motion_diffusion"].blocks == 2


def test_the_template_is_the_statistics_of_the_driver(converted_joyvasa, joyvasa):
    template = joyvasa.template()
    statistics = converted_joyvasa.drivers[JOYVASA].statistics
    columns = np.array(MOTION_SPACES["joyvasa"].columns)
    is_expression = columns < EXPRESSION.stop
    np.testing.assert_array_equal(statistics.mean[is_expression], template["mean_exp"])
    np.testing.assert_array_equal(statistics.std[is_expression], template["std_exp"])
    scale = columns == SCALE.start
    np.testing.assert_array_equal(statistics.mean[scale], template["min_scale"])
    span = template["max_scale"] - template["min_scale"]
    np.testing.assert_array_equal(statistics.std[scale], span)


def test_what_has_no_influence_is_left_behind_by_name(converted_joyvasa):
    encoder = set(converted_joyvasa.ignored["hubert"])
    assert encoder == {
        "masked_spec_embed",
        "encoder.layers.0.attention.k_proj.bias",
        "encoder.layers.1.attention.k_proj.bias",
    }
    denoiser = converted_joyvasa.ignored["motion_diffusion"]
    queries = [key for key in denoiser if ".multihead_attn.query." in key]
    keys = [key for key in denoiser if ".multihead_attn.key." in key]
    assert len(queries) == len(keys) == 2 * 2
    tables = {key for key in denoiser if "multihead_attn" not in key}
    assert {key.split(".")[0] for key in tables} == {"denoising_net", "diffusion_sched"}
    assert len(tables) == 8


def test_both_spellings_of_weight_norm_give_one_kernel(
    joyvasa, converted_joyvasa, tmp_path
):
    files = write_joyvasa(joyvasa, "small", tmp_path, spelling="new")
    names = torch.load(files.model, weights_only=False)["model"]
    assert any("parametrizations.weight.original1" in key for key in names)
    new = convert_files({}, joyvasa=files).params["hubert"]
    for path, leaf in converted_joyvasa.params["hubert"].items():
        np.testing.assert_array_equal(new[path], leaf)


def test_every_tap_has_its_stored_length(converted_joyvasa, joyvasa):
    kernel = converted_joyvasa.params["hubert"]["positions.kernel"]
    key = "audio_encoder.encoder.pos_conv_embed.conv.weight_g"
    lengths = joyvasa._draw("joyvasa/small", key, (1, 1, 16)).ravel()
    norms = np.sqrt(np.square(kernel).sum(axis=(1, 2)))
    np.testing.assert_allclose(norms, np.abs(lengths), rtol=1e-6)


def test_a_driver_may_stand_beside_a_flow_transformer(
    files, model_files, published, tmp_path
):
    parts = {name: files[name] for name in ("whisper", "flow_transformer")}
    both = convert_files(parts, joyvasa=model_files)
    write(both, tmp_path / "checkpoint")
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    assert list(checkpoint.drivers) == ["flow", JOYVASA]
    assert checkpoint.driver("flow").statistics is not None


def remove(*names: str) -> Callable[[dict], object]:
    return lambda tensors: [tensors.pop(name) for name in names]


def add_to(name: str, amount: float) -> Callable[[dict], None]:
    def add(tensors: dict) -> None:
        tensors[name] = tensors[name] + amount

    return add


CONV = "audio_encoder.encoder.pos_conv_embed.conv"


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (
            remove("denoising_net.motion_dec.2.bias"),
            r"motion_out\.bias \(70,\) is filled by no tensor",
        ),
        (
            lambda tensors: tensors.update(stranger=torch.ones(3)),
            r"stranger \(3,\) is matched by no row",
        ),
        (
            remove("audio_encoder.encoder.layers.1.layer_norm.weight"),
            r"blocks\.1\.attention_norm\.scale \(48,\) is filled by no tensor",
        ),
        (remove(f"{CONV}.weight_g"), "only one of weight_g and weight_v"),
        (remove("start_motion_feat"), "no tensor start_motion_feat"),
        (
            add_to("diffusion_sched.betas", 1e-3),
            "betas is another table than the published one",
        ),
        (
            add_to("denoising_net.PE.pe", 1e-3),
            r"PE\.pe is another table than the published one",
        ),
        (
            lambda tensors: tensors["denoising_net.alignment_mask"].fill_(False),
            "hear other frames of audio than its own",
        ),
        (
            lambda tensors: tensors["null_audio_feat"].fill_(float("nan")),
            "null_audio_feat holds values that are not finite",
        ),
        (
            lambda tensors: [
                tensors.pop(name) for name in list(tensors) if "audio_encoder" in name
            ],
            r"has no tensor audio_encoder\.\*",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_name(change, alter, message):
    with pytest.raises(ConversionError, match=message):
        convert_files({}, joyvasa=change(alter))


class RunsCode:
    """A pickle that makes a folder when it is opened."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_model_that_runs_code_is_refused(model_files, tmp_path):
    """Also within the options, which no check of tensors would see."""
    marker = tmp_path / "it-ran"
    content = torch.load(model_files.model, weights_only=False)
    content["args"] = Namespace(data_root=RunsCode(marker))
    torch.save(content, tmp_path / "evil.pt")
    files = replace(model_files, model=tmp_path / "evil.pt")
    with pytest.raises(ConversionError, match=r"evil\.pt is refused"):
        convert_files({}, joyvasa=files)
    assert not marker.exists()


def test_options_make_no_objects_of_theirs(model_files):
    """The namespace and the path of a published file are inert."""
    options = read_tensors(model_files.model, with_options=True)["args"]
    assert not isinstance(options, Namespace)
    assert vars(options) == {}
    # Other files have no such options.
    with pytest.raises(ConversionError, match="is refused"):
        read_tensors(model_files.model)


def test_a_template_that_runs_code_is_refused(joyvasa, model_files, tmp_path):
    marker = tmp_path / "it-ran"
    template = {**joyvasa.template(), "mean_exp": RunsCode(marker)}
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(template))
    with pytest.raises(
        ConversionError, match=r"evil\.pkl is refused: it names .*mkdir"
    ):
        convert_files({}, joyvasa=replace(model_files, template=path))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda template: template.pop("min_yaw"), "no motion template of JoyVASA"),
        (lambda template: template.update(more=1), "no motion template of JoyVASA"),
        (
            lambda template: template.update(mean_exp=np.ones(62, np.float32)),
            r"mean_exp is \(62,\) of float32: it must be 63 floats",
        ),
        (
            lambda template: template.update(std_exp=np.ones(63, np.int64)),
            r"std_exp is \(63,\) of int64: it must be 63 floats",
        ),
    ],
)
def test_another_pickle_is_no_template(joyvasa, tmp_path, alter, message):
    template = joyvasa.template()
    alter(template)
    path = tmp_path / "template.pkl"
    path.write_bytes(pickle.dumps(template))
    with pytest.raises(ConversionError, match=message):
        read_template(path)


def test_a_template_without_a_range_is_refused(joyvasa, model_files, tmp_path):
    template = joyvasa.template()
    template["max_yaw"] = template["min_yaw"]
    path = tmp_path / "template.pkl"
    path.write_bytes(pickle.dumps(template))
    with pytest.raises(ConversionError, match=r"must be above 0"):
        convert_files({}, joyvasa=replace(model_files, template=path))


def test_a_template_of_an_old_numpy_is_read(joyvasa, tmp_path):
    """Before NumPy 2, its module of arrays was `numpy.core`."""
    data = pickle.dumps(joyvasa.template(), protocol=2)
    data = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path = tmp_path / "old.pkl"
    path.write_bytes(data)
    assert read_template(path).mean.shape == (70,)


def test_missing_files_are_named(model_files, tmp_path):
    for field in ("model", "template"):
        files = replace(model_files, **{field: tmp_path / "absent"})
        with pytest.raises(ConversionError, match=r"no file .*absent"):
            convert_files({}, joyvasa=files)
