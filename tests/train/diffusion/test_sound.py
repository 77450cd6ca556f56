"""Augmentation of the sound that an encoder reads within the step."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx
from jax import random

from jaxportrait.checkpoint import (
    Contents,
    Crop,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.models.parts import build
from tests.train.diffusion.worlds import (
    CONFIG,
    FEATURE_WIDTH,
    SIZE,
    encoder_leaves,
    make_batch,
    make_record,
    state_of,
    step_config,
)
from train.data.augment import SoundAugmentation
from train.data.shards import DatasetError
from train.diffusion.config import ENCODER, SPACE, DiffusionConfig
from train.diffusion.data import FRAME_SAMPLES
from train.diffusion.networks import StepConfig
from train.diffusion.stage import step_encoder
from train.diffusion.step import augment_batch, train_step
from train.engine.config import ConfigError
from train.prepare.motion.write import write_dataset
from train.prepare.split import Piece

pytestmark = pytest.mark.usefixtures("optax_promotion")
ROOM = SoundAugmentation(noise=1.0, reverberation=1.0)
HALF = replace(CONFIG, encoder="frozen", augmented=0.5, augmentation=ROOM)


@pytest.fixture(scope="module")
def step() -> StepConfig:
    return step_config(HALF)


@pytest.fixture(scope="module")
def batch(step) -> dict[str, jax.Array]:
    return make_batch(step)


def sound_of(step: StepConfig, key: jax.Array, batch: dict) -> np.ndarray:
    change = jax.jit(partial(augment_batch, step))
    return np.asarray(change(key, batch)["sound"])


def test_a_share_of_the_pairs_is_changed_whatever_the_order(step, batch):
    key = random.key(1)
    changed = sound_of(step, key, batch)
    clean = np.asarray(batch["sound"])
    is_changed = np.any(changed != clean, axis=(1, 2))
    assert 1 <= is_changed.sum() < len(clean)
    # Draws belong to rows, whatever place or device holds them.
    order = np.arange(len(clean))[::-1]
    reverse = {name: leaf[order] for name, leaf in batch.items()}
    np.testing.assert_array_equal(sound_of(step, key, reverse), changed[order])
    # The next update has other rooms.
    later = sound_of(step, random.key(2), batch)
    assert np.any(later != changed)
    assert np.abs(changed).max() <= 1


def test_silence_after_a_clip_stays_silent(step, batch):
    whole = replace(step, training=replace(HALF, augmented=1.0))
    ends = [[20, 20]] * 4 + [[20, 5]] * 4
    real = np.array(ends, np.int32)
    short = {**batch, "real": jax.numpy.asarray(real)}
    changed = sound_of(whole, random.key(1), short)
    end = 5 * FRAME_SAMPLES
    assert np.any(changed[:4, 1, end:])
    assert np.any(changed[4:, 1, :end])
    np.testing.assert_array_equal(changed[4:, 1, end:], 0)


def test_only_an_update_with_a_share_transforms_sound(batch):
    small = replace(HALF, denoiser=replace(SIZE, blocks=1))

    def program(config: DiffusionConfig) -> str:
        step = step_config(config)
        update = partial(train_step, step, encoder_leaves(step))
        traced = jax.make_jaxpr(update)(random.key(0), state_of(step), batch)
        return str(traced)

    # Rooms and noises need Fourier transforms, which nothing else does.
    assert " fft[" in program(small)
    never = replace(small, augmented=0.0, augmentation=SoundAugmentation())
    assert " fft[" not in program(never)


def test_options_without_sound_or_without_a_share_are_refused():
    with pytest.raises(ConfigError, match=r"augmented is 0.5, and stored features"):
        replace(HALF, encoder="stored")
    with pytest.raises(ConfigError, match="ranges, and augmented is 0: choose a share"):
        replace(HALF, augmented=0.0)


@pytest.mark.parametrize("has_sound", [True, False])
def test_a_data_set_without_sound_is_refused_before_work_starts(
    step, tmp_path, has_sound
):
    record = make_record(60)
    if not has_sound:
        record = replace(record, sound=None)
    # The same clip in both splits, under two names.
    pieces = [Piece("a", "train", 0, 60), Piece("b", "validation", 0, 60)]
    dataset = write_dataset(
        tmp_path,
        pieces,
        lambda name: replace(record, clip=name),
        feature_width=FEATURE_WIDTH,
        audio_encoder="",
        motion_space=SPACE,
    )
    # An encoder that reads sound.
    sizes = step.sizes[ENCODER]
    encoder = build(sizes, rngs=nnx.Rngs(0))
    contents = Contents(Crop(64), {ENCODER: sizes})
    save_checkpoint(tmp_path / "base", contents, {ENCODER: leaves_of(encoder)})
    checkpoint = open_checkpoint(tmp_path / "base")
    if has_sound:
        assert step_encoder(HALF, dataset, checkpoint) == sizes
        return
    with pytest.raises(
        DatasetError, match="has clips without sound: process the videos again"
    ):
        step_encoder(HALF, dataset, checkpoint)
