"""JoyVASA's small model by the recipe, written and converted once."""

import pytest

from convert_weights.bundle import Converted, convert_files
from convert_weights.joyvasa.files import JoyVASAFiles
from convert_weights.joyvasa.recipe import JoyVASARecipe, write_joyvasa


@pytest.fixture(scope="session")
def joyvasa(golden) -> JoyVASARecipe:
    return JoyVASARecipe(golden / "joyvasa")


@pytest.fixture(scope="session")
def model_files(joyvasa, tmp_path_factory) -> JoyVASAFiles:
    """The two files of the small size."""
    return write_joyvasa(joyvasa, "small", tmp_path_factory.mktemp("joyvasa"))


@pytest.fixture(scope="session")
def converted_joyvasa(model_files) -> Converted:
    return convert_files({}, joyvasa=model_files)
