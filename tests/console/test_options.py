"""Options: paths in the user's home."""

from dataclasses import dataclass, field
from pathlib import Path

from jaxportrait.console.options import parse_options


@dataclass(frozen=True)
class Place:
    """A place.

    Attributes:
      output: a folder.
    """

    output: Path = Path("generated")


@dataclass(frozen=True)
class Options:
    """Options.

    Attributes:
      place: a place.
      model: a file.
      name: a name.
    """

    place: Place = field(default_factory=Place)
    model: Path | None = None
    name: str = "~"


def parse(*words: str) -> Options:
    return parse_options(Options, "test", summary="", example="", arguments=words)


def test_a_leading_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    options = parse("--place.output=~/clips", "--model=~")
    assert options.place.output == Path("/home/me/clips")
    assert options.model == Path("/home/me")


def test_other_words_stay(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse() == Options()
    options = parse("--place.output", "a/~/b", "--model", "~no such user/x")
    assert options.place.output == Path("a/~/b")
    assert options.model == Path("~no such user/x")
