"""The strict engine: a torch state dict, a key map and a network's shapes -> the
network's leaves.

Nothing is guessed and nothing is left over. Every misfit is reported in one message.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import jax
import numpy as np

from convert_weights.layouts import KINDS, TensorRule
from convert_weights.networks.base import ConversionError, Table

Tensors = Mapping[str, np.ndarray]
Shapes = Mapping[str, jax.ShapeDtypeStruct]
COMPILED = "_orig_mod"
"""Name that PyTorch's compiler puts before those within a compiled layer."""
FLOATS = (np.float16, np.float32, np.float64)
WRAPPERS = ("module", COMPILED)
"""Names that PyTorch's parallel wrappers and its compiler put before every name."""


@dataclass(frozen=True)
class Rule:
    """One tensor of one row of a key map.

    Attributes:
      row: torch prefix of the row, for messages.
      pattern: names of the torch tensors that the rule matches.
      leaf: path of the leaf that a match fills, a template over the pattern's groups.
      rule: layout of the tensor on either side.
    """

    row: str
    pattern: re.Pattern[str]
    leaf: str
    rule: TensorRule


@dataclass
class Conversion:
    """The result of a state dict's conversion.

    Attributes:
      leaves: dotted path -> array, channels last, float32.
      ignored: name of a tensor that is not converted -> reason.
    """

    leaves: dict[str, np.ndarray] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)


def convert(
    tensors: Tensors,
    table: Table,
    shapes: Shapes,
    ignored: Sequence[tuple[str, str]] = (),
    *,
    name: str = "weights",
) -> Conversion:
    """Lay out `tensors` as the leaves that `shapes` names.

    Args:
      table: rows of a key map.
      shapes: every leaf of the network.
      ignored: (pattern, reason) of the tensors that are not needed.
      name: name of the file, for messages.

    Raises:
      ConversionError: a tensor that no row or two rows match, a leaf left unfilled, a
        shape or dtype that differs, a row that matched nothing: all of them in one
        message.
    """
    tensors = unwrapped(tensors)
    # Every tensor is matched first; unmatched rows and leaves are found afterwards.
    rules = _rules(table)
    result = Conversion()
    problems: list[str] = []
    used_rows: set[str] = set()
    for key, tensor in tensors.items():
        matches = _matches(rules, key)
        reason = _reason_to_ignore(key, ignored)
        # A tensor that is needed and ignored at once is an error of the key map.
        if reason is not None and not matches:
            result.ignored[key] = reason
            continue
        used_rows.update(rule.row for rule, _ in matches)
        if len(matches) != 1 or reason is not None:
            problems.append(_ambiguous(key, tensor, [rule.row for rule, _ in matches]))
            continue
        rule, match = matches[0]
        problems += _place(
            result,
            rule.leaf.format(**match.groupdict()),
            key,
            tensor,
            rule.rule,
            shapes,
        )
    problems += [
        f"row {row!r} of the key map matches no tensor"
        for row in _rows(table)
        if row not in used_rows
    ]
    problems += [
        f"{leaf} {shapes[leaf].shape} is filled by no tensor"
        for leaf in shapes
        if leaf not in result.leaves
    ]
    if problems:
        raise ConversionError(
            f"{name} does not fit, {len(problems)} misfit(s): {'; '.join(problems)}"
        )
    return result


def unwrapped(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by names without those of PyTorch's wrappers.

    Raises:
      ConversionError: two names differ only in their wrappers.
    """
    plain: dict[str, Any] = {}
    for key, tensor in tensors.items():
        name = plain_name(key)
        # Two names become one, and a tensor would be lost.
        if name in plain:
            raise ConversionError(
                f"{key} is there with another prefix too: the file mixes two state dicts"
            )
        plain[name] = tensor
    return plain


def plain_name(key: str) -> str:
    """Return a tensor's name without `module.` and `_orig_mod.`, however many."""
    names = key.split(".")
    while len(names) > 1 and names[0] in WRAPPERS:
        names = names[1:]
    # Single layers may have been compiled too.
    return ".".join(name for name in names if name != COMPILED)


def _matches(rules: list[Rule], key: str) -> list[tuple[Rule, re.Match[str]]]:
    """Return the rules that match a tensor's name, each with its match."""
    matches: list[tuple[Rule, re.Match[str]]] = []
    for rule in rules:
        match = rule.pattern.fullmatch(key)
        if match is not None:
            matches.append((rule, match))
    return matches


def _reason_to_ignore(key: str, ignored: Sequence[tuple[str, str]]) -> str | None:
    """Return the reason of the first pattern that matches, or None."""
    for pattern, reason in ignored:
        if fnmatchcase(key, pattern):
            return reason
    return None


def _place(
    result: Conversion,
    leaf: str,
    key: str,
    tensor: np.ndarray,
    rule: TensorRule,
    shapes: Shapes,
) -> list[str]:
    """Lay out one tensor as `leaf`, and return its misfits."""
    if leaf not in shapes:
        return [
            f"{key} {tensor.shape} would fill {leaf}, which the network does not have"
        ]
    if leaf in result.leaves:
        return [f"{key} fills {leaf} a second time"]
    expected = shapes[leaf]
    # A layout returns what does not fit as it is: only shapes are compared.
    laid_out = rule.layout(tensor, expected.shape)
    result.leaves[leaf] = laid_out
    if laid_out.shape != expected.shape:
        return [
            f"{key} {tensor.shape} becomes {laid_out.shape}, but {leaf} is {expected.shape}"
        ]
    # bfloat16 was widened on reading; integers are another file's.
    if tensor.dtype not in FLOATS:
        return [
            f"{key} is {tensor.dtype}, but {leaf} is {expected.dtype}: only floats are converted"
        ]
    # A copy, so that the file's memory can go. Values beyond float32 become infinite.
    with np.errstate(over="ignore"):
        result.leaves[leaf] = np.array(laid_out, np.float32, order="C")
    if not np.isfinite(result.leaves[leaf]).all():
        return [
            f"{key} holds values that are not finite in float32: the file is damaged or the training had diverged"
        ]
    return []


def _ambiguous(key: str, tensor: np.ndarray, rows: list[str]) -> str:
    if not rows:
        return f"{key} {tensor.shape} is matched by no row of the key map"
    return f"{key} {tensor.shape} is matched more than once: by {', '.join(map(repr, rows))} or the ignored tensors"


def _rules(table: Table) -> list[Rule]:
    return [
        Rule(
            prefix,
            re.compile(_pattern(_join(prefix, rule.torch_name))),
            _join(path, rule.leaf_name),
            rule,
        )
        for prefix, path, kind in table
        for rule in KINDS[kind]
    ]


def _rows(table: Table) -> list[str]:
    return [prefix for prefix, _, _ in table]


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if name else prefix


def _pattern(template: str) -> str:
    """Return the regular expression of a template.

    `blocks.{i}.conv` becomes an expression with a group `i` of digits.
    """
    # `re.escape` has put backslashes before the braces.
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(template))
