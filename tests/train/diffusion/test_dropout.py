"""Dropout within the networks of a step."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx
from jax import random
from numpy.testing import assert_allclose

from jaxportrait.features.waveform import pad_window
from jaxportrait.ops.dropout import KEEP, Dropout
from tests.train.diffusion.worlds import (
    CONFIG,
    SIZE,
    encoder_leaves,
    make_batch,
    state_of,
    step_config,
)
from train.diffusion.networks import build
from train.diffusion.step import draw, predict, total_loss, train_step
from train.engine.config import ConfigError

pytestmark = pytest.mark.usefixtures("optax_promotion")


def test_an_update_has_dropout_that_its_key_decides():
    small = replace(SIZE, blocks=1)
    step = step_config(replace(CONFIG, denoiser=small, dropout=0.5, batch_size=2))
    state = state_of(step)
    batch = make_batch(step)
    # An update folds its number into the key.
    key = random.key(0)
    draws = draw(step, random.fold_in(key, 0), batch["row"])

    @partial(jax.jit, static_argnames="rate")
    def loss(rate: float) -> jax.Array:
        networks = build(step, state.params)
        drop = Dropout(draws.key, rate)
        halves = predict(networks, batch, draws, drop)
        return total_loss(step, halves, [half.rows for half in halves])

    update = jax.jit(partial(train_step, step, {}))
    _, metrics = update(key, state, batch)
    assert metrics["loss"] == pytest.approx(float(loss(0.5)), rel=1e-5)
    assert metrics["loss"] != pytest.approx(float(loss(0.0)), rel=1e-2)


def test_blocks_of_an_encoder_that_learns_are_left_out():
    config = replace(CONFIG, encoder="trained", batch_size=2)
    with pytest.raises(ConfigError, match=r"block_dropout is 0\.5, and belongs to"):
        replace(config, encoder="frozen", block_dropout=0.5)
    step = step_config(config)
    state = state_of(step)
    networks = build(step, encoder_leaves(step) | state.params)
    batch = make_batch(step)
    sound = batch["sound"][:, 0]
    encode = nnx.jit(networks.encode, static_argnums=1)
    key = random.key(0)
    keys = random.split(key, len(sound))
    # Its only block is left out.
    drop = Dropout(keys, 0.0, 0.9999)
    features = encode(sound, drop)
    encoder = networks.encoder
    padded = pad_window(sound)
    convolved = encoder.convolve(padded)
    projected = encoder.project(convolved)
    embedded = encoder.embed(projected)
    assert_allclose(features, embedded, atol=1e-5)
    difference = np.abs(encode(sound, KEEP) - embedded)
    assert difference.max() > 0.1
