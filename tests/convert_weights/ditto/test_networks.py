"""The LMDM's published file: every layer against golden figures, and files that do not
fit."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from convert_weights.bundle import convert_files
from convert_weights.convert import ConversionError
from convert_weights.ditto.recipe import DittoRecipe, write_lmdm
from convert_weights.ditto.verify import (
    verify_conditions,
    verify_networks,
    verify_schedule,
    verify_sound,
)
from convert_weights.networks import KEY_MAPS
from convert_weights.networks.base import TensorShapes
from jaxportrait.checkpoint import leaf_shapes
from jaxportrait.models.lmdm import LMDMConfig
from jaxportrait.models.parts import abstract

OFFLINE = ("offline", "offline_k5")
LIVE = ("online", "online_late")


@pytest.fixture
def recipe(golden) -> DittoRecipe:
    return DittoRecipe(golden / "ditto")


@pytest.mark.parametrize(("size", "figures"), [("small", 89), ("full", 58)])
def test_every_layer_is_within_its_bound(recipe, size, figures):
    rows = verify_networks(recipe, size)
    assert [row.name for row in rows if not row.passed] == []
    assert len(rows) == figures


def test_another_seed_is_another_network_and_fails(recipe, tmp_path):
    folder = tmp_path / "seed1"
    shutil.copytree(recipe.folder, folder)
    manifest = recipe.manifest | {"seed": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    rows = verify_networks(DittoRecipe(folder), "small")
    # Counts and sines depend on no weights.
    assert {row.name for row in rows if row.passed} == {
        "small/given/sinusoid",
        *(f"small/{case}/emitted_after" for case in OFFLINE + LIVE),
    }


def test_the_published_file_has_the_full_preset(recipe):
    assert recipe.config("full") == LMDMConfig.full()
    tensors = recipe.component("full")["tensors"]
    shapes = {key: tuple(shape) for key, shape in tensors.items()}
    # The heads come from the key map.
    assert KEY_MAPS["lmdm"].size(TensorShapes(shapes, "a"), {}).heads == 8
    # All but the eleven tables, which are computed.
    published = {key: math.prod(shapes[key]) for key in shapes if "freqs" not in key}
    leaves = leaf_shapes(abstract(LMDMConfig.full())).values()
    assert sum(leaf.size for leaf in leaves) == sum(published.values()) == 47_788_297
    assert len(shapes) - len(published) == 11


def test_the_report_has_every_known_figure(recipe):
    rows = verify_schedule(recipe) + verify_sound(recipe) + verify_conditions(recipe)
    assert [row.name for row in rows if not row.passed] == []
    # Tables; features and counts; overlaps and dependencies; conditions.
    assert len(rows) == 23 + 15 + 7 + 17


def change(path, edit) -> None:
    content = torch.load(path, weights_only=True)
    edit(content["model_state_dict"])
    torch.save(content, path)


def test_the_tables_are_compared_and_left_behind(recipe, tmp_path):
    converted = convert_files({"lmdm": write_lmdm(recipe, "small", tmp_path)})
    ignored = converted.ignored["lmdm"]
    assert len(ignored) == 5
    assert set(ignored.values()) == {
        "a table that the network computes, found the same"
    }


def test_another_rotary_table_is_refused(recipe, tmp_path):
    file = write_lmdm(recipe, "small", tmp_path)
    change(file, lambda state: state["cond_encoder.1.rotary.freqs"].mul_(1.001))
    with pytest.raises(ConversionError, match=r"cond_encoder\.1\.rotary\.freqs"):
        convert_files({"lmdm": file})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda state: state.pop("norm_cond.bias"), r"memory_norm\.bias .* no tensor"),
        (lambda state: state.update(extra=torch.zeros(2)), "extra .* no row"),
        (
            lambda state: state.update({"null_cond_hidden": torch.zeros(1, 31)}),
            "null_cond_hidden",
        ),
        (lambda state: state.pop("null_cond_embed"), "another network's file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(recipe, tmp_path, edit, message):
    file = write_lmdm(recipe, "small", tmp_path)
    change(file, edit)
    with pytest.raises(ConversionError, match=message):
        convert_files({"lmdm": file})


def test_a_file_without_its_entry_is_refused(recipe, tmp_path):
    file = write_lmdm(recipe, "small", tmp_path)
    torch.save({"weights": {"a": torch.zeros(1)}}, file)
    with pytest.raises(ConversionError, match="no entry model_state_dict"):
        convert_files({"lmdm": file})


def test_the_recipe_draws_the_stated_tensors(recipe):
    bias = recipe.state_dict("ditto/small")["time_mlp.1.bias"]
    assert bias.dtype == np.float32
    assert abs(bias.std() - 0.1) < 0.02
