"""The memory of a process that computes again and again."""

import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from jaxportrait.allocator import keep_freed_memory

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HAS_HUGE_PAGES = HUGE_PAGES.exists() and "[always]" in HUGE_PAGES.read_text()
needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another C library"
)

COUNT_FAULTS = """
import resource
import sys

from jaxportrait.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

{definition}

faults = []
# From JAX 0.11 on, XLA's own pools of memory grow during the first ten calls.
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    call()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults[-4:]))
"""
"""Prints the page faults of a late call of `call()`, the fewest of four."""

# 64 MB lie above the threshold up to which glibc learns to keep blocks, 32 MB.
BLOCK = """
import ctypes
from concurrent.futures import ThreadPoolExecutor

size = 64 * 2**20
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]


def fill_block():
    address = library.malloc(ctypes.c_size_t(size))
    ctypes.memset(address, 1, size)
    library.free(address)


pool = ThreadPoolExecutor(1)


def call():
    pool.submit(fill_block).result()
"""

PROGRAM = """
import jax
import jax.numpy as jnp

multiply = jax.jit(lambda x: ((x @ x) @ (x * 2)).sum(axis=0))
x = jnp.ones((1024, 1024), jnp.float32)


def call():
    multiply(x).block_until_ready()
"""


def count_faults(definition: str, mode: str) -> int:
    """Count page faults of a call that follows others, in a process of its own."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if "MALLOC" not in name and name != "GLIBC_TUNABLES"
    }
    # The setting holds for a whole process.
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS.format(definition=definition), mode],
        env=environment | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@needs_glibc
def test_a_thread_gets_back_the_memory_that_it_has_freed():
    assert count_faults(BLOCK, "keep") < 200


@needs_glibc
@pytest.mark.skipif(HAS_HUGE_PAGES, reason="a huge page is one fault")
def test_without_the_setting_every_call_pays_for_its_pages():
    """The test above could not fail otherwise."""
    assert count_faults(BLOCK, "leave") >= 64 * 2**20 // mmap.PAGESIZE


@needs_glibc
def test_a_compiled_program_gets_back_the_memory_of_its_call_before():
    assert count_faults(PROGRAM, "keep") < 200


def test_a_users_own_setting_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    assert not keep_freed_memory()
    monkeypatch.delenv("GLIBC_TUNABLES")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not keep_freed_memory()
