"""The library names arguments, and programs name options."""

import ast
import re
from pathlib import Path

from jaxportrait.console.errors import explain
from jaxportrait.console.words import OPTIONS

LIBRARY = Path(__file__).parents[2] / "jaxportrait"
PROGRAMS = {"console", "__main__.py"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
PIPS_OPTIONS = {"--no-deps"}


def messages(path: Path) -> list[str]:
    """Return the strings of a module, without its documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    strings = []
    for node in ast.walk(tree):
        # Documentation is an expression by itself.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.append(node.value)
    return strings


def library_files() -> list[Path]:
    files = []
    for path in LIBRARY.rglob("*.py"):
        if path.relative_to(LIBRARY).parts[0] not in PROGRAMS:
            files.append(path)
    return files


def test_messages_of_the_library_speak_of_no_command_line():
    options = []
    for path in library_files():
        for message in messages(path):
            names = set(OPTION.findall(message)) - PIPS_OPTIONS
            options += [(path.name, name) for name in names]
    assert options == []


def test_the_search_finds_an_option(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('"""About --this."""\nraise ValueError(f"{1}: pass --that")\n')
    assert OPTION.findall(" ".join(messages(path))) == ["--that"]


def test_words_of_messages_become_options():
    texts = [text for path in library_files() for text in messages(path)]
    for words, option in OPTIONS.items():
        assert any(words in text for text in texts), words
        assert explain(ValueError(f"no: {words}")) == f"no: {option}"
