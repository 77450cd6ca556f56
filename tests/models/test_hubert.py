"""HuBERT's encoder: its sizes, and the norm that spans a window."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.models.hubert import HubertConfig
from jaxportrait.models.parts import abstract
from tests.models.networks import call, drawn
from tests.models.test_networks import parameters


def test_the_base_size_has_the_published_parameters():
    """The published ones also hold a training token, a length for each of 128 taps, and
    12 key biases, which have no influence."""
    published = 94_371_712
    assert parameters(abstract(HubertConfig.full())) == published - 768 - 128 - 12 * 768


def test_samples_that_make_a_feature_are_320():
    network = drawn(HubertConfig.tiny())
    samples = jnp.asarray(np.random.default_rng(0).normal(size=(2, 12_880)), "float32")
    (features,) = call(network, [samples])
    assert features.shape == (2, 40, 16)
    assert np.isfinite(features).all()


def test_every_feature_depends_on_the_whole_window():
    network = drawn(HubertConfig.tiny())
    samples = np.random.default_rng(0).normal(size=(1, 12_880)).astype(np.float32)
    changed = samples.copy()
    changed[0, -500:] *= 4
    (features,) = call(network, [jnp.asarray(samples)])
    (others,) = call(network, [jnp.asarray(changed)])
    assert (np.abs(features - others).max(axis=-1) > 1e-4).all()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"heads": 7}, "heads is 7: it must divide the width, 768"),
        ({"position_groups": 5}, "position_groups is 5: it must divide the width, 768"),
        ({"position_taps": 127}, "position_taps is 127: it must be even"),
    ],
)
def test_sizes_that_no_network_has_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        HubertConfig(**sizes)
