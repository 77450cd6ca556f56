"""Portraits that stay prepared from one job or edit to the next."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jaxportrait.ranges import Count, check_ranges

T = TypeVar("T")


@dataclass(frozen=True)
class PortraitCache:
    """The portraits that were used last, of one face or of all in a picture.

    Attributes:
      most: number of portraits that are kept.
    """

    most: Count = 4
    _portraits: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        check_ranges(self)

    def find(self, key: Hashable, prepare: Callable[[], T]) -> T:
        """Return the portrait of a key, prepared where it is not yet."""
        if key not in self._portraits:
            self._portraits[key] = prepare()
        self._portraits.move_to_end(key)
        # The oldest makes room.
        while len(self._portraits) > self.most:
            self._portraits.popitem(last=False)
        return self._portraits[key]


def file_key(path: Path) -> tuple[int, ...]:
    """Return numbers that tell the content of a file, by whichever name it is read."""
    status = path.stat()
    # Two links of one file have one number.
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
