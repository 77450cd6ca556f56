"""Ditto's option sets: keypoints, blinks and fading against golden figures."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from convert_weights.ditto.cases import read_cases
from convert_weights.ditto.recipe import DittoRecipe
from convert_weights.ditto.verify import verify_keypoints
from convert_weights.parity import compare
from tests.convert_weights.ditto.defects import drive_defect

DEFECTS = ("alphas", "deltas_alphas", "vad", "vad_blink")


@pytest.fixture(scope="module")
def recipe(golden) -> DittoRecipe:
    return DittoRecipe(golden / "ditto")


def test_every_option_set_without_a_defect_is_golden(recipe):
    rows = verify_keypoints(recipe)
    assert [row.name for row in rows if not row.passed] == []
    # 28 of 32 sets, two sources, six rows of blinks, four fades, and degrees.
    assert len(rows) == 28 + 2 + 6 + 4 + 1


def test_keypoints_of_another_seed_fail(recipe, tmp_path):
    folder = tmp_path / "seed1"
    shutil.copytree(recipe.folder, folder)
    manifest = recipe.manifest | {"seed": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    rows = verify_keypoints(DittoRecipe(folder))
    # Tables are the same for every seed.
    passed = {row.name for row in rows if row.passed}
    assert passed == {
        *(f"blinks/{i}" for i in range(6)),
        *(f"fades/{i}" for i in range(4)),
    }


@pytest.mark.parametrize("name", DEFECTS)
def test_sets_that_only_a_defect_explains_equal_the_reference(recipe, name):
    case = read_cases(recipe)[name]
    assert case.shows_defect
    figures = dict(np.load(recipe.folder / "keypoints.npz"))
    row = compare(figures, f"{name}/x_d", drive_defect(recipe, case), 1e-5)
    assert row.passed, row.error
    # Without the defect's options, the values are others.
    plain = replace(case, frame={}, setup={})
    row = compare(figures, f"{name}/x_d", drive_defect(recipe, plain), 1e-5)
    assert not row.passed


def test_the_other_sets_show_no_defect(recipe):
    cases = read_cases(recipe)
    assert len(cases) == 32
    assert {name for name, case in cases.items() if case.shows_defect} == set(DEFECTS)
