"""Windows: plans, noise by frame, and an integration that leaves no seam."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.drivers.integrate import integrate
from jaxportrait.drivers.windows import (
    WindowPlan,
    blend_weights,
    frame_noise,
    plan_windows,
    plans_up_to,
)
from tests.drivers.flows import CONFIG, towards

FRAMES = 30 * 120
OFFSETS = np.random.default_rng(0).normal(0, 0.3, 256)


def window_targets(plan: WindowPlan, offsets: np.ndarray) -> np.ndarray:
    """Return sin(2 pi f / 10) plus an offset of the window's own."""
    wave = np.sin(2 * np.pi * plan.frame_index / 10)
    offset = np.resize(offsets, plan.capacity)
    return wave + offset[:, None]


def add_windows(plan: WindowPlan, values: np.ndarray) -> np.ndarray:
    """Add up the values that windows have at each frame."""
    total = np.zeros(plan.frames)
    np.add.at(total, plan.frame_index, values)
    return total


def integrate_towards(
    frames: int, mode: str, offsets: np.ndarray, **options
) -> tuple[np.ndarray, WindowPlan, int]:
    """Integrate windows whose flows end at `window_targets`."""
    plan, count = plan_windows(frames, CONFIG, mode)
    targets = window_targets(plan, offsets)[..., None]
    settings = {"plan": plan, "steps": 25, "guided": False, **options}
    program = partial(integrate, towards, None, guidance=1.0, **settings)
    motion = jax.jit(program)(
        frame_noise(jax.random.key(0), plan.frames, 1),
        jnp.asarray(targets, jnp.float32),
        # Without guidance the null condition is not read.
        jnp.zeros((1, 30, 1)),
        jnp.asarray(count),
    )
    return np.asarray(motion)[:frames, 0], plan, count


def seam_measure(motion: np.ndarray, plan: WindowPlan, count: int) -> float:
    """Return the mean second difference at window starts and ends over that inside."""
    # The second difference i is centred on frame i + 1.
    bends = np.abs(np.diff(motion, n=2))
    inner = np.arange(1, motion.size - 1)
    starts = np.arange(count) * plan.stride
    ends = starts + plan.motion_frames
    borders = np.concatenate([starts, ends])
    # Frames right before and right after a border count.
    before = np.isin(inner + 1, borders)
    after = np.isin(inner, borders)
    at_border = before | after
    inside = bends[~at_border].mean()
    return float(bends[at_border].mean() / inside)


def test_fused_windows_leave_no_seam():
    motion, plan, count = integrate_towards(FRAMES, "fused", OFFSETS)
    agreed, _, _ = integrate_towards(FRAMES, "fused", np.zeros(256))
    assert seam_measure(motion, plan, count) <= 1.2
    # Windows that disagree do not flatten the motion that they share.
    share = motion[15:-15].std() / agreed[15:-15].std()
    assert share >= 0.9


def test_the_seam_measure_finds_the_seams_of_independent_windows():
    motion, plan, count = integrate_towards(FRAMES, "independent", OFFSETS)
    assert seam_measure(motion, plan, count) > 1.2


def test_fused_windows_reach_the_blend_of_their_targets():
    offsets = np.array([0.3, -0.2, 0.1, 0.4])
    motion, plan, count = integrate_towards(60, "fused", offsets)
    weights = np.asarray(blend_weights(plan, jnp.asarray(count)))
    targets = window_targets(plan, offsets)
    expected = add_windows(plan, weights * targets)
    np.testing.assert_allclose(motion, expected[:60], atol=2e-6)


def test_a_constraint_holds_before_every_step_and_at_the_end():
    times = []

    def record(time):
        times.append(float(time))

    def hold(state, time):
        jax.debug.callback(record, time)
        return state.at[:5].set(7.0)

    options = {"constraint": hold, "steps": 4}
    motion, _, _ = integrate_towards(30, "fused", np.zeros(1), **options)
    # Callbacks run beside the program.
    jax.effects_barrier()
    assert sorted(times) == [0, 0.25, 0.5, 0.75, 1]
    wave = np.sin(np.arange(30) / 5 * np.pi)
    np.testing.assert_array_equal(motion[:5], 7)
    np.testing.assert_allclose(motion[5:], wave[5:], atol=2e-6)


@pytest.mark.parametrize(
    ("mode", "frames"), [("fused", 31), ("fused", 400), ("independent", 95)]
)
def test_weights_sum_to_one_over_every_frame(mode, frames):
    plan, count = plan_windows(frames, CONFIG, mode)
    weights = np.asarray(blend_weights(plan, jnp.asarray(count)))
    total = add_windows(plan, weights)
    np.testing.assert_allclose(total[:frames], 1, atol=1e-6)
    # Windows beyond the clip have no weight.
    assert not weights[count:].any()


@pytest.mark.parametrize("frames", [1, 30, 31, 45, 46, 1000])
@pytest.mark.parametrize("mode", ["fused", "independent"])
def test_windows_cover_every_frame_and_no_more(mode, frames):
    plan, count = plan_windows(frames, CONFIG, mode)
    covered = plan.stride * (count - 1) + 30
    assert covered >= frames
    assert count == 1 or covered - plan.stride < frames
    # Five features last as long as three frames.
    assert plan.features_of(count) == covered * 5 // 3
    assert plan.capacity >= count
    assert plan.capacity % plan.group == 0


@pytest.mark.parametrize(
    ("frames", "capacity", "group"),
    [
        (1, 1, 1),
        (30, 1, 1),
        (31, 2, 2),
        (61, 4, 4),
        # Six windows get room for eight, and a CPU evaluates four at once.
        (91, 8, 4),
    ],
)
def test_short_clips_do_no_more_than_they_need(frames, capacity, group):
    plan, count = plan_windows(frames, CONFIG)
    assert plan.capacity == capacity
    assert plan.group == group
    assert capacity < 2 * count
    plans = plans_up_to(frames, CONFIG)
    assert plans[-1] == plan
    doublings = range(capacity.bit_length())
    assert [plan.capacity for plan in plans] == [2**i for i in doublings]


def test_a_frame_has_the_same_noise_in_every_clip_and_window():
    key = jax.random.key(3)
    short = frame_noise(key, 75, 18)
    long = frame_noise(key, 315, 18)
    # A window of live sound may start before the clip.
    window = frame_noise(key, 30, 18, start=-5)
    np.testing.assert_array_equal(short, long[:75])
    np.testing.assert_array_equal(window[5:], long[:25])
    # Some float32 values coincide by chance.
    different = np.unique(np.asarray(long)).size
    assert different > 0.99 * long.size
