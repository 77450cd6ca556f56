"""Find wording that the project's style rules out, in Python files and documents."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPENINGS = (
    "What", "Of", "Where", "How", "Whether", "Which", "Who", "Whose", "When", "Why",
    "That", "All that", "As",
)  # fmt: skip
"""First words that no docstring has: a docstring opens with a verb or a noun."""

CLIPPED = (
    r"of", r"what", r"how(?! many| much| often| long)", r"where(?! to)", r"who", r"whose",
    r"which", r"that", r"as", r"(?:in|to|at|by|for|from|on|with) which",
)  # fmt: skip
"""First words that no entry below `Args:` and the like has: it is a plain phrase."""

WORDS = {
    r"alone": "only",
    r"anew": "again",
    r"afresh": "again",
    r"(?:go|goes|going|gone|went) on": "resume, continue",
    r"tells? more": "see X for details",
    r"(?:mend|mends|mended|mending)": "fix",
    r"hitherto": "so far",
    r"(?:thereof|therein|thereby|whereof|wherein|whereby)": "two sentences",
    r"at hand": "available",
    r"by heart": "overfit",
    r"(?:is|are|be|was|were) to come": "follows",
    r"hardly at all": "barely",
    r"what lies": "name it",
    r"not so": "name it",
    r"know not": "do not know",
}
"""Pattern of words that read as translated -> plain English for them."""

NAMES = frozenset((
    "heard", "said", "own", "made", "given", "kept", "each", "several", "seen",
    "wanted", "found", "known", "then", "now", "utils", "helper",
))  # fmt: skip
"""Words that name no value: participles, pronouns and the like."""

ALLOWED: frozenset[tuple[str, str]] = frozenset()
"""Pairs of a file and a word that it needs, such as a quotation."""

# An entry is indented and may name several attributes at once: "  x, y: ...".
OPENING = re.compile(rf"\s*(?:{'|'.join(OPENINGS)})\b")
ENTRY = re.compile(rf"^\s+[\w*, ]+: (?:{'|'.join(CLIPPED)})\b", re.MULTILINE)
# Prose is wrapped, so that a line may end within a phrase.
WORD = re.compile(rf"\b(?:{'|'.join(WORDS)})\b".replace(" ", r"\s+"), re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """A place that breaks a rule.

    Attributes:
      path: file.
      line: line number, from 1.
      message: rule, with the text that breaks it.
    """

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def check_file(path: Path) -> list[Finding]:
    """Return all findings of a Python file or a document, in the order of lines.

    Raises:
      SyntaxError: a Python file does not parse.
    """
    text = path.read_text(encoding="utf-8")
    is_python = path.suffix == ".py"
    problems = _check_python(text) if is_python else _check_words(text, 1)
    findings = [Finding(path, line, message) for line, message in sorted(problems)]
    return [finding for finding in findings if not _is_allowed(finding)]


def _is_allowed(finding: Finding) -> bool:
    return any(
        finding.path.match(name) and word in finding.message for name, word in ALLOWED
    )


# A check yields pairs of a line and a message.


def _check_python(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    for line, text in docstrings(tree):
        yield from _check_docstring(text, line)
    for line, text in comments(source):
        yield from _check_words(text, line)
    for node in ast.walk(tree):
        yield from _check_name(node)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring, those of constants included."""
    # Any string that stands as a statement is one.
    for node in ast.walk(tree):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            continue
        if isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _check_docstring(text: str, line: int) -> Iterator[tuple[int, str]]:
    if opening := OPENING.match(text):
        yield line, f"docstring opens with {opening[0].strip()!r}"
    # Entries of Args and Attributes stand further to the right than prose.
    for entry in ENTRY.finditer(text):
        yield _line_at(text, entry.start(), line), f"clipped entry {entry[0].strip()!r}"
    yield from _check_words(text, line)


def _check_words(text: str, line: int) -> Iterator[tuple[int, str]]:
    for word in WORD.finditer(text):
        phrase = " ".join(word[0].split())
        yield _line_at(text, word.start(), line), f"{phrase!r}: {_plain(phrase)}"


def _line_at(text: str, position: int, first: int) -> int:
    return first + text.count("\n", 0, position)


def _plain(word: str) -> str:
    """Return the advice for a word that was found."""
    for pattern, advice in WORDS.items():
        if re.fullmatch(pattern, word, re.IGNORECASE):
            return advice
    raise AssertionError(f"no pattern matches {word}")


def _check_name(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Report a variable or parameter whose name is no noun."""
    # A Store is an assignment, or the target of a loop or comprehension.
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        if node.id in NAMES:
            yield node.lineno, f"name {node.id!r} is no noun"
    elif isinstance(node, ast.arg) and node.arg in NAMES:
        yield node.lineno, f"name {node.arg!r} is no noun"
