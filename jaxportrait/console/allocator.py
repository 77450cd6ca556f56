"""How this process's C library hands out memory: a setting for programs that compute on
a CPU."""

import ctypes
import os

ARENA_MAX, MMAP_MAX, TRIM_THRESHOLD = -8, -4, -1  # glibc's numbers, of <malloc.h>
NEVER = -1


def keep_freed_memory() -> bool:
    """Let glibc keep what this process frees; whether it will.

    XLA's CPU programs allocate their temporary memory anew in every call. As glibc
    comes, it maps such large blocks and unmaps them again, and each call pays for the
    faults of all their pages: a tenth of the time of a frame. With one arena for all
    threads, no mapping of single blocks and no trimming, a call finds the memory of the
    one before.

    For programs, before they use JAX, since it holds for the whole process, whose
    memory then never shrinks. Where the environment sets glibc's allocator
    (`GLIBC_TUNABLES`, `MALLOC_...`) that stays as it is; other C libraries have nothing
    to set.
    """
    if "malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(
        name.startswith("MALLOC_") for name in os.environ
    ):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError, OSError):  # macOS; Windows; musl
        return False
    return all(
        set_option(option, value)
        for option, value in ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, NEVER))
    )
