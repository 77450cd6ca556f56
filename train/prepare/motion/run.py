"""A run of processing: videos -> motion and audio features of their clips, as a data
set."""

from typing import Literal

from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from train.data.records import Dataset, decode_record, network_identity
from train.prepare.gather import Job, gather
from train.prepare.manifest import Entry
from train.prepare.motion.extract import Settings
from train.prepare.motion.write import write_dataset

MotionName = Literal["lip", "face"]


def process(
    job: Job[Settings], console: Console, motion: MotionName = "lip"
) -> tuple[Dataset, list[Entry]]:
    """Process the clips that are not done yet, and write the data set of all.

    Args:
      motion: the motion space that training takes from the data set where it is told no
        other; all of the motion is stored.

    Raises:
      ValueError, OSError: what is wrong with the job as a whole; a clip's own errors
        are in its entry.
    """
    if job.recipe.batch_size < 1:
        raise ValueError(
            f"--batch-size must be at least 1, got {job.recipe.batch_size}"
        )
    found = gather(job, console)
    checkpoint = open_checkpoint(job.recipe.checkpoint)
    encoder = checkpoint.config.audio_encoder
    dataset = write_dataset(
        job.output_path,
        found.pieces,
        lambda name: decode_record(found.read(name)),
        feature_width=checkpoint.sizes(encoder).width,
        audio_encoder=network_identity(checkpoint, encoder),
        motion_space=motion,
    )
    return dataset, found.entries
