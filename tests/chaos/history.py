"""What may have been so, and when: an act has its effect some time before it is answered.

A request to join a room that was sent at 3 and answered with 200 at 5 has made its user a member
some time between. One that failed may have had its effect or not, until another is answered.

    joined = History(False)
    joined.may_be(3.0, {True, False})
    joined.may_be(5.0, {True})
    joined.between(1.0, 2.0)  # {False}
    joined.between(4.0, 6.0)  # {True, False}
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

__all__ = ["History"]

T = TypeVar("T")

#: Nobody asks what was possible so many changes ago.
_KEPT: Final = 500


class History(Generic[T]):
    """The values that something may have had, since when."""

    def __init__(self, value: T) -> None:
        self._since: list[float] = [0.0]
        self._values: list[frozenset[T]] = [frozenset({value})]

    @property
    def now(self) -> frozenset[T]:
        """The values that are possible now."""
        return self._values[-1]

    def may_be(self, since: float, values: Iterable[T]) -> None:
        """Note that from *since* on only *values* are possible."""
        self._since.append(since)
        self._values.append(frozenset(values))
        del self._since[1:-_KEPT], self._values[1:-_KEPT]

    def between(self, start: float, end: float) -> frozenset[T]:
        """Return the values that were possible at any time from *start* to *end*."""
        first = bisect_right(self._since, start) - 1
        last = bisect_right(self._since, end)
        return frozenset[T]().union(*self._values[max(first, 0) : last])
