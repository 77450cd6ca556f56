"""`python -m train.export --work-dir RUN --output CKPT`: what a run has trained, as a
checkpoint that `infer` reads."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from jaxportrait.checkpoint import (
    Checkpoint,
    CheckpointError,
    Leaves,
    StorageType,
    check_destination,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from jaxportrait.models.config import PortraitConfig, config_from_json
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import NETWORKS
from train.engine.checkpoints import FOLDER, Checkpoints

SUMMARY = """Write one checkpoint of the networks that a run has trained and the parts
that it has not."""
EXAMPLE = "--work-dir runs/flow --output checkpoints/mine"


@dataclass(frozen=True)
class Options:
    """Write what a run has trained, and the parts that it has not, as one checkpoint.

    Attributes:
      work_dir: folder of the run.
      output: the checkpoint to write.
      weights: averaged (`ema`) or as last updated (`raw`); as the run's configuration
        says where it is not given.
      step: a saved step; the last where it is not given.
      checkpoint: of the parts that were not trained; the run's own where it is not
        given.
      log_mel: make the log-mel spectrogram of so many bins the audio encoder; before
        `train.process`, with no flow transformer yet.
      cfg_scale: of the guidance that inference takes where it is told none;
        `train.evaluate` compares them.
      dtype: in which weights are stored: `float16` takes half the space.
      overwrite: replace a checkpoint that stands at `output`.
    """

    work_dir: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    output: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    weights: Literal["ema", "raw"] | None = None
    step: int | None = None
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    log_mel: Annotated[int | None, tyro.conf.arg(metavar="BINS")] = None
    cfg_scale: float | None = None
    dtype: StorageType = "float32"
    overwrite: bool = False


def main() -> None:
    options = parse_options(Options, "train.export", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error():
        summary = export(options)
    Console().print(summary, highlight=False, soft_wrap=True)


def export(options: Options) -> str:
    """Write the checkpoint; a line that says what is in it."""
    check_destination(options.output.absolute(), overwrite=options.overwrite)
    if not (options.work_dir / FOLDER).is_dir():
        raise CheckpointError(
            f"no run at {options.work_dir}: give the --work-dir that `python -m train` had"
        )
    saved = Checkpoints(options.work_dir)
    try:
        step = (
            last_step(saved, options.work_dir) if options.step is None else options.step
        )
        run = saved.run(step)
        weights = options.weights or run["config"]["export_weights"]
        params, statistics = saved.weights(step, weights)
    finally:
        saved.close()
    path = options.checkpoint or run["checkpoint"]
    frozen = None if path is None else open_checkpoint(path)
    config, others = untrained_parts(frozen, list(run["trained"]))
    if statistics is None and frozen is not None:
        statistics = frozen.statistics
    config = config_from_json(asdict(config) | run["trained"])
    if options.log_mel is not None:
        config, others = with_log_mel(config, others, options.log_mel)
    if options.cfg_scale is not None:
        config = replace(config, cfg_scale=options.cfg_scale)
    parts = others | by_part(
        params, [name for name in run["trained"] if name in NETWORKS]
    )
    save_checkpoint(
        options.output,
        config,
        parts,
        statistics,
        dtype=options.dtype,
        overwrite=options.overwrite,
    )
    return f"{options.output}: {weights} weights of step {step}, with {', '.join(others) or 'nothing else'}"


def untrained_parts(
    frozen: Checkpoint | None, trained: list[str]
) -> tuple[PortraitConfig, dict[str, Leaves]]:
    """The config of a checkpoint, and its parts that are not `trained`; nothing where
    there is none."""
    if frozen is None:
        return PortraitConfig(), {}
    return frozen.config, {
        part: frozen.leaves(part) for part in frozen.parts if part not in trained
    }


def with_log_mel(
    config: PortraitConfig, parts: dict[str, Leaves], mel_bins: int
) -> tuple[PortraitConfig, dict[str, Leaves]]:
    """The same with the log-mel as audio encoder, in Whisper's place.

    Raises:
      CheckpointError: there is a flow transformer, which reads the features that it was
        trained on.
    """
    if config.flow_transformer is not None:
        raise CheckpointError(
            f"--log-mel {mel_bins} would change what the flow transformer hears: choose the audio encoder before "
            "`python -m train.process`, and train on its features"
        )
    kept = {part: leaves for part, leaves in parts.items() if part != "whisper"}
    return replace(config, whisper=None, log_mel=LogMelConfig(mel_bins)), kept | {
        "log_mel": {}
    }


def by_part(params: Leaves, parts: list[str]) -> dict[str, Leaves]:
    """The weights of each part that was trained; the flow transformer's names have no
    prefix."""
    if parts == ["flow_transformer"]:
        return {"flow_transformer": params}
    return {
        part: {
            name.removeprefix(f"{part}."): leaf
            for name, leaf in params.items()
            if name.startswith(f"{part}.")
        }
        for part in parts
    }


def last_step(saved: Checkpoints, work_dir: Path) -> int:
    if not saved.steps:
        raise CheckpointError(
            f"{work_dir} holds no checkpoint yet: let the run save one (--save-every)"
        )
    return saved.steps[-1]


if __name__ == "__main__":
    main()
