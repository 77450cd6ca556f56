"""Statistics of training data as checkpoints store them."""

import numpy as np

from jaxportrait.checkpoint import check_statistics
from jaxportrait.motion.space import MotionStatistics, denormalize
from train.export import without_zeros


def test_a_value_that_never_changed_stays_at_its_mean():
    mean = np.array([0.5, 2], np.float32)
    statistics = MotionStatistics(mean, np.array([0, 0.25], np.float32))
    exported = without_zeros(statistics)
    assert exported is not None
    check_statistics(exported)
    # The other deviation is as it was.
    assert exported.std[1] == np.float32(0.25)
    values = denormalize(np.array([[3, 1]], np.float32), exported)
    np.testing.assert_allclose(values, [[0.5, 2.25]], atol=1e-5)
    assert without_zeros(None) is None
