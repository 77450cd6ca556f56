"""Export of a training run: options, and the checkpoint that is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxportrait.checkpoint import (
    DRIVER,
    StorageType,
    check_destination,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.ranges import Guidance, OptionError, Range, check_ranges
from jaxportrait.whole import reserve
from train.engine.checkpoints import RANKS
from train.export.drivers import DRIVERS, with_driver, with_guidance
from train.export.parts import (
    add_trained,
    by_part,
    untrained_parts,
    with_keypoints,
    with_log_mel,
)
from train.export.run import read_run

MelBins = Annotated[int, Range(1, 1024)]


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
    run, step, kind, weights, statistics = read_run(
        options.work_dir, options.step, options.weights
    )
    path = options.checkpoint or run["checkpoint"]
    frozen = None if path is None else open_checkpoint(path)
    contents, rest = untrained_parts(frozen, list(run["trained"]))
    contents, trained = add_trained(contents, run["trained"])
    if "keypoints" in run:
        contents = with_keypoints(contents, run["keypoints"])
    contents = with_driver(contents, run, frozen, statistics)
    if options.log_mel is not None:
        contents, rest = with_log_mel(contents, rest, options.log_mel)
    if options.cfg_scale is not None:
        # Other stages copy the driver of a flow transformer.
        name = DRIVERS.get(run["stage"], DRIVER)
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
