"""`python -m train.export --work-dir RUN --output CKPT`: write the networks of a run as
a checkpoint that `infer` reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import tyro
from rich.console import Console

from jaxportrait.checkpoint import (
    DRIVER,
    Checkpoint,
    CheckpointError,
    Contents,
    Crop,
    DriverEntry,
    Leaves,
    StorageType,
    check_destination,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.checkpoint.description import (
    FORMAT_1_KEYPOINTS,
    decode_block,
    decode_parts,
    upgrade_part,
)
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.motion.space import KeypointGroups, MotionStatistics
from jaxportrait.ranges import Guidance, OptionError, Range, check_ranges
from jaxportrait.whole import reserve
from train.data.dataset import network_identity
from train.diffusion.config import ENCODER
from train.diffusion.step import DIFFUSION
from train.engine.adapters import merge_adapters
from train.engine.checkpoints import FOLDER, RANKS, Checkpoints
from train.engine.config import LoraConfig, read_saved

MelBins = Annotated[int, Range(1, 1024)]
LEAST_DEVIATION = 1e-6
"""Deviation, in a checkpoint, of a value that never changed in training."""
SUMMARY = """Write one checkpoint of the networks that a run has trained and the parts
that it has not."""
EXAMPLE = "--work-dir runs/flow --output checkpoints/mine"


@dataclass(frozen=True)
class Options:
    """Write the networks that a run has trained, and the parts that it has not, as one
    checkpoint.

    Attributes:
      work_dir: folder of the run.
      output: the checkpoint to write.
      weights: averaged (`ema`) or as last updated (`raw`); by default, the choice of
        the run's configuration.
      step: a saved step; `best` ranks by the lips of held-out clips where they were
        sampled, and by the validation loss otherwise, `best-loss` always by the loss;
        the last by default.
      checkpoint: checkpoint of the parts that were not trained; the run's by default.
      log_mel: number of bins of a log-mel spectrogram that becomes the audio encoder;
        before `train.process`, with no flow transformer yet.
      cfg_scale: default guidance of inference; `train.evaluate` compares values.
      dtype: dtype of the stored weights; `float16` needs half the space.
      overwrite: replace a checkpoint that exists at `output`.
    """

    work_dir: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    output: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    weights: Literal["ema", "raw"] | None = None
    step: Annotated[str | None, tyro.conf.arg(metavar="STEP|best|best-loss")] = None
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    log_mel: Annotated[MelBins | None, tyro.conf.arg(metavar="BINS")] = None
    cfg_scale: Guidance | None = None
    dtype: StorageType = "float32"
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)
        # one line, where a union of types would fail in many
        step = self.step
        if step is not None and step not in RANKS and not step.isdecimal():
            raise OptionError(
                f"step is {step!r}: name a saved step by its number, or choose {' or '.join(RANKS)}"
            )


def main() -> None:
    options = parse_options(Options, "train.export", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error():
        summary = export(options)
        Console().print(summary, highlight=False, soft_wrap=True)


def export(options: Options) -> str:
    """Write the checkpoint; return a line about its content.

    Raises:
      CheckpointError: there is no such run or step, or the output exists.
    """
    # Before weights are read: they are large.
    check_destination(options.output.absolute(), overwrite=options.overwrite)
    with reserve(options.output):
        return write_export(options)


def write_export(options: Options) -> str:
    """Do what `export` does, without checking the output first."""
    run, step, kind, weights, statistics = read_run(options)
    path = options.checkpoint or run["checkpoint"]
    frozen = None if path is None else open_checkpoint(path)
    contents, rest = untrained_parts(frozen, list(run["trained"]))
    contents, trained = add_trained(contents, run["trained"])
    if "keypoints" in run:
        contents = with_keypoints(contents, run["keypoints"])
    if run["stage"] == "flow":
        # A flow transformer becomes a driver, guided as the one that it replaces.
        previous = frozen.drivers.get(DRIVER) if frozen is not None else None
        encoder = _encoder_of(run, contents, frozen)
        config = run["config"]
        levels = run.get("emotion_levels", {})
        driver = make_driver(encoder, config["motion_space"], previous, levels)
        drivers = {DRIVER: DriverEntry(driver, without_zeros(statistics))}
        contents = replace(contents, drivers={**contents.drivers, **drivers})
    if run["stage"] == "diffusion":
        driver = make_diffusion_driver(contents, run, frozen)
        drivers = {DIFFUSION: DriverEntry(driver, without_zeros(statistics))}
        contents = replace(contents, drivers={**contents.drivers, **drivers})
    if options.log_mel is not None:
        contents, rest = with_log_mel(contents, rest, options.log_mel)
    if options.cfg_scale is not None:
        name = DIFFUSION if run["stage"] == "diffusion" else DRIVER
        contents = with_guidance(contents, options.cfg_scale, name)
    save_checkpoint(
        options.output,
        contents,
        rest | by_part(weights, trained),
        # Files belong to the drivers and networks that are copied.
        files={} if frozen is None else frozen.files,
        dtype=options.dtype,
        overwrite=options.overwrite,
    )
    others = ", ".join(rest) or "nothing else"
    return f"{options.output}: {kind} weights of step {step}, with {others}"


class Trained(NamedTuple):
    """Weights of a saved step.

    Attributes:
      run: identity of the run.
      step: number of the step.
      kind: `ema` or `raw`.
      weights: weights and batch statistics by dotted path.
      statistics: mean and deviation of the motion space, where there is one.
    """

    run: dict[str, Any]
    step: int
    kind: str
    weights: Leaves
    statistics: MotionStatistics | None


def read_run(options: Options) -> Trained:
    """Read the weights of the step that the options choose."""
    if not (options.work_dir / FOLDER).is_dir():
        raise CheckpointError(
            f"no run at {options.work_dir}: pass the --work-dir that `python -m train` had"
        )
    checkpoints = Checkpoints(options.work_dir)
    try:
        step = choose_step(checkpoints, options.step, options.work_dir)
        run = checkpoints.run(step)
        kind = options.weights or run["config"]["export_weights"]
        weights, statistics = checkpoints.weights(step, kind)
        return Trained(run, step, kind, merge(weights, run["config"]), statistics)
    finally:
        checkpoints.close()


def merge(weights: Leaves, config: Mapping[str, Any]) -> Leaves:
    """Return a run's weights with its adapters merged, where it has some."""
    # Stages without adapters, and runs of earlier versions, have no such option.
    lora = read_saved(config.get("lora", {}), LoraConfig)
    return merge_adapters(weights, lora) if lora.rank else weights


