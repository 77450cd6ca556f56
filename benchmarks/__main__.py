"""`python -m benchmarks --output DIR`: every benchmark, one after the other, with the
sizes that fit the device.

Tables go to `DIR/NAME.txt` and figures to `DIR/NAME.json`. One that fails is named at
the end, and the others are run. On a GPU, the table of `conv` shows the best forms of `ops.conv`.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

ACCELERATOR = {
    "renderer": "--dtypes float32 bfloat16 float16 --batch-sizes 1 8 16",
    "sampler": "--seconds 1 10 60 --dtype bfloat16",
    "end_to_end": "",
    "memory": "--seconds 10 60 600",
    "train": "--batch-size 64 --dtype bfloat16",
    "conv": "--batch-size 8 --dtype float16",
    "live": "",
}
# On a CPU the transformer is trained at half its width, which 24 GiB hold.
CPU = {
    "renderer": "--repeats 3",
    "sampler": "--seconds 1 --repeats 2",
    "end_to_end": "",
    "memory": "--seconds 10 60",
    "train": "--batch-size 8 --width 448 --heads 7",
    "conv": "",
    "live": "",
}
"""Benchmark -> its options."""


@dataclass(frozen=True)
class Options:
    """Run every benchmark.

    Attributes:
      output: folder for tables and figures; made if it is missing.
      only: names of benchmarks; by default all.
      renderer: checkout of LivePortrait, to be run in turn with ours.
      transformer: checkout of LivePortrait_AudioDriven, to be run in turn with ours.
      checkpoint: for whole clips and memory; the demo's by default.
      dataset_path: a data set of `train.process`, whose input pipeline is timed.
    """

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    only: tuple[str, ...] = ()
    renderer: Path | None = None
    transformer: Path | None = None
    checkpoint: Path | None = None
    dataset_path: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    commands = plan(options, CPU if backend() == "cpu" else ACCELERATOR)
    # Mistyped names, before an hour of benchmarks.
    if unknown := set(options.only) - commands.keys():
        print(
            f"error: no benchmark {', '.join(sorted(unknown))}: there are {', '.join(commands)}",
            file=sys.stderr,
        )
        sys.exit(2)
    options.output.mkdir(parents=True, exist_ok=True)
    failed = [
        name
        for name in options.only or commands
        if not run(name, commands[name], options.output)
    ]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)


def backend() -> str:
    """Return the platform that benchmarks will run on."""
    # Asked in a process of its own, which leaves the device free.
    command = [sys.executable, "-c", "import jax; print(jax.default_backend())"]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def plan(options: Options, sizes: dict[str, str]) -> dict[str, list[str]]:
    """Return the arguments of every benchmark by name."""
    # Which checkout each benchmark compares with.
    rivals = {
        "renderer": options.renderer,
        "sampler": options.transformer,
        "train": options.transformer,
    }
    commands = {name: words.split() for name, words in sizes.items()}

    def add(name: str, flag: str, path: Path | None) -> None:
        if path is not None:
            commands[name] += [flag, str(path)]

    for name, checkout in rivals.items():
        add(name, "--against", checkout)
    for name in ("end_to_end", "memory", "live"):
        add(name, "--checkpoint", options.checkpoint)
    add("train", "--dataset-path", options.dataset_path)
    return commands


def run(name: str, arguments: list[str], folder: Path) -> bool:
    """Run a benchmark, and print and write its table; return True if it succeeded."""
    command = [
        sys.executable,
        "-m",
        f"benchmarks.{name}",
        *arguments,
        "--json",
        str(folder / f"{name}.json"),
    ]
    line = f"$ {' '.join(['python', *command[1:]])}"
    print(line, flush=True)
    # A process each, so that none inherits the memory of another.
    benchmark = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(benchmark.stdout, flush=True)
    # The command stands above its table, so that it can be repeated.
    report = folder / f"{name}.txt"
    report.write_text(f"{line}\n{benchmark.stdout}", encoding="utf-8")
    return benchmark.returncode == 0


if __name__ == "__main__":
    main()
