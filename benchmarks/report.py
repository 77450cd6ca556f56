"""What every benchmark says: the hardware, the versions, and medians over runs."""

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
    """Where the figures come from."""
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
    """First call, and the later ones with their median, the contestants in turn: a
    machine's moods meet all of them."""
    first = {name: _time(run) for name, run in runs.items()}
    later: dict[str, list[Timing]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            later[name].append(_time(run))
    return {
        name: {
            "first": first[name].seconds,
            "median": statistics.median(each.seconds for each in timings),
            "least": min(each.seconds for each in timings),
            "times": [each.seconds for each in timings],
            "cpu": statistics.median(each.cpu for each in timings),
        }
        for name, timings in later.items()
    }


def paired_ratio(ours: Mapping[str, Any], rival: Mapping[str, Any]) -> float:
    """The median of the ratios of neighbouring calls of `alternate`, which a machine's
    moods hardly touch."""
    return statistics.median(
        a / b for a, b in zip(ours["times"], rival["times"], strict=True)
    )


def publish(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    data: Any,
    path: Path | None,
) -> None:
    """Print a table, and write the figures with the machine that gave them."""
    where = machine()
    table = Table(
        *columns,
        title=title,
        caption=", ".join(f"{name} {value}" for name, value in where.items()),
    )
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    if path is not None:
        path.write_text(
            json.dumps({"machine": where, "figures": data}, indent=1) + "\n",
            encoding="utf-8",
        )


def _time(run: Callable[[], Any] | Prepared) -> Timing:
    return run.time() if isinstance(run, Prepared) else timed(run)


def _allocator() -> str:
    """What is set of the allocator of host memory, whose page faults are a good part of
    a frame's time on a CPU."""
    settings = [
        f"{name}={os.environ[name]}"
        for name in ("LD_PRELOAD", "GLIBC_TUNABLES")
        if os.environ.get(name)
    ]
    return " ".join(settings) or "default"


def _processor() -> str:
    """The processor's name, which `platform` does not know on Linux."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [
        line.partition(":")[2].strip()
        for line in lines
        if line.startswith(("model name", "Model"))
    ]
    return names[0] if names else platform.processor() or platform.machine()
