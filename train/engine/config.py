"""What every training run has: frozen dataclasses, and TOML files that state
differences from their defaults."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import tyro

T = TypeVar("T")
CHANGEABLE = {"changeable": True}
"""Metadata of a field that may differ when a run is resumed: no result of a step
depends on it."""


NO_PREFIX = tyro.conf.arg(name="")
"""`--steps` at the command line, not `--loop.steps`."""


class ConfigError(ValueError):
    """Options that cannot be used, or that contradict the run to be resumed."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, its learning rate, and the average of the weights that it makes.

    Attributes:
      learning_rate: learning rate after the warm-up.
      warmup_steps: updates over which the rate rises to it linearly.
      drop_steps: updates from which on the rate is lower by `drop_factor`, each.
      drop_factor: factor of each drop.
      beta1: decay rate of the mean of the gradients.
      beta2: decay rate of the mean of their squares.
      epsilon: added to the root of the latter.
      weight_decay: decoupled weight decay of every parameter, times the learning rate.
      clip_norm: the gradient's global norm is at most this.
      ema_decay: the average's decay is min(this, (1 + n) / (10 + n)) after n updates.
      clip_apart: networks whose gradients have a norm, and a clip, of their own.
      hold: networks, or parts of one, that stay as they are.
    """

    learning_rate: float = 1e-4
    warmup_steps: int = 1000
    drop_steps: tuple[int, ...] = (24_000, 27_000)
    drop_factor: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 1e-6
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    clip_apart: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoopConfig:
    """How long to train, and what to do how often, in updates. All of it may change
    when a run is resumed.

    Attributes:
      steps: number of updates.
      log_every: interval of scalars and console lines.
      validate_every: interval of the loss on the validation split, by the averaged
        weights.
      save_every: interval of checkpoints; a multiple of `validate_every`, by which the
        best is known.
      plot_every: interval of pictures of what the networks make.
      keep: how many of the last checkpoints stay; the best stays too.
    """

    steps: int = field(default=30_000, metadata=CHANGEABLE)
    log_every: int = field(default=50, metadata=CHANGEABLE)
    validate_every: int = field(default=1000, metadata=CHANGEABLE)
    save_every: int = field(default=1000, metadata=CHANGEABLE)
    plot_every: int = field(default=5000, metadata=CHANGEABLE)
    keep: int = field(default=3, metadata=CHANGEABLE)

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise ConfigError(f"{name} is {value}: it must be 1 or more")
        if self.save_every % self.validate_every:
            raise ConfigError(
                f"save_every is {self.save_every}, no multiple of validate_every, {self.validate_every}: the best "
                "checkpoint is known by its validation loss"
            )


@dataclass(frozen=True)
class StageConfig:
    """What every stage of training has.

    Attributes:
      batch_size: samples of an update, over all devices.
      dtype: in which the networks compute; weights are float32 whatever it is.
      seed: of the initial weights, the order of the data, and everything random.
      validation_batches: number of batches of the validation split, each of
        `batch_size` samples.
      export_weights: which weights `train.export` writes.
      fsdp: devices over which weights and optimizer are spread; the other devices
        repeat them.
    """

    batch_size: int = 64
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    validation_batches: int = 4
    export_weights: Literal["ema", "raw"] = "ema"
    fsdp: int = field(default=1, metadata=CHANGEABLE)
    optimizer: Annotated[OptimizerConfig, NO_PREFIX] = field(
        default_factory=OptimizerConfig
    )
    loop: Annotated[LoopConfig, NO_PREFIX] = field(default_factory=LoopConfig)

    @property
    def parts(self) -> int:
        """Into which a batch is cut, one after the other."""
        return 1

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("validation_batches", 0)):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}: it must be {least} or more"
                )


def load_config(path: Path, default: T, below: tuple[Path, ...] = ()) -> T:
    """A TOML file's differences from `default`, applied; the file's `base`, another
    file beside it, goes first.

    Args:
      below: the files that have led to this one as their base.

    Raises:
      FileNotFoundError: no such file.
      ConfigError: not TOML, an option that does not exist, a value of another type, or
        a file that is its own base.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no configuration at {path}: give a TOML file such as configs/mead_lip.toml"
        )
    if path in below:
        raise ConfigError(
            f"{path} is its own base: leave out its `base`, or name another file"
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    if "base" in values:
        default = load_config(
            path.parent / _checked(values.pop("base"), str, f"{path}: base"),
            default,
            (*below, path),
        )
    return apply(default, values, str(path))


def apply(config: T, values: Mapping[str, Any], source: str) -> T:
    """`config` with the fields that `values` names replaced; a mapping goes into a
    nested dataclass."""
    types, changed = get_type_hints(type(config)), {}
    for name, value in values.items():
        if name not in types:
            raise ConfigError(
                f"{source}: no option {name}; the options here are {', '.join(types)}"
            )
        present = getattr(config, name)
        if is_dataclass(present) and isinstance(value, Mapping):
            changed[name] = apply(present, value, f"{source} [{name}]")
        else:
            changed[name] = _checked(value, types[name], f"{source}: {name}")
    return replace(config, **changed)  # pyright: ignore[reportType, reportArgumentType]


def differences(saved: Mapping[str, Any], config: Any) -> list[str]:
    """What of `config` contradicts the `saved` one (as JSON keeps it), a line each;
    changeable fields do not count."""
    found = []
    for item in fields(config):
        # A run that was saved before an option existed went as its default says.
        before, now = saved.get(item.name, item.default), getattr(config, item.name)
        if is_dataclass(now) and isinstance(before, Mapping):
            found += differences(before, now)
        elif "changeable" not in item.metadata and _plain(before) != _plain(now):
            found.append(f"{item.name}: the run has {before}, now {_plain(now)}")
    return found


def _checked(value: Any, kind: Any, name: str) -> Any:
    """A TOML value as the field's type: a list as a tuple, a whole number as a
    float."""
    if get_origin(kind) is tuple and isinstance(value, list):
        kinds = get_args(kind)
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(kinds) != len(value):
            raise ConfigError(f"{name} holds {value!r}: expected {len(kinds)} values")
        return tuple(
            _checked(item, each, name) for item, each in zip(value, kinds, strict=True)
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    literals = [
        option for option in (kind, *get_args(kind)) if get_origin(option) is Literal
    ]
    choices = [choice for literal in literals for choice in get_args(literal)]
    if value in choices or (isinstance(kind, type) and type(value) is kind):
        return value
    expected = ", ".join(map(str, choices)) or getattr(kind, "__name__", str(kind))
    raise ConfigError(f"{name} is {value!r}: expected {expected}")


def _plain(value: Any) -> Any:
    return (
        [_plain(item) for item in value] if isinstance(value, tuple | list) else value
    )
