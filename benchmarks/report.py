"""What every benchmark says: the hardware, the versions, and medians over runs."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    devices = jax.devices()
    return {
        "device": devices[0].device_kind,
        "devices": len(devices),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("jax", "flax", "numpy")},
    }


def seconds(run: Callable[[], Any]) -> float:
    """How long one call takes, what it dispatched included."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def alternate(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """First call and median of later ones, the contestants in turn: the machine's moods meet all of them."""
    first = {name: seconds(run) for name, run in runs.items()}
    later: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            later[name].append(seconds(run))
    return {
        name: {"first": first[name], "median": statistics.median(later[name]), "least": min(later[name])}
        for name in runs
    }


def publish(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], data: Any, path: Path | None) -> None:
    """Print a table, and write the figures with the machine that gave them."""
    where = machine()
    table = Table(*columns, title=title, caption=", ".join(f"{name} {value}" for name, value in where.items()))
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    if path is not None:
        path.write_text(json.dumps({"machine": where, "figures": data}, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    """The processor's name, which `platform` does not know on Linux."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or platform.machine()
