"""Parts of checkpoints that a run starts from."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from jaxportrait.checkpoint import DRIVER, Checkpoint, DriverEntry
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.drivers.flow import FlowDriverConfig
from train.diffusion.step import DIFFUSION
from train.engine.initial import driver_guidance


@pytest.mark.parametrize(
    ("name", "kind"), [(DRIVER, FlowDriverConfig), (DIFFUSION, DiffusionDriverConfig)]
)
def test_motion_is_sampled_with_the_guidance_that_an_export_keeps(name, kind):
    guided = replace(kind(features="whisper", space="lip"), cfg_scale=1.25)

    def of(**drivers: DriverEntry) -> float:
        checkpoint = cast(Checkpoint, SimpleNamespace(drivers=drivers))
        return driver_guidance(checkpoint, name, kind)

    assert of(**{name: DriverEntry(guided)}) == 1.25
    # a driver of another name is not replaced
    assert of(other=DriverEntry(guided)) == kind.cfg_scale
    assert of() == kind.cfg_scale
