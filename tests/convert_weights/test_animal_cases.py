"""The golden option cases of LivePortrait's pipeline for animals."""

import pytest

from convert_weights import animal_cases
from convert_weights.animal_cases import verify_animals
from convert_weights.motion_cases import MOTION_BOUND
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.ranges import OptionError


def test_every_case_is_within_its_bound(golden):
    rows = verify_animals(golden)
    assert len(rows) == 6
    assert {row.name for row in rows if not row.passed} == set()
    assert {row.bound for row in rows} == {MOTION_BOUND}


def test_the_composition_of_people_fails(golden, monkeypatch):
    def as_people(composition, **options):
        return Retargeting(composition="source", **options)

    monkeypatch.setattr(animal_cases, "Retargeting", as_people)
    assert not any(row.passed for row in verify_animals(golden))


def test_a_folder_without_figures_of_animals_has_no_cases(tmp_path):
    assert verify_animals(tmp_path) == []


@pytest.mark.parametrize(
    "options",
    [{"region": "lips"}, {"relative_motion": False}, {"eye_retargeting": True}],
)
def test_options_that_animals_do_not_have_are_refused(options):
    (name,) = options
    with pytest.raises(OptionError, match=f"by one rule: leave out {name}"):
        Retargeting(composition="animal", **options)
