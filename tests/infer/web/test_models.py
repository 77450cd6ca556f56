"""Models of the page: opened at the start, loaded once, each with its drivers."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from infer.listen import bind
from infer.web.config import Options, PageAddress
from infer.web.models import DEMO, Models
from infer.web.serve import open_server
from jaxportrait import demo
from jaxportrait.checkpoint import CheckpointError, Contents, save_untrained
from jaxportrait.job import Networks
from tests.infer.web.conftest import serve


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkpoint of two flow drivers, of which one is guided less."""
    tiny = Contents.tiny()
    (driver,) = tiny.drivers.values()
    calm = replace(driver, config=replace(driver.config, cfg_scale=2.0))
    path = tmp_path_factory.mktemp("drivers") / "two"
    drivers = {"lively": driver, "calm": calm}
    save_untrained(path, replace(tiny, drivers=drivers))
    return path


@pytest.fixture(scope="module")
def models(folder) -> Models:
    return Models.open([folder], Networks(detector="none"))


def test_the_chooser_has_named_folders_and_the_demo(models):
    assert models.names == ["two", DEMO]
    assert models.find(DEMO).networks.checkpoint == demo.CHECKPOINT
    with pytest.raises(ValueError, match="there is no model 'other': choose one of"):
        models.find("other")


def test_folders_of_one_name_are_told_apart(tiny_checkpoint):
    # One folder may be named twice as well.
    twice = Models.open([tiny_checkpoint, tiny_checkpoint], Networks())
    assert twice.names == ["tiny", "tiny 2", DEMO]


def test_networks_are_loaded_once_and_shared_by_drivers(models):
    lively = models.networks("two", "lively").load()
    assert models.networks("two", "lively").load() is lively
    calm = models.networks("two", "calm").load()
    assert calm.renderer is lively.renderer
    assert (lively.driver.guidance, calm.driver.guidance) == (4.5, 2.0)
    # Edits and driving videos need none.
    silent = models.networks("two", "auto").load(uses_driver=False)
    assert silent.renderer is lively.renderer
    assert silent.driver is None


def test_the_page_offers_models_and_drivers(folder):
    options = Options(checkpoint=(folder,), address=PageAddress(port=0))
    for page in serve(options):
        blocks = httpx.get(f"{page.address}/config").json()["components"]
        choosers = {block["props"].get("elem_id"): block["props"] for block in blocks}
        model = choosers["model"]
        assert [name for name, _ in model["choices"]] == ["two", DEMO]
        assert model["value"] == "two"
        driver = choosers["driver"]
        assert [name for name, _ in driver["choices"]] == ["lively", "calm"]
        assert driver["visible"] is True


def test_a_folder_that_is_no_checkpoint_stops_the_start(tmp_path):
    with pytest.raises(CheckpointError, match="nothing here"):
        Models.open([tmp_path / "nothing here"], Networks())


def test_a_port_in_use_is_named(tmp_path):
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"{port} cannot be listened at .*--port"):
            open_server(Options(address=PageAddress(port=port)))


def test_the_page_is_for_this_machine_unless_told():
    assert Options().address.host == "127.0.0.1"
