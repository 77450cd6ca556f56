"""Documents: relative links lead somewhere, and the code of examples runs."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import jax
import pytest

from jaxportrait.__main__ import PROGRAMS
from jaxportrait.checkpoint.kinds import DRIVERS
from jaxportrait.models.parts import NETWORKS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|toml|sh))`")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
MESSAGE = re.compile(r"^\| [^|]+ \| `error: (.*)` \|$", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    names = set()
    for heading in HEADING.findall(text):
        # Lower case, without punctuation, hyphens for spaces.
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        names.add(plain.replace(" ", "-"))
    return names


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_relative_links_resolve(path):
    text = path.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        file = path.parent / target if target else path
        assert file.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(file), f"{link} names no heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_named_files_exist(path):
    # A name may leave out the folder of its package.
    folders = (ROOT, ROOT / "jaxportrait", ROOT / "train")
    for name in FILE.findall(path.read_text(encoding="utf-8")):
        assert any((folder / name).is_file() for folder in folders), name


def test_broken_links_would_be_noticed():
    assert LINK.findall("see [a](b.md#c) and ![d](e.jpg)") == ["b.md#c", "e.jpg"]
    assert "train-your-own" in anchors(ROOT / "docs" / "demo.md")


def test_the_readme_lists_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \|", text, re.MULTILINE)
    # An entry is MODULE:FUNCTION; a package runs by its __main__.
    entries = {name: program.entry for name, program in PROGRAMS.items()}
    modules = {name: entry.partition(":")[0] for name, entry in entries.items()}
    assert dict(rows) == {
        name: module.removesuffix(".__main__") for name, module in modules.items()
    }


def templates(folder: Path) -> Iterator[tuple[int, re.Pattern[str]]]:
    """Yield a pattern for every text in a package's code, with its number of fixed
    characters; a value within an f-string matches anything."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr | ast.Constant):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [getattr(part, "value", None) for part in parts]
            fixed = [text for text in texts if isinstance(text, str)]
            pattern = "".join(
                re.escape(text) if isinstance(text, str) else ".*" for text in texts
            )
            yield sum(map(len, fixed)), re.compile(pattern)


def is_printed(message: str, patterns: list[tuple[int, re.Pattern[str]]]) -> bool:
    # Names and numbers are half of the shortest messages.
    least = 0.35 * len(message)
    return any(size > least and pattern.search(message) for size, pattern in patterns)


def test_documented_messages_are_those_of_the_code():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    messages = MESSAGE.findall(text)
    assert len(messages) > 20
    packages = (ROOT / "jaxportrait", ROOT / "infer")
    patterns = [item for package in packages for item in templates(package)]
    for message in messages:
        assert is_printed(message, patterns), message
    outdated = "encoder h264_nvenc does not open on this machine: take libx264"
    assert not is_printed(outdated, patterns)


def test_code_of_extensions_runs(monkeypatch):
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = PYTHON_BLOCK.findall(text)
    assert len(blocks) >= 4
    # The rows name a module: here it is the page itself.
    page = ModuleType("nod_driver")
    monkeypatch.setitem(sys.modules, page.__name__, page)
    with (
        # The page adds rows to the registries: at the end they are as before.
        patch.dict(DRIVERS),
        patch.dict(NETWORKS),
        # Training's optimizer, optax, counts on the promotion of dtypes.
        jax.numpy_dtype_promotion("standard"),
    ):
        for block in blocks:
            exec(compile(block, "docs/extending.md", "exec"), vars(page))
