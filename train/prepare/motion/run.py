"""A run of processing: videos -> motion and audio features of their clips, as a data
set."""

from dataclasses import dataclass, field, replace
from typing import Literal

import tyro
from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.motion.space import MOTION_FPS
from train.data.augment import SoundAugmentation
from train.data.dataset import Dataset, network_identity
from train.data.records import ClipRecord, decode_record
from train.prepare.gather import gather
from train.prepare.manifest import Entry
from train.prepare.motion.extract import MotionRecipe
from train.prepare.motion.judge import LipJudge, LipSoundOptions
from train.prepare.motion.lag import shift_record
from train.prepare.motion.write import with_variants, write_dataset
from train.prepare.options import ClipOptions
from train.prepare.quality.gates import MotionGates
from train.prepare.report import Facts

MotionName = Literal["lip", "face"]


@dataclass(frozen=True, kw_only=True)
class Options(ClipOptions):
    """Make a motion data set out of talking-head videos. An interrupted run resumes
    when it is started again.

    Attributes:
      recipe: networks and detector that make a clip's motion and audio features.
      motion: motion space that training uses unless it is told another; all of the
        motion is stored.
      gates: limits of what may be wrong with a clip.
      lip_sound: comparison of lips and sound.
      augmentation: ranges from which augmentations of the sound are drawn.
    """

    recipe: tyro.conf.OmitArgPrefixes[MotionRecipe]
    motion: MotionName = "lip"
    gates: tyro.conf.OmitArgPrefixes[MotionGates] = field(default_factory=MotionGates)
    lip_sound: tyro.conf.OmitArgPrefixes[LipSoundOptions] = field(
        default_factory=LipSoundOptions
    )
    augmentation: SoundAugmentation = field(default_factory=SoundAugmentation)


def process(options: Options, console: Console) -> tuple[Dataset, list[Entry]]:
    """Process the missing clips, and write the data set of all.

    Raises:
      ValueError, OSError: an error of the whole job; a clip's own error is in its
        entry.
    """
    recipe = replace(options.recipe, augmentation=options.augmentation)
    judge = LipJudge(options.lip_sound, recipe.reads_mesh(), console)
    with gather(options, recipe, console, judge) as records:

        def read(name: str) -> ClipRecord:
            entry = records.entry(name)
            record = decode_record(records.read(name))
            lag = entry.lag or 0
            # a lag is removed where the entry's spans are without it
            return shift_record(record, lag) if options.lip_sound.fix_lag else record

        # identity and width of the features are those of the networks
        checkpoint = open_checkpoint(recipe.checkpoint)
        encoder = checkpoint.encoder(recipe.audio_encoder)
        dataset = write_dataset(
            options.output_path,
            with_variants(records.pieces, recipe.augment_sound),
            read,
            feature_width=checkpoint.sizes(encoder).width,
            audio_encoder=network_identity(checkpoint, encoder),
            motion_space=options.motion,
        )
    return dataset, records.entries


def facts(dataset: Dataset) -> Facts:
    """Return the facts about the splits for the table at the end."""
    return {
        split: {
            "clips": str(size.clips),
            "frames": str(size.frames),
            "minutes": f"{size.frames / MOTION_FPS / 60:.1f}",
            "windows": str(size.windows),
        }
        for split, size in dataset.sizes.items()
    }
