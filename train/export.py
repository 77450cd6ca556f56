"""`python -m train.export --work-dir RUN --output CKPT`: what a run has trained, as a
checkpoint that `infer` reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from jaxportrait.checkpoint import (
    DRIVER,
    Checkpoint,
    CheckpointError,
    Contents,
    Crop,
    DriverEntry,
    FlowDriverConfig,
    Leaves,
    StorageType,
    check_destination,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.checkpoint.description import (
    FORMAT_1_KEYPOINTS,
    decode_parts,
    upgrade_part,
)
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from jaxportrait.models.log_mel import LogMelConfig
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
    contents, others = untrained_parts(frozen, list(run["trained"]))
    contents, trained = add_trained(contents, run["trained"])
    if run["stage"] == "flow":
        previous = frozen.drivers.get(DRIVER) if frozen is not None else None
        driver = make_driver(contents, run["config"]["motion_space"], previous)
        drivers = {DRIVER: DriverEntry(driver, statistics)}
        contents = replace(contents, drivers={**contents.drivers, **drivers})
    if options.log_mel is not None:
        contents, others = with_log_mel(contents, others, options.log_mel)
    if options.cfg_scale is not None:
        contents = with_guidance(contents, options.cfg_scale)
    save_checkpoint(
        options.output,
        contents,
        others | by_part(params, trained),
        dtype=options.dtype,
        overwrite=options.overwrite,
    )
    return f"{options.output}: {weights} weights of step {step}, with {', '.join(others) or 'nothing else'}"


def untrained_parts(
    frozen: Checkpoint | None, trained: list[str]
) -> tuple[Contents, dict[str, Leaves]]:
    """Return a checkpoint's contents without the parts in `trained`, and their weights.

    The contents are empty where there is no checkpoint.
    """
    if frozen is None:
        # Nothing tells how a new motion extractor places its keypoints.
        return Contents(keypoints=FORMAT_1_KEYPOINTS), {}
    parts = {
        part: config for part, config in frozen.parts.items() if part not in trained
    }
    # A driver whose transformer was trained comes back with the new one.
    drivers = {
        name: driver
        for name, driver in frozen.drivers.items()
        if driver.config.transformer not in trained
    }
    contents = replace(frozen.contents, parts=parts, drivers=drivers)
    return contents, {part: frozen.leaves(part) for part in parts}


def add_trained(
    contents: Contents, trained: Mapping[str, Any]
) -> tuple[Contents, list[str]]:
    """Return `contents` with what a run has trained, and the names of its parts.

    Args:
      trained: part -> sizes as JSON keeps them, and the crop of a renderer.
    """
    # Runs from before format 2 wrote parts as format 1 did.
    blocks = {
        name: upgrade_part(name, sizes)
        for name, sizes in trained.items()
        if isinstance(sizes, Mapping)
    }
    crop = contents.crop
    if "image_size" in trained:
        crop = Crop(trained["image_size"], trained["crop_zoom"])
    parts = {**contents.parts, **decode_parts(blocks)}
    return replace(contents, parts=parts, crop=crop), list(blocks)


def make_driver(
    contents: Contents, space: str, previous: DriverEntry | None
) -> FlowDriverConfig:
    """Return the driver of a trained flow transformer, guided as the previous one.

    Raises:
      CheckpointError: the contents have no audio encoder, or several.
    """
    encoders = contents.with_role("audio features")
    if len(encoders) != 1:
        raise CheckpointError(
            f"the checkpoint holds {' and '.join(encoders) or 'no audio encoder'}: pass a --checkpoint with the one "
            "that made the features"
        )
    config = FlowDriverConfig(features=encoders[0], space=space)
    if previous is None:
        return config
    return replace(config, cfg_scale=previous.config.cfg_scale)


def with_log_mel(
    contents: Contents, parts: dict[str, Leaves], mel_bins: int
) -> tuple[Contents, dict[str, Leaves]]:
    """Return the same with the log-mel as audio encoder, in place of any other.

    Raises:
      CheckpointError: there is a driver, which reads the features that it was trained
        on.
    """
    if contents.drivers:
        raise CheckpointError(
            f"--log-mel {mel_bins} would change what the flow transformer hears: choose the audio encoder before "
            "`python -m train.process`, and train on its features"
        )
    encoders = contents.with_role("audio features")
    configs = {
        part: config for part, config in contents.parts.items() if part not in encoders
    }
    leaves = {part: item for part, item in parts.items() if part not in encoders}
    contents = replace(contents, parts={**configs, "log_mel": LogMelConfig(mel_bins)})
    return contents, {**leaves, "log_mel": {}}


def with_guidance(contents: Contents, cfg_scale: float) -> Contents:
    """Return `contents` with another default scale of guidance.

    Raises:
      CheckpointError: there is no driver, to which the scale belongs.
    """
    driver = contents.drivers.get(DRIVER)
    if driver is None:
        raise CheckpointError(
            f"--cfg-scale {cfg_scale:g} belongs to a flow transformer, and there is none: pass it when one is exported"
        )
    config = replace(driver.config, cfg_scale=cfg_scale)
    drivers = {**contents.drivers, DRIVER: replace(driver, config=config)}
    return replace(contents, drivers=drivers)


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
