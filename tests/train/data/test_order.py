"""Order of samples: rounds of windows, and turns of data sets."""

from collections import Counter

import numpy as np
import pytest

from train.data.order import Order, Schedule

COUNTS = (5, 0, 1, 31)


def round_of(order: Order, turn: int) -> list[tuple[int, int]]:
    """Return clip and number of each sample of a round."""
    start = turn * len(order)
    return [order.place(start + index) for index in range(len(order))]


def test_a_round_has_every_sample_once():
    order = Order(COUNTS, seed=7)
    first, second = round_of(order, 0), round_of(order, 1)
    expected = round_of(Order(COUNTS, seed=7, shuffle=False), 0)
    assert expected == sorted(expected)
    assert len(set(expected)) == sum(COUNTS)
    assert sorted(first) == expected
    assert sorted(second) == expected
    # Each round has an order of its own, and so has each seed.
    assert first != second
    assert first != round_of(Order(COUNTS, seed=8), 0)


def test_clips_count_by_their_length():
    # 3 s and 60 s: 21 and 591 windows.
    order = Order((21, 591), seed=2**64 - 1)
    clips = [clip for clip, _ in round_of(order, 3)]
    assert Counter(clips) == {0: 21, 1: 591}
    # Nor do they come in turn: half of a round has about half of each.
    half = Counter(clips[:306])
    assert half[0] == pytest.approx(10.5, abs=8)


def test_without_shuffling_samples_keep_their_order():
    order = Order(COUNTS, seed=0, shuffle=False)
    places = round_of(order, 0)
    # Five of the first clip, none of the second, one of the third.
    assert places[4:7] == [(0, 4), (2, 0), (3, 0)]
    assert round_of(order, 1) == places


def test_a_schedule_has_each_sequence_by_its_share():
    schedule = Schedule((3.0, 1.0))
    places = np.array([schedule.place(position) for position in range(400)])
    parts, numbers = places.T
    # Positions within a sequence count up without a gap.
    np.testing.assert_array_equal(numbers[parts == 0], np.arange(300))
    np.testing.assert_array_equal(numbers[parts == 1], np.arange(100))
    # Turns are spread evenly: each four have one of the second.
    in_fours = parts.reshape(-1, 4)
    np.testing.assert_array_equal(in_fours.sum(axis=1), 1)


def test_shares_are_rounded_to_a_hundred_thousandth():
    shares = Schedule((0.7, 0.2, 0.1))
    # Each cycle holds whole turns.
    expected = {0: 70, 1: 20, 2: 10}
    assert turns(shares, 100) == expected
    # Seconds of a small set count as those of a large one.
    uneven = Schedule((667.0, 1.0))
    assert turns(uneven, 66_800)[1] == pytest.approx(100, abs=1)
    # A tiny share still has turns.
    rare = Schedule((1e9, 1.0))
    cycle = turns(rare, 100_001)
    # One turn in a whole cycle.
    assert cycle[1] == 1


@pytest.mark.parametrize("size", [2**16, 2**20])
def test_the_order_of_a_round_is_random(size: int):
    order = Order((size,), seed=3)
    # Half of the smaller round.
    positions = range(2**15)
    places = [order.place(position) for position in positions]
    _, numbers = np.array(places).T
    # Neighbours are independent: a correlation of chance is 0.006.
    matrix = np.corrcoef(numbers[1:], numbers[:-1])
    assert abs(matrix[0, 1]) < 0.03
    # Batches scatter as those of independent draws do, by 1 / sqrt(12 * 64).
    batches = numbers.reshape(-1, 64)
    means = batches.mean(axis=1)
    assert means.std() / size == pytest.approx(0.036, rel=0.15)


def test_sets_of_equal_sizes_have_orders_of_their_own():
    # Sets are read by the same seed.
    order = Order(COUNTS, seed=7)
    other = Order(COUNTS, seed=7, part=1)
    # Few samples have the same place in both.
    first = np.array(round_of(order, 0))
    second = np.array(round_of(other, 0))
    same = (first == second).all(axis=1)
    assert same.mean() < 0.3


def turns(schedule: Schedule, count: int) -> Counter[int]:
    """Count the turns of each sequence."""
    return Counter(schedule.place(position)[0] for position in range(count))
