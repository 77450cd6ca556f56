import jax
import pytest


@pytest.fixture
def optax_promotion():
    """Optax promotes integers to floats, which the suite otherwise forbids."""
    with jax.numpy_dtype_promotion("standard"):
        yield
