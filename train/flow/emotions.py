"""Emotions as a condition of the flow transformer: those of the data set, and those of a
checkpoint to start from."""

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.drivers.flow import FlowDriverConfig
from train.data.dataset import Dataset
from train.data.labels import emotion_levels
from train.engine.config import ConfigError
from train.flow.config import FlowConfig


def chosen_levels(
    emotions: tuple[str, ...], dataset: Dataset, start: Checkpoint | None = None
) -> dict[str, int]:
    """Return emotion -> its highest level, in the order of `emotions`.

    Args:
      emotions: emotions that are a condition.
      dataset: data set to train on.
      start: checkpoint to start from; clips may lack emotions that it knows.

    Raises:
      ConfigError: no clip has one of the others.
    """
    if not emotions:
        return {}
    levels = emotion_levels(dataset)
    # A strength keeps its meaning when a network is trained further.
    learnt = levels_of(start)
    for emotion in emotions:
        if emotion not in levels and emotion not in learnt:
            present = ", ".join(sorted(levels)) or "no emotions"
            raise ConfigError(
                f"emotions name {emotion}, and the labels of the clips have {present}: choose among those"
            )
    levels |= learnt
    return {emotion: levels[emotion] for emotion in emotions}


def emotions_of(start: Checkpoint | None) -> tuple[str, ...]:
    """Return the emotions that the flow transformer of a checkpoint knows."""
    return tuple(levels_of(start))


def levels_of(start: Checkpoint | None) -> dict[str, int]:
    """Return emotion -> its highest level, of those that the flow transformer of a
    checkpoint knows."""
    if start is None:
        return {}
    for entry in start.drivers.values():
        if isinstance(entry.config, FlowDriverConfig):
            config = entry.config
            return dict(zip(config.emotion_names, config.emotion_levels, strict=True))
    return {}


def check_emotions(start: Checkpoint, config: FlowConfig) -> None:
    """Raise a ConfigError unless a checkpoint to start from has the same emotions, or
    none and all weights are trained."""
    present = emotions_of(start)
    chosen = ", ".join(config.emotions)
    if present and present != config.emotions:
        raise ConfigError(
            f"{start.path} was trained with the emotions {', '.join(present)}, and this run has {chosen}: "
            "leave them out, or choose the same in the same order"
        )
    if config.lora.rank and config.emotions and not present:
        raise ConfigError(
            f"lora.rank is {config.lora.rank}, and {start.path} has not learnt the emotions {chosen}, which "
            "adapters do not learn: leave either out"
        )
