"""Choices that look random and are the same every time: a check must be repeatable."""

from collections.abc import Sequence
from typing import Final, TypeVar

__all__ = ["Dice"]

T = TypeVar("T")

_MASK: Final = (1 << 64) - 1
# The constants of splitmix64 (Steele, Lea and Flood, 2014): a counter, well stirred.
_STEP: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB


class Dice:
    """A sequence of choices that depends on the seed alone."""

    def __init__(self, seed: int) -> None:
        self._counter = _stirred(seed)

    def below(self, limit: int) -> int:
        """Return a number from 0 up to, but not including, *limit*."""
        self._counter += _STEP
        return _stirred(self._counter) % limit

    def one_of(self, items: Sequence[T]) -> T:
        """Return one of *items*, of which there must be one."""
        return items[self.below(len(items))]

    def some_of(self, items: Sequence[T], count: int) -> Sequence[T]:
        """Return *count* of *items*, or all if there are not so many."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]


def _stirred(number: int) -> int:
    stirred = number & _MASK
    stirred = (stirred ^ stirred >> 30) * _FIRST & _MASK
    stirred = (stirred ^ stirred >> 27) * _SECOND & _MASK
    return stirred ^ stirred >> 31
