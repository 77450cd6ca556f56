"""Weights of parts of the motion space and of changes from frame to frame."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.motion.space import LIP_KEYPOINTS, MOTION_SPACES
from train.engine.config import ConfigError
from train.flow.config import FlowLosses
from train.flow.losses import Term, choose_terms, weigh

FACE = MOTION_SPACES["face"]
# One sample of three frames of two values.
ERROR = jnp.array([[[1.0, 0.0], [3.0, 0.0], [2.0, 1.0]]])
PLAIN = 15 / 6


def test_terms_are_mean_squares_of_their_values():
    values = Term(2.0, (0,), changes=False)
    assert weigh(ERROR, (values,)) == pytest.approx(PLAIN + 2 * 14 / 3)
    # Changes of the first value: 2 and -1; of the second: 0 and 1.
    changes = Term(10.0, (0,), changes=True)
    assert weigh(ERROR, (changes,)) == pytest.approx(PLAIN + 10 * 5 / 2)
    both = Term(10.0, (0, 1), changes=True)
    assert weigh(ERROR, (both, values)) == pytest.approx(PLAIN + 15 + 28 / 3)


def test_without_weights_the_program_is_that_of_the_plain_error():
    def plain(error):
        return jnp.mean(jnp.square(error))

    def program(loss) -> str:
        named = jax.jit(lambda error: loss(error))
        return named.lower(ERROR).as_text()

    terms = choose_terms(FlowLosses(), FACE, LIP_KEYPOINTS)
    assert program(partial(weigh, terms=terms)) == program(plain)
    other = choose_terms(FlowLosses(head=1.0), FACE, LIP_KEYPOINTS)
    error = jnp.ones((1, 3, FACE.width))
    assert weigh(error, other) == 2.0


def test_parts_are_those_of_the_motion_space_and_of_the_checkpoint():
    losses = FlowLosses(expression=1.0, lips=2.0, lips_velocity=3.0, head_velocity=4.0)
    terms = choose_terms(losses, FACE, (0, 20))
    lips = (0, 1, 2, 60, 61, 62)
    assert terms == (
        Term(1.0, tuple(range(63)), changes=False),
        Term(2.0, lips, changes=False),
        Term(3.0, lips, changes=True),
        Term(4.0, tuple(range(63, 70)), changes=True),
    )
    # JoyVASA's order has the scale and the translation before the pose.
    joyvasa = choose_terms(losses, MOTION_SPACES["joyvasa"], (0, 20))
    assert joyvasa == terms


def test_a_weight_of_a_part_that_the_space_lacks_is_refused():
    lip = MOTION_SPACES["lip"]
    assert choose_terms(FlowLosses(lips=1.0), lip, LIP_KEYPOINTS)
    with pytest.raises(
        ConfigError, match=r"losses.head_velocity is 2, and the .* has no head"
    ):
        choose_terms(FlowLosses(head_velocity=2.0), lip, LIP_KEYPOINTS)
    with pytest.raises(ConfigError, match="has no lips"):
        choose_terms(FlowLosses(lips=1.0), lip, (3,))


def test_the_best_velocity_is_the_mean_with_any_weights():
    # The loss moves no optimum: jitter is not smoothed away, it is learnt sooner.
    rng = np.random.default_rng(0)
    targets = jnp.asarray(rng.standard_normal((5, 8, FACE.width)), jnp.float32)
    losses = FlowLosses(lips=3.0, head=0.5, expression_velocity=10.0)
    terms = choose_terms(losses, FACE, LIP_KEYPOINTS)

    def loss(velocity):
        return weigh(velocity[None] - targets, terms)

    mean = targets.mean(axis=0)
    np.testing.assert_allclose(jax.grad(loss)(mean), 0, atol=1e-6)
    # A smoother velocity is worse, though its changes are smaller.
    smooth = mean.at[1:-1].set((mean[:-2] + mean[1:-1] + mean[2:]) / 3)
    assert loss(smooth) > loss(mean)
