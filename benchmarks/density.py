"""`python -m benchmarks.density`: measure how densely the project's code is written,
and find wording that its style rules out.

Prints syntax nodes a line and comment lines of every Python file, then the findings.
The exit status is 1 if a target is missed: 6.5 nodes a line in total, 8 in any file,
3 % comment lines, and no finding.
"""

import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.prose import Finding, check_file

ROOT = Path(__file__).parent.parent
CODE = (
    "jaxportrait",
    "convert_weights",
    "infer",
    "train",
    "benchmarks",
    "examples",
    "tests",
)
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs")
MOST_NODES = 6.5
"""Syntax nodes a line, over all files."""
MOST_NODES_IN_A_FILE = 8.0
LEAST_COMMENTS = 0.03
"""Share of lines that are comments, over all files."""


@dataclass(frozen=True)
class Options:
    """Measure code and check wording.

    Attributes:
      paths: files or folders; the whole project by default.
      top: number of files that are printed, densest first.
    """

    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    top: int = 1000


@dataclass(frozen=True)
class Density:
    """Counts of a Python file, or of several together.

    Attributes:
      nodes: syntax nodes, all that `ast.walk` visits.
      lines: physical lines, blank ones included.
      comments: lines that hold only a comment.
    """

    nodes: int
    lines: int
    comments: int

    @property
    def nodes_a_line(self) -> float:
        return self.nodes / max(self.lines, 1)

    @property
    def comment_share(self) -> float:
        return self.comments / max(self.lines, 1)


def measure(path: Path) -> Density:
    """Count nodes, lines and comments of a Python file.

    Raises:
      SyntaxError: the file does not parse.
    """
    source = path.read_text(encoding="utf-8")
    # Physical lines: blank lines, docstrings and comments count.
    lines = source.splitlines()
    nodes = sum(1 for _ in ast.walk(ast.parse(source)))
    comments = sum(line.lstrip().startswith("#") for line in lines)
    return Density(nodes, len(lines), comments)


def measure_all(paths: Sequence[Path]) -> dict[Path, Density]:
    """Count every Python file at or below some paths."""
    return {path: measure(path) for path in python_files(paths)}


def add(densities: Sequence[Density]) -> Density:
    """Return the counts of several files together."""
    return Density(
        nodes=sum(density.nodes for density in densities),
        lines=sum(density.lines for density in densities),
        comments=sum(density.comments for density in densities),
    )


def python_files(paths: Sequence[Path]) -> list[Path]:
    """Return the Python files at or below some paths that are not empty, sorted."""
    files = _files(paths, "*.py")
    return [path for path in files if path.read_text(encoding="utf-8").strip()]


def document_files(paths: Sequence[Path]) -> list[Path]:
    """Return the Markdown files at or below some paths, sorted."""
    return _files(paths, "*.md")


def _files(paths: Sequence[Path], pattern: str) -> list[Path]:
    files = set[Path]()
    for path in paths:
        # A file that is named by itself still has to match.
        if path.is_dir():
            files.update(path.rglob(pattern))
        elif path.match(pattern):
            files.add(path)
    return sorted(files)


def find_wording(paths: Sequence[Path]) -> list[Finding]:
    """Return all findings in the Python files and documents below some paths."""
    files = [*python_files(paths), *document_files(paths)]
    return [finding for path in files for finding in check_file(path)]


def missed_targets(densities: dict[Path, Density]) -> list[str]:
    """Return a line for every target that files miss, singly or together."""
    if not densities:
        return []
    total = add(list(densities.values()))
    missed = dense_files(densities)
    # A single file may be denser than the whole tree.
    if total.nodes_a_line > MOST_NODES:
        missed.append(f"{total.nodes_a_line:.2f} nodes a line, over {MOST_NODES:g}")
    if total.comment_share < LEAST_COMMENTS:
        missed.append(
            f"{total.comment_share:.1%} comment lines, under {LEAST_COMMENTS:.0%}"
        )
    return missed


def dense_files(densities: dict[Path, Density]) -> list[str]:
    """Return a line for every file that is too dense."""
    return [
        f"{path}: {density.nodes_a_line:.2f} nodes a line, over {MOST_NODES_IN_A_FILE:g}"
        for path, density in densities.items()
        if density.nodes_a_line > MOST_NODES_IN_A_FILE
    ]


def print_table(densities: dict[Path, Density], top: int) -> None:
    """Print a line a file, densest first, and one for the total."""
    # Densest first: these are the ones to rewrite.
    densest = sorted(densities.items(), key=lambda item: -item[1].nodes_a_line)
    print("nodes/line  comments  lines  file")
    for path, density in densest[:top]:
        print(_row(density), path)
    print(_row(add(list(densities.values()))), f"total of {len(densities)} files")


def _row(density: Density) -> str:
    nodes = f"{density.nodes_a_line:10.2f}"
    return f"{nodes}  {density.comment_share:8.1%}  {density.lines:5d} "


def main() -> None:
    options = tyro.cli(
        Options, description=__doc__, prog="python -m benchmarks.density"
    )
    paths = options.paths or [ROOT / name for name in (*CODE, *DOCUMENTS)]
    densities = measure_all(paths)
    findings = find_wording(paths)
    # The table comes first, so that the findings end the output.
    print_table(densities, options.top)
    for line in (*findings, *missed_targets(densities)):
        print(line)
    print(f"{len(findings)} findings")
    if findings or missed_targets(densities):
        sys.exit(1)


if __name__ == "__main__":
    main()