def untrained_parts(
    frozen: Checkpoint | None, trained: list[str]
) -> tuple[Contents, dict[str, Leaves]]:
    """Return a checkpoint's contents without the parts in `trained`, and their weights.

    The contents are empty where there is no checkpoint.
    """
    if frozen is None:
        # Only renderer runs need none. They name their groups of keypoints, and those
        # from before format 2 have the groups that format 1 implied.
        return Contents(keypoints=FORMAT_1_KEYPOINTS), {}
    parts = {
        part: config for part, config in frozen.parts.items() if part not in trained
    }
    # A driver whose transformer was trained comes back with the new one.
    drivers = {
        name: driver
        for name, driver in frozen.drivers.items()
        if driver.config.motion_part not in trained
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
        # Runs on older frames do not name the detector.
        detector = trained.get("crop_detector")
        crop = Crop(trained["image_size"], trained["crop_zoom"], detector)
    parts = {**contents.parts, **decode_parts(blocks)}
    return replace(contents, parts=parts, crop=crop), list(blocks)


def with_keypoints(contents: Contents, groups: Mapping[str, Any]) -> Contents:
    """Return `contents` with the groups of keypoints that a renderer run names.

    Args:
      contents: contents of the checkpoint to write.
      groups: eyes, brows and lips, as JSON keeps them.
    """
    keypoints = decode_block(groups, KeypointGroups, "keypoints")
    return replace(contents, keypoints=keypoints)


def without_zeros(statistics: MotionStatistics | None) -> MotionStatistics | None:
    """Return statistics whose deviations are all above 0, as checkpoints require.

    A value that never changed in training stays at its mean, to a millionth.
    """
    if statistics is None:
        return None
    deviation = np.asarray(statistics.std)
    positive = np.where(deviation > 0, deviation, LEAST_DEVIATION)
    return replace(statistics, std=positive.astype(deviation.dtype))


def make_driver(
    encoder: str,
    space: str,
    previous: DriverEntry | None,
    levels: Mapping[str, int],
) -> FlowDriverConfig:
    """Return the driver of a trained flow transformer, guided as the previous one.

    Args:
      encoder: part that encodes sound.
      space: name of the motion space.
      previous: driver that it replaces; None for none.
      levels: emotion -> its highest level.
    """
    config = FlowDriverConfig(
        features=encoder,
        space=space,
        emotion_names=tuple(levels),
        emotion_levels=tuple(levels.values()),
    )
    if previous is None:
        return config
    return replace(config, cfg_scale=previous.config.cfg_scale)


def _encoder_of(
    run: Mapping[str, Any], contents: Contents, frozen: Checkpoint | None
) -> str:
    """Return the name of the audio encoder that a run's features are of.

    Raises:
      CheckpointError: there is none.
    """
    encoders = contents.with_role("audio features")
    if len(encoders) == 1:
        return encoders[0]
    # Of several, the one that made the features.
    identity = run["dataset"]["audio_encoder"]
    for name in encoders:
        if frozen is not None and network_identity(frozen, name) == identity:
            return name
    raise CheckpointError(
        f"the checkpoint holds {' and '.join(encoders) or 'no audio encoder'}: pass a "
        "--checkpoint with the one that made the features"
    )


def make_diffusion_driver(
    contents: Contents, run: Mapping[str, Any], frozen: Checkpoint | None
) -> DiffusionDriverConfig:
    """Return the driver of a trained denoiser, guided as the previous one."""
    encodes = run["config"]["encoder"] != "stored"
    features = ENCODER if encodes else _encoder_of(run, contents, frozen)
    config = DiffusionDriverConfig(features=features, space=run["space"])
    previous = None if frozen is None else frozen.drivers.get(DIFFUSION)
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
            f"--log-mel {mel_bins} would change what the flow transformer hears: choose the "
            "audio encoder before `python -m train.process`, and train on its features"
        )
    encoders = contents.with_role("audio features")
    configs = {
        part: config for part, config in contents.parts.items() if part not in encoders
    }
    leaves = {part: item for part, item in parts.items() if part not in encoders}
    contents = replace(contents, parts={**configs, "log_mel": LogMelConfig(mel_bins)})
    return contents, {**leaves, "log_mel": {}}


