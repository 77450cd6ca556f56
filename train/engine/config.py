"""Options that every training run has, and how those of a saved run are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from tyro.conf import OmitArgPrefixes, Suppress

from jaxportrait.ranges import (
    BatchSize,
    Count,
    Decay,
    LongSeed,
    Natural,
    OptionError,
    Positive,
    Range,
    Rate,
    Share,
    check_ranges,
)

T = TypeVar("T")
LOSS = "validation_loss"
"""Name of the loss on the validation split, in logs and in checkpoints."""
CHANGEABLE = {"changeable": True}
"""Metadata of a field that may differ when a run is resumed: no result of a step
depends on it."""
CHANGED_ON_REQUEST = {**CHANGEABLE, "stays": True}
"""Metadata of a field that may differ, and is that of the run unless the user names
another value."""

Updates = Annotated[int, Range(1, 2**31 - 1)]
"""A number of updates, which a state counts in 32 bits."""
LossWeight = Annotated[float, Range(0, 1e6)]
"""Factor of a loss."""


SCHEDULE_OPTIONS: dict[str, tuple[str, Any]] = {
    "drop_steps": ("steps", ()),
    "drop_factor": ("steps", 0.1),
    "rate_floor": ("cosine", 0.0),
    "cosine_start": ("cosine", 0),
}
"""Options of a schedule: which one reads them, and the value that asks for nothing."""


class ConfigError(OptionError):
    """Options that cannot be used, or that contradict the run to be resumed."""


class SharedError(ConfigError):
    """An error that all processes of a run raise together, of which one reports it."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, its learning rate, and the moving average of the weights.

    Attributes:
      learning_rate: learning rate after the warm-up.
      schedule: course of the rate after the warm-up: it stays constant, falls as half a
        cosine until the end of the run, or drops in steps.
      warmup_steps: updates over which the rate rises to it linearly.
      drop_steps: updates at which the rate is multiplied by `drop_factor` (schedule
        steps).
      drop_factor: factor of each drop (schedule steps).
      rate_floor: share of the rate that is left at the end (schedule cosine).
      cosine_start: update from which the rate falls (schedule cosine); 0 is the end of
        the warm-up.
      length: updates of the run, where a cosine ends; its stage fills them in.
      beta1: decay rate of the mean of the gradients.
      beta2: decay rate of the mean of their squares.
      epsilon: added to the root of the latter.
      weight_decay: decoupled weight decay of every parameter, times the learning rate.
      clip_norm: upper bound of the gradient's global norm.
      ema_decay: the average's decay is min(this, (1 + n) / (10 + n)) after n updates.
      clip_apart: networks whose gradients are clipped by a norm of their own.
      hold: patterns of parameters that stay fixed, such as `motion` for a whole network
        or `joint_blocks.*.audio.*` for a part of one; `*` stands for any characters.
    """

    # Learning rate, which may change when a run is resumed: see `engine.schedule`.
    learning_rate: Rate = field(default=1e-4, metadata=CHANGED_ON_REQUEST)
    schedule: Literal["constant", "cosine", "steps"] = field(
        default="steps", metadata=CHANGED_ON_REQUEST
    )
    warmup_steps: Natural = field(default=1000, metadata=CHANGED_ON_REQUEST)
    # Published as 24k and 27k, which PyTorch's SequentialLR counts after the warm-up.
    drop_steps: tuple[Updates, ...] = field(
        default=(25_000, 28_000), metadata=CHANGED_ON_REQUEST
    )
    drop_factor: Rate = field(default=0.1, metadata=CHANGED_ON_REQUEST)
    rate_floor: Share = field(default=0.0, metadata=CHANGED_ON_REQUEST)
    cosine_start: Natural = field(default=0, metadata=CHANGED_ON_REQUEST)
    # Not at the command line: `--steps` says it.
    length: Annotated[Natural, Suppress] = field(default=0, metadata=CHANGEABLE)
    # AdamW and the average.
    beta1: Decay = 0.9
    beta2: Decay = 0.95
    epsilon: Rate = 1e-8
    weight_decay: Share = 1e-6
    clip_norm: Positive = 1.0
    ema_decay: Decay = 0.9999
    # Networks, by the first part of their parameters' paths; then patterns of paths.
    clip_apart: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self)
        # Every drop comes once, after the one before it.
        if list(self.drop_steps) != sorted(set(self.drop_steps)):
            raise ConfigError(
                f"drop_steps is {self.drop_steps}: name each update once, in rising order"
            )
        self._check_schedule()

    def _check_schedule(self) -> None:
        """Refuse options of another schedule than the chosen one."""
        for name, (reader, neutral) in SCHEDULE_OPTIONS.items():
            value = getattr(self, name)
            # Defaults, which nobody has chosen, say nothing.
            if self.schedule != reader and value not in (
                neutral,
                getattr(OptimizerConfig, name),
            ):
                raise ConfigError(
                    f"{name} is {value}, and schedule {self.schedule} does not read it: choose schedule {reader}, or "
                    f"{name} {as_json(neutral)}"
                )
        if 0 < self.cosine_start < self.warmup_steps:
            raise ConfigError(
                f"cosine_start is {self.cosine_start}, within the warm-up of {self.warmup_steps} updates: choose a "
                "later one, or fewer warmup_steps"
            )


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters, which are trained in place of the networks' own weights.

    Attributes:
      rank: rank of what is added to a kernel; 0 trains the weights themselves.
      alpha: the factor of the addition is alpha / rank.
      targets: patterns of the kernels that are adapted, as in `hold`; by default those
        of attention and MLPs.
    """

    rank: Natural = 0
    alpha: Positive = 32.0
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.rank and (self.targets or self.alpha != LoraConfig.alpha):
            raise ConfigError(
                "lora.rank is 0, which has no adapters: choose a rank, or leave out lora.alpha and lora.targets"
            )


