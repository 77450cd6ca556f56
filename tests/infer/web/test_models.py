"""Models of the page: opened at the start, loaded once, each with its drivers."""

import httpx
import pytest

from infer.web.config import Address, Options
from infer.web.listen import listen
from infer.web.models import DEMO, Models
from infer.web.serve import open_server
from jaxportrait import demo
from jaxportrait.checkpoint import CheckpointError
from jaxportrait.job import Networks
from tests.infer.web.conftest import serve


@pytest.fixture(scope="module")
def models(tiny_checkpoint) -> Models:
    return Models.open([tiny_checkpoint], Networks(detector="none"))


def test_the_chooser_has_named_folders_and_the_demo(models, tiny_checkpoint):
    assert models.names == [tiny_checkpoint.name, DEMO]
    assert models.find(DEMO).networks.checkpoint == demo.CHECKPOINT
    with pytest.raises(ValueError, match="there is no model 'other': choose one of"):
        models.find("other")


def test_folders_of_one_name_are_told_apart(tiny_checkpoint):
    twice = Models.open([tiny_checkpoint, tiny_checkpoint], Networks())
    assert twice.names == ["tiny", "tiny 2", DEMO]


def test_networks_are_loaded_once_and_shared_by_drivers(models):
    with_driver = models.networks("tiny", "flow").load()
    assert models.networks("tiny", "flow").load() is with_driver
    silent = models.networks("tiny", "auto").load(uses_driver=False)
    assert silent.renderer is with_driver.renderer
    assert silent.driver is None
    assert with_driver.driver is not None


def test_the_page_offers_models_and_drivers(tiny_checkpoint):
    options = Options(checkpoint=(tiny_checkpoint,), address=Address(port=0))
    for page in serve(options):
        blocks = httpx.get(f"{page.address}/config").json()["components"]
        choosers = {block["props"].get("elem_id"): block["props"] for block in blocks}
        model = choosers["model"]
        assert [name for name, _ in model["choices"]] == ["tiny", DEMO]
        assert model["value"] == "tiny"
        # One driver is no choice.
        assert choosers["driver"]["visible"] is False


def test_a_folder_that_is_no_checkpoint_stops_the_start(tmp_path):
    with pytest.raises(CheckpointError, match="nothing here"):
        Models.open([tmp_path / "nothing here"], Networks())


def test_a_port_in_use_is_named(tmp_path):
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"{port} cannot be listened at .*--port"):
            open_server(Options(address=Address(port=port)))


def test_the_page_is_for_this_machine_unless_told():
    assert Options().address.host == "127.0.0.1"
