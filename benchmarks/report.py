"""Reports of benchmarks: the hardware, the versions, and medians over runs."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from benchmarks.neighbour import Prepared, Timing, timed


def machine() -> dict[str, Any]:
    """Return the hardware and the versions that figures belong to."""
    devices = jax.devices()
    return {
        "device": devices[0].device_kind,
        "devices": len(devices),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "allocator": _allocator(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("jax", "flax", "numpy")},
    }


def alternate(
    runs: Mapping[str, Callable[[], Any] | Prepared], repeats: int
) -> dict[str, dict[str, Any]]:
    """Time several programs in turn, so that a machine's moods meet all of them.

    Returns:
      Program -> seconds of the first call (`first`), and of the later ones their
      `median`, the `least` and all `times`; `cpu` is the median of processor time.
    """
    # The first call may compile or allocate, so it is kept apart.
    first = {name: _time(run) for name, run in runs.items()}
    later: dict[str, list[Timing]] = {name: [] for name in runs}
    # In turn within each repeat, not one program after the other.
    for _ in range(repeats):
        for name, run in runs.items():
            later[name].append(_time(run))
    return {name: _summarise(first[name], timings) for name, timings in later.items()}


def _summarise(first: Timing, later: Sequence[Timing]) -> dict[str, Any]:
    times = [timing.seconds for timing in later]
    return {
        "first": first.seconds,
        "median": statistics.median(times),
        "least": min(times),
        "times": times,
        "cpu": statistics.median(timing.cpu for timing in later),
    }


def paired_ratio(ours: Mapping[str, Any], rival: Mapping[str, Any]) -> float:
    """Return the median of the ratios of neighbouring calls of `alternate`.

    A machine's moods hardly touch it.
    """
    # Calls of one repeat ran under the same load.
    pairs = zip(ours["times"], rival["times"], strict=True)
    return statistics.median(our_time / time for our_time, time in pairs)


def publish(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    data: Any,
    path: Path | None,
) -> None:
    """Print a table, and write the figures with the machine that gave them."""
    # A figure means nothing without its machine.
    hardware = machine()
    caption = ", ".join(f"{name} {value}" for name, value in hardware.items())
    table = Table(*columns, title=title, caption=caption)
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    if path is not None:
        content = json.dumps({"machine": hardware, "figures": data}, indent=1)
        path.write_text(content + "\n", encoding="utf-8")


def _time(run: Callable[[], Any] | Prepared) -> Timing:
    return run.time() if isinstance(run, Prepared) else timed(run)


def _allocator() -> str:
    """Return the settings of the allocator of host memory.

    Its page faults are a good part of a frame's time on a CPU.
    """
    settings = []
    for name in ("LD_PRELOAD", "GLIBC_TUNABLES"):
        if os.environ.get(name):
            settings.append(f"{name}={os.environ[name]}")
    return " ".join(settings) or "default"


def _processor() -> str:
    """Return the processor's name."""
    # On Linux, `platform` does not know it.
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