def check_adapters(lora: LoraConfig, optimizer: OptimizerConfig) -> None:
    """Raise a ConfigError if weights are held that adapters hold anyway."""
    if lora.rank and optimizer.hold:
        raise ConfigError(
            f"hold names {', '.join(optimizer.hold)}, and with lora.rank {lora.rank} everything but the adapters is "
            "fixed: leave out either, or choose lora.targets"
        )


@dataclass(frozen=True)
class LoopConfig:
    """Length of a run and its intervals, in updates. All of it may change when a run
    is resumed.

    Attributes:
      steps: number of updates.
      log_every: interval of scalars and console lines.
      validate_every: interval of the loss on the validation split, by the averaged
        weights.
      save_every: interval of checkpoints; a multiple of `validate_every`, since the
        best checkpoint is chosen by that loss.
      plot_every: interval of pictures.
      keep: number of the last checkpoints that stay; the best stays too, and that of
        the least validation loss.
    """

    steps: Updates = field(default=30_000, metadata=CHANGEABLE)
    log_every: Updates = field(default=50, metadata=CHANGEABLE)
    validate_every: Updates = field(default=1000, metadata=CHANGEABLE)
    save_every: Updates = field(default=1000, metadata=CHANGEABLE)
    plot_every: Updates = field(default=5000, metadata=CHANGEABLE)
    keep: Count = field(default=3, metadata=CHANGEABLE)

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.save_every % self.validate_every:
            raise ConfigError(
                f"save_every is {self.save_every}, no multiple of validate_every, "
                f"{self.validate_every}: the best checkpoint is known by its validation loss"
            )


