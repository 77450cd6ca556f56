"""A setting of the C library's memory allocator for programs that compute on a CPU."""

import ctypes
import os

# glibc's numbers of these options, from <malloc.h>
ARENA_MAX = -8
MMAP_MAX = -4
TRIM_THRESHOLD = -1
NEVER = -1
OPTIONS = {ARENA_MAX: 1, MMAP_MAX: 0, TRIM_THRESHOLD: NEVER}


def keep_freed_memory() -> bool:
    """Let glibc keep what this process frees; return whether it will.

    XLA's CPU programs allocate their temporary memory again in every call. By default
    glibc maps such large blocks and unmaps them again, and each call pays for the
    faults of all their pages: a tenth of the time of a frame. With one arena for all
    threads, no mapping of single blocks and no trimming, a call finds the memory of the
    one before. From JAX 0.11 on XLA keeps its own memory; large blocks of other code
    still gain.

    Only for programs, before they use JAX: the setting holds for the whole process,
    whose memory then never shrinks. Where the environment sets glibc's allocator
    (`GLIBC_TUNABLES`, `MALLOC_...`), it stays as it is; other C libraries have no such
    setting.
    """
    if _is_set_by_user():
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError, OSError):  # macOS; Windows; musl
        return False
    return all(set_option(option, value) for option, value in OPTIONS.items())


def _is_set_by_user() -> bool:
    if "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return True
    return any(name.startswith("MALLOC_") for name in os.environ)
