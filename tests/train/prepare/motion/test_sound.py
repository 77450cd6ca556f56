"""Sound that is stored, and heard in other rooms as well."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import Audio
from jaxportrait.ranges import OptionError
from tests.train.videos import save_tiny_checkpoint, write_mead_clip
from train.data.augment import SoundAugmentation, augment_stream
from train.data.dataset import Dataset, open_dataset
from train.prepare.motion.extract import MotionRecipe
from train.prepare.motion.run import Options, process

# A room and a noise at any rate.
ROOM = SoundAugmentation(noise=1.0, reverberation=1.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("mead")
    for subject in ("M003", "W009"):
        write_mead_clip(root, subject, "angry", 1, "001")
    return root


@pytest.fixture(scope="module")
def dataset(videos, checkpoint, tmp_path_factory) -> Dataset:
    output = tmp_path_factory.mktemp("processed") / "out"
    recipe = MotionRecipe(
        checkpoint=checkpoint, detector="haar", keep_sound=True, augment_sound=2
    )
    options = Options(
        dataset_path=videos, output_path=output, recipe=recipe, augmentation=ROOM
    )
    process(options, Console(quiet=True))
    return open_dataset(output)


def test_training_clips_are_heard_in_other_rooms_and_held_out_ones_are_not(
    dataset, videos, checkpoint
):
    train = list(dataset.clips("train"))
    held_out = list(dataset.clips("validation"))
    assert (len(train), len(held_out)) == (3, 1)
    assert dataset.sizes["train"].windows == 3 * dataset.sizes["validation"].windows
    encoder = load_features(open_checkpoint(checkpoint))
    # The recording itself, and each augmentation of it.
    name = train[0].clip
    sound = videos / name.replace("video/front", "audio").replace(".mp4", ".m4a")
    stream = Audio.open(sound).stream
    streams = [stream, *(augment_stream(stream, name, i, ROOM) for i in range(2))]
    for record, source in zip(train, streams, strict=True):
        samples = np.concatenate(list(source()))[: record.sound.size]
        stored = record.sound[: samples.size] / 32_768
        np.testing.assert_allclose(stored, samples, atol=1.01 / 32_768)
        expected = encoder.encode(source, len(record.features)).astype(np.float16)
        np.testing.assert_array_equal(record.features, expected)
        np.testing.assert_array_equal(record.motion, train[0].motion)
        assert record.augmented_features is None
        assert record.augmented_sound is None
    assert np.abs(train[1].sound - train[2].sound.astype(int)).max() > 300


def test_motion_counts_once_in_the_statistics(dataset):
    motion = next(iter(dataset.clips("train"))).motion.astype(np.float64)
    np.testing.assert_allclose(dataset.mean, motion.mean(axis=0), rtol=1e-12)
    deviation = motion.std(axis=0, ddof=1)
    np.testing.assert_allclose(dataset.deviation, deviation, rtol=1e-12)


def test_ranges_make_another_data_set_and_need_a_number(checkpoint):
    plain = MotionRecipe(checkpoint=checkpoint, detector="haar")
    assert plain.sound_facts() == []
    with pytest.raises(OptionError, match="augment_sound is 0: choose 1 or more"):
        replace(plain, augmentation=ROOM)
    once = replace(plain, augment_sound=1)
    facts = [
        recipe.sound_facts()
        for recipe in (
            once,
            replace(once, augmentation=ROOM),
            replace(once, augment_sound=2),
            replace(once, keep_sound=True),
        )
    ]
    assert all(facts.count(fact) == 1 for fact in facts)
