"""Memory that an update needs, and the line that says so."""

import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from tests.train.runs import MOST_SECONDS, free_address
from train.engine.cards import find_card
from train.engine.config import ConfigError, StageConfig
from train.engine.memory import MemoryNeed, describe_memory, savings, scarcest
from train.flow.config import FlowConfig
from train.renderer.config import RendererConfig

GIB = 2**30
NEED = MemoryNeed(2 * GIB, 5 * GIB)
TEXT = r"7\.0 GiB \(2\.0 GiB of state and batch, 5\.0 GiB in between\)"


def test_a_program_needs_its_arguments_and_what_lies_between():
    count = 1024

    def work(x):
        # An outer product, which is reduced again.
        return x + jnp.sin(jnp.outer(x, x) @ jnp.outer(x, x)).sum(axis=0)

    x = jnp.ones(count)
    donated = jax.jit(work, donate_argnums=0).lower(x).compile()
    need = MemoryNeed.of(donated)
    assert need is not None
    # The result takes the argument's place.
    assert need.state == x.nbytes
    assert need.temporary >= count * x.nbytes
    separate = MemoryNeed.of(jax.jit(work).lower(x).compile())
    assert separate is not None
    assert separate.state == 2 * x.nbytes


def test_a_line_states_what_an_update_needs_of_a_device():
    assert "needs 7.0 GiB" in describe_memory(NEED, None, StageConfig())
    assert str(MemoryNeed(3 * 2**20, 0)).startswith("3 MiB")
    line = describe_memory(NEED, 8 * GIB, StageConfig())
    assert line.endswith("of a device's 8.0 GiB")


def test_an_update_that_cannot_fit_is_refused_with_the_options_that_help():
    config = RendererConfig(remat="none")
    with pytest.raises(
        ConfigError, match=rf"needs {TEXT} a device, which lets a program have 6\.0"
    ):
        describe_memory(NEED, 6 * GIB, config)
    assert savings(config).startswith("--remat blocks, or a larger --accumulation, ")
    # What is in use already is no advice.
    saving = replace(config, remat="blocks", dtype="bfloat16")
    assert savings(saving).startswith("a larger --accumulation, or a smaller")
    assert "remat" not in savings(FlowConfig())
    assert "accumulation" not in savings(StageConfig())


def test_a_process_by_itself_compares_its_own_device():
    assert scarcest(NEED, 6 * GIB) == (NEED, 6 * GIB)
    assert scarcest(NEED, None) == (NEED, None)


def test_processes_end_together_and_one_of_them_says_why():
    words = [sys.executable, "-m", "tests.train.engine.unequal", free_address()]
    pair = [
        subprocess.Popen([*words, process], stderr=subprocess.PIPE, text=True)
        for process in ("0", "1")
    ]
    errors = [process.communicate(timeout=MOST_SECONDS)[1] for process in pair]
    assert [process.returncode for process in pair] == [2, 2], errors
    # The first one has enough, and reports the device of the second.
    assert "error: an update needs 7.0 GiB" in errors[0]
    assert "which lets a program have 6.0 GiB: choose" in errors[0]
    assert "error:" not in errors[1]


def test_a_card_has_a_peak_for_each_precision_and_a_cpu_none():
    card = find_card("NVIDIA H100 80GB HBM3")
    assert card is not None
    assert (card.peak("bfloat16"), card.peak("float32")) == (989e12, 495e12)
    assert find_card(jax.devices("cpu")[0].device_kind) is None
