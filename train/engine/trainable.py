"""Division of the networks' parameters into those that are trained and those that stay
fixed."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

from train.engine.config import ConfigError

Leaf = TypeVar("Leaf")


def split(
    params: Mapping[str, Leaf], hold: tuple[str, ...]
) -> tuple[dict[str, Leaf], dict[str, Leaf]]:
    """Return the parameters that are trained, and those that stay fixed.

    Args:
      params: all parameters by dotted path.
      hold: patterns of the paths of fixed ones; see `select` for details.

    Raises:
      ConfigError: a pattern matches no parameter, or no parameter is left to train.
    """
    # Both parts keep the order of the parameters.
    fixed = select(params, hold, "hold")
    trained = {name: leaf for name, leaf in params.items() if name not in fixed}
    if not trained:
        raise ConfigError(
            f"hold names {', '.join(hold)}, which are all parameters: leave some to train"
        )
    return trained, {name: params[name] for name in fixed}


def select(
    names: Iterable[str],
    patterns: tuple[str, ...],
    option: str,
    kind: str = "parameter",
) -> list[str]:
    """Return the paths that match a pattern, in their order.

    `*` stands for any characters, dots too. A pattern also matches everything below a
    path that it matches: `motion` is a whole network, and `*.mlp` every MLP.

    Args:
      names: dotted paths of parameters.
      patterns: patterns of paths.
      option: name of the option that holds them, for messages.
      kind: noun for what the paths name, for messages.

    Raises:
      ConfigError: a pattern matches nothing.
    """
    names = list(names)
    # A misspelt pattern would hold nothing without a word.
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            raise ConfigError(
                f"{option} names {pattern}, which matches no {kind}; their names begin "
                f"with {', '.join(networks_of(names))}"
            )
    return [
        name for name in names if any(_matches(name, pattern) for pattern in patterns)
    ]


def networks_of(names: Iterable[str]) -> list[str]:
    """Return the first parts of dotted paths, in alphabetical order."""
    return sorted({name.split(".")[0] for name in names})


def _matches(name: str, pattern: str) -> bool:
    # The dot, so that no network is the beginning of another.
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
