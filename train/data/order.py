"""Order of samples: which clip, and which of its windows, has a position in the endless
sequence of a split."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from math import gcd

import numpy as np

SLOTS = 100_000
"""Shares of data sets are rounded to so many parts."""
ROUNDS = 8
"""Rounds of the permutation's cipher. With 4, the fewest that Grain allows, samples that
follow each other correlate by 0.5 near some numbers of samples, with 6 by 0.05."""


@dataclass(frozen=True)
class Order:
    """Rounds of samples, each of which has every sample once, in an order of its own.

    The order of a round is a permutation by a cipher: it takes no memory, and every
    position is computed by itself.

    Attributes:
      counts: samples of every clip.
      seed: seed of the order.
      shuffle: a new order every round; otherwise samples keep their order.
      part: number of the data set among those that are mixed, so that sets of equal
        sizes are not read in the same order.
    """

    counts: Sequence[int]
    seed: int
    shuffle: bool = True
    part: int = 0

    @cached_property
    def _ends(self) -> list[int]:
        """Samples of the clips up to each one."""
        return list(accumulate(self.counts))

    def __len__(self) -> int:
        """Return the number of samples of a round."""
        return self._ends[-1] if self._ends else 0

    def place(self, position: int) -> tuple[int, int]:
        """Return the clip of a position, and the number of the sample within it."""
        turn, index = divmod(position, len(self))
        number = self._permute(index, turn) if self.shuffle else index
        # The first clip that ends after this number; clips without samples are passed.
        clip = bisect_right(self._ends, number)
        before = self._ends[clip] - self.counts[clip]
        return clip, number - before

    def _permute(self, index: int, turn: int) -> int:
        # imported late: grain starts slowly
        from grain.experimental import index_shuffle

        key = _round_key(self.seed, turn, self.part)
        return index_shuffle(index, len(self) - 1, key, ROUNDS)


@dataclass(frozen=True)
class Schedule:
    """Interleaving of several sequences by their shares.

    A cycle of at most `SLOTS` samples repeats, with the sequences spread evenly over it.

    Attributes:
      shares: share of every sequence, in any unit.
    """

    shares: tuple[float, ...]

    @cached_property
    def _counts(self) -> list[int]:
        """Samples of every sequence in a cycle."""
        total = sum(self.shares)
        counts = [max(1, round(SLOTS * share / total)) for share in self.shares]
        divisor = gcd(*counts)
        return [count // divisor for count in counts]

    @cached_property
    def _slots(self) -> list[tuple[int, int]]:
        """Sequence of every slot of a cycle, and its number among those of the
        sequence."""
        counts = self._counts
        # The middles of equal parts of the cycle, in order of time.
        slots = [
            ((2 * number + 1) / (2 * count), sequence, number)
            for sequence, count in enumerate(counts)
            for number in range(count)
        ]
        return [(sequence, number) for _, sequence, number in sorted(slots)]

    def place(self, position: int) -> tuple[int, int]:
        """Return the sequence of a position, and the position within it."""
        cycle, slot = divmod(position, len(self._slots))
        sequence, number = self._slots[slot]
        return sequence, cycle * self._counts[sequence] + number


# Nearly all samples of a batch are of one round.
@lru_cache
def _round_key(seed: int, turn: int, part: int) -> int:
    """Return the 32-bit key of a round's order."""
    return int(np.random.SeedSequence([seed, turn, part]).generate_state(1)[0])
