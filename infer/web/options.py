"""Options of the page: fields of the dataclasses that the command line has as well.

Ranges, choices, defaults and explanations are read from those dataclasses.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import (
    Any,
    Generic,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import gradio as gr
from docstring_parser import parse
from gradio.components import Component

from infer.web.words import HELP, as_labels, label_of
from jaxportrait.ranges import FieldRange, OptionError, field_ranges

T = TypeVar("T")
Data = Mapping[Component, Any]
"""Component -> its value, as Gradio hands them to a function."""

WIDEST_SLIDER = 250
"""Range of whole numbers beyond which a field for typing is handier."""
LEAST_WIDTH = 220
"""Pixels of a component; two lie side by side, but on a phone."""
NO_CHOICES: Mapping[str, Sequence[str]] = MappingProxyType({})
STEPS = 100
"""Steps of a slider of fractions, about."""
RANGE_WORDS = re.compile(r", from \S+ to \S+\.$")
"""A range at the end of an explanation."""
BY_DEFAULT = "automatic"
SWITCH = {BY_DEFAULT: None, "on": True, "off": False}
"""Choices of an option that is on, off, or up to the model."""


class Form(Generic[T]):
    """Components for fields of a dataclass.

    Attributes:
      kind: the dataclass.
      choices: name of a field of text -> the words to choose from.
      components: name of a field -> its component, in the order of the page.
    """

    def __init__(
        self, kind: type[T], choices: Mapping[str, Sequence[str]] = NO_CHOICES
    ):
        self.kind: type[Any] = kind
        self.choices = choices
        self.components: dict[str, Component] = {}

    def show(self, *names: str) -> None:
        """Place fields at the current place of the page, side by side where there is
        room."""
        with gr.Row(elem_classes="options"):
            for name in names:
                words = tuple(self.choices.get(name, ()))
                self.components[name] = make_component(self.kind, name, words)

    def show_others(self, *without: str) -> None:
        """Place the fields that are not yet on the page, but for files.

        Args:
          without: fields that have no meaning here.
        """
        hidden = {*self.components, *without}
        names = [item.name for item in fields(self.kind) if item.name not in hidden]
        self.show(*(name for name in names if not find_option(self.kind, name).is_file))

    def values(self, data: Data) -> dict[str, Any]:
        """Return the values of all fields that are on the page."""
        values = {}
        for name, component in self.components.items():
            values[name] = read_value(self.kind, name, data[component])
        return values

    def read(self, data: Data) -> T:
        """Return the dataclass; fields that are not on the page have their default.

        Raises:
          OptionError: a value is outside its range, or options exclude each other.
        """
        return self.kind(**self.values(data))


@dataclass(frozen=True)
class Option:
    """A field of a dataclass, as the page shows it.

    Attributes:
      default: its value where a person chooses none.
      hint: its type.
      label: its name in words.
      help: its explanation.
      allowed: the range of a number; None for others.
    """

    default: Any
    hint: Any
    label: str
    help: str
    allowed: FieldRange | None

    @property
    def choices(self) -> tuple[str, ...]:
        """Words among which a person chooses; empty for other options."""
        for hint in (self.hint, *get_args(self.hint)):
            if get_origin(hint) is Literal:
                return get_args(hint)
        return ()

    @property
    def is_file(self) -> bool:
        """True for a path, which no person on a page may choose."""
        return Path in (self.hint, *get_args(self.hint))

    @property
    def is_switch(self) -> bool:
        """True for an option that may be on, off, or up to the model."""
        # bool | None, whichever comes first.
        return set(get_args(self.hint)) == {bool, NoneType}


@cache
def find_option(kind: type[Any], name: str) -> Option:
    """Return a field of a dataclass as an option of the page."""
    items = {item.name: item for item in fields(kind)}
    # Without the annotations of ranges.
    hint = get_type_hints(kind)[name]
    text = HELP.get(name, explanations(kind).get(name, ""))
    # A slider shows its range itself.
    text = RANGE_WORDS.sub(".", text)
    return Option(
        default_of(items[name]),
        hint,
        label_of(name),
        as_labels(text),
        field_ranges(kind).get(name),
    )


def default_of(item: Field[Any]) -> Any:
    if item.default is not MISSING:
        return item.default
    assert item.default_factory is not MISSING
    return item.default_factory()


def explanations(kind: type[Any]) -> dict[str, str]:
    """Return name -> explanation, as the docstrings of a dataclass and its bases have
    them."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        for entry in parse(base.__doc__ or "").params:
            # One entry may be of several fields.
            for name in entry.arg_name.split(","):
                texts[name.strip()] = sentence(entry.description or "")
    return texts