def with_guidance(contents: Contents, cfg_scale: float, name: str) -> Contents:
    """Return `contents` with another default scale of guidance.

    Raises:
      CheckpointError: there is no driver, to which the scale belongs.
    """
    driver = contents.drivers.get(name)
    if driver is None:
        raise CheckpointError(
            f"--cfg-scale {cfg_scale:g} belongs to a driver, and there is no {name}: pass it "
            "when one is exported"
        )
    config = replace(driver.config, cfg_scale=cfg_scale)
    drivers = {**contents.drivers, name: replace(driver, config=config)}
    return replace(contents, drivers=drivers)


def by_part(weights: Leaves, parts: list[str]) -> dict[str, Leaves]:
    """Return the weights of each part that was trained; the flow transformer's names
    have no prefix."""
    # A run of several networks has names such as `motion.expression.kernel`.
    if parts == ["flow_transformer"]:
        return {"flow_transformer": weights}
    # A discriminator is no part of a portrait, and stays behind.
    leaves: dict[str, dict[str, np.ndarray]] = {part: {} for part in parts}
    for name, leaf in weights.items():
        part, _, path = name.partition(".")
        if part in leaves:
            leaves[part][path] = leaf
    return dict(leaves)


def choose_step(checkpoints: Checkpoints, step: str | None, work_dir: Path) -> int:
    """Return the step that a number or a rank names; None is the last.

    Raises:
      CheckpointError: no step was saved, or none was validated.
    """
    if not checkpoints.steps:
        raise CheckpointError(
            f"{work_dir} holds no checkpoint yet: let the run save one (--save-every)"
        )
    if step is None:
        return checkpoints.steps[-1]
    for rank in RANKS:
        if step == rank:
            return checkpoints.best(rank)
    return int(step)


if __name__ == "__main__":
    main()
