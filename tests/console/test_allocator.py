"""The memory of a process that computes again and again."""

import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from jaxportrait.console.allocator import keep_freed_memory

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
SMALL_PAGES = (
    "[always]" not in (HUGE_PAGES.read_text() if HUGE_PAGES.exists() else "")
    and mmap.PAGESIZE == 4096
)
FAULTS = """
import resource
import sys

from jaxportrait.console.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

import jax
import jax.numpy as jnp

side = 1024
multiply = jax.jit(lambda x: ((x @ x) @ (x * 2)).sum(axis=0))
x = jnp.ones((side, side), jnp.float32)
for call in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    multiply(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_call_finds_the_memory_of_the_one_before():
    faults = {}
    for mode in ("keep", "leave"):
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, mode],
            env={
                name: value
                for name, value in os.environ.items()
                if "MALLOC" not in name and name != "GLIBC_TUNABLES"
            }
            | {"JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            check=True,
        )
        faults[mode] = int(done.stdout)
    assert faults["keep"] < 200
    if SMALL_PAGES:
        assert faults["leave"] > 2000, "two temporaries of 4 MB at least"


def test_a_users_own_setting_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    assert not keep_freed_memory()
    monkeypatch.delenv("GLIBC_TUNABLES")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not keep_freed_memory()