@dataclass(frozen=True)
class StageConfig:
    """Options that every stage of training has.

    Attributes:
      batch_size: samples of an update, over all devices.
      dtype: compute dtype of the networks; weights are always float32.
      seed: seed of the initial weights, the order of the data, and every random draw.
      validation_batches: number of batches of the validation split, each
        of `batch_size` samples.
      export_weights: weights that `train.export` writes.
      fsdp: devices over which weights and optimizer are sharded; the other devices
        repeat them.
      data_workers: processes that read the data ahead; 0 for threads of this process.
        Batches are the same with any number.
      optimizer: AdamW, its learning rate, and the moving average of the weights.
      loop: length of the run and its intervals, in updates; all of it may change when a
        run is resumed.
    """

    batch_size: BatchSize = 64
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: LongSeed = 0
    validation_batches: Natural = 4
    export_weights: Literal["ema", "raw"] = "ema"
    fsdp: Count = field(default=1, metadata=CHANGEABLE)
    data_workers: Natural = field(default=0, metadata=CHANGEABLE)
    optimizer: OmitArgPrefixes[OptimizerConfig] = field(default_factory=OptimizerConfig)
    loop: OmitArgPrefixes[LoopConfig] = field(default_factory=LoopConfig)

    @property
    def microbatches(self) -> int:
        """Number of equal parts of a batch that are computed one after the other."""
        return 1

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that are trained together, with which the paths of their
        parameters begin; none where there is only one."""
        return ()

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in self.optimizer.clip_apart:
            if name not in self.networks:
                present = ", ".join(self.networks) or "none, as only one is trained"
                raise ConfigError(
                    f"clip_apart names the network {name}; the networks here: {present}"
                )
        optimizer = replace(self.optimizer, length=self.loop.steps)
        # Fields of a frozen dataclass are set this way while it is made.
        object.__setattr__(self, "optimizer", optimizer)
        start = max(optimizer.warmup_steps, optimizer.cosine_start)
        if optimizer.schedule == "cosine" and start >= self.loop.steps:
            raise ConfigError(
                f"schedule cosine would fall from update {start} on, and the run ends at {self.loop.steps}: choose "
                "more steps, or a shorter warm-up or an earlier cosine_start"
            )


def as_json(content: Any) -> Any:
    """Return dataclasses, mappings and sequences as JSON restores them."""
    return msgspec.json.decode(msgspec.json.encode(content))


def read_saved(saved: Mapping[str, Any], kind: type[T]) -> T:
    """Return the options that a run was saved with; later options have their defaults.

    Raises:
      ConfigError: they are none of this version.
    """
    try:
        return msgspec.convert(saved, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"the run was saved by another version ({error}): continue it with that "
            "version, or start a new run in a new --work-dir"
        ) from error


def keep_saved(saved: Any, config: T) -> T:
    """Return the options of a saved run, with those of `config` that may change."""
    values: dict[str, Any] = {}
    for item in fields(config):  # type: ignore[arg-type]
        old, new = getattr(saved, item.name), getattr(config, item.name)
        if is_dataclass(new):
            values[item.name] = keep_saved(old, new)
        elif "changeable" not in item.metadata or "stays" in item.metadata:
            values[item.name] = old
    return replace(config, **values)  # type: ignore[type-var]


def leave_schedule(config: T, schedule: str | None) -> T:
    """Return the options of a file or of a saved run without those that `schedule` does
    not read; all of them if none is named."""
    if schedule is None:
        return config
    # The schedule itself changes later, together with its options.
    neutral = {
        name: value
        for name, (reader, value) in SCHEDULE_OPTIONS.items()
        if reader != schedule
    }
    return replace(config, optimizer=replace(config.optimizer, **neutral))  # type: ignore[type-var]


def differences(saved: Any, config: Any) -> list[str]:
    """Return a line for each option of `config` that contradicts the `saved` one;
    changeable options do not count."""
    lines = []
    # Fields of nested dataclasses are named without their prefix, as at the command line.
    for item in fields(config):
        old, new = getattr(saved, item.name), getattr(config, item.name)
        if is_dataclass(new):
            lines += differences(old, new)
        elif "changeable" not in item.metadata and old != new:
            lines.append(f"{item.name}: the run has {as_json(old)}, now {as_json(new)}")
    return lines