def sentence(text: str) -> str:
    """Return an explanation as a sentence on one line."""
    line = " ".join(text.split())
    return line[:1].upper() + line[1:]


def make_component(
    kind: type[Any], name: str, choices: tuple[str, ...] = ()
) -> Component:
    """Return the component that fits a field.

    Args:
      choices: words to choose from, for a field of text.
    """
    option = find_option(kind, name)
    # The label may say it all.
    text = None if option.help == f"{option.label}." else option.help
    words = {"label": option.label, "info": text, "min_width": LEAST_WIDTH}
    if option.is_switch:
        value = next(key for key in SWITCH if SWITCH[key] == option.default)
        return gr.Dropdown(list(SWITCH), value=value, filterable=False, **words)
    choices = choices or option.choices
    if choices:
        # None is a choice of its own.
        automatic = [] if option.default else [BY_DEFAULT]
        names = [*automatic, *choices]
        value = option.default or BY_DEFAULT
        return gr.Dropdown(names, value=value, filterable=False, **words)
    if option.allowed is not None:
        return make_number(option, words)
    if option.hint is not bool:
        raise TypeError(f"{name} is {option.hint}, which has no component")
    return gr.Checkbox(option.default, **words)


def make_number(option: Option, words: dict[str, Any]) -> Component:
    """Return a slider where the range is small, or else a field for typing."""
    assert option.allowed is not None
    whole = option.allowed.whole
    ends = slider_ends(option)
    if ends is not None:
        step = 1 if whole else slider_step(*ends)
        return gr.Slider(*ends, value=option.default, step=step, **words)
    if option.default is None:
        # Gradio's field for numbers makes 0 of an empty one.
        return gr.Textbox("", placeholder=BY_DEFAULT, max_lines=1, **words)
    # The dataclass checks the range, and says so in words.
    return gr.Number(option.default, precision=0 if whole else None, **words)


def slider_ends(option: Option) -> tuple[float, float] | None:
    """Return the ends of a number's slider.

    None for a field for typing: a number that may be empty, or whose range has no two
    ends, or ends that are far apart.
    """
    assert option.allowed is not None
    allowed = option.allowed.allowed
    if option.default is None or allowed.least is None or allowed.most is None:
        return None
    if allowed.most - allowed.least > WIDEST_SLIDER:
        return None
    return allowed.least, allowed.most


def slider_step(least: float, most: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten."""
    finest = (most - least) / STEPS
    power = 10.0 ** math.floor(math.log10(finest))
    # Computed steps are a little off their round ones.
    steps = [times for times in (1, 2, 5) if power * times <= finest * 1.01]
    return round(power * steps[-1], 6)


def read_value(kind: type[Any], name: str, value: Any) -> Any:
    """Return the value of a field for the value of its component.

    Raises:
      OptionError: it is no number, and must be one.
    """
    option = find_option(kind, name)
    if option.is_switch:
        return SWITCH[value]
    # A field that is empty, or a choice that was left to the model.
    if value is None or value in ("", BY_DEFAULT):
        return option.default
    if option.allowed is None:
        return value
    return read_number(name, value, option.allowed.whole)


def read_number(name: str, value: Any, whole: bool) -> float:
    """Return a number that was typed.

    Raises:
      OptionError: it is none.
    """
    try:
        number = float(value)
    except ValueError:
        noun = "whole number" if whole else "number"
        raise OptionError(f"{name} is {value!r}: it must be a {noun}") from None
    # A fraction where a whole number belongs is refused by the dataclass.
    return int(number) if whole and number.is_integer() else number
