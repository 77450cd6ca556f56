"""What every test runs under: a CPU, strict ranks and dtypes, float32 at full precision."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of figures from the published PyTorch code."""
    return Path(__file__).parent / "golden"
