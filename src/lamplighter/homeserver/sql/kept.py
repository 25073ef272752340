"""What is kept in memory because it was of use lately, up to a weight."""

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Kept"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key; what was not of use for longest goes first."""

    def __init__(self, most: int) -> None:
        """Keep values that together weigh no more than *most*."""
        self._most = most
        self._weight = 0
        self._values: dict[K, tuple[V, int]] = {}

    def get(self, key: K) -> V | None:
        """Return the value, which is of use thereby; None if it is not kept."""
        found = self._values.pop(key, None)
        if found is None:
            return None
        self._values[key] = found  # behind all others
        return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep *value* in the place of what was kept under *key*, if it is not too heavy."""
        self._drop(key)
        self._values[key] = value, weight
        self._weight += weight
        while self._weight > self._most:
            self._drop(next(iter(self._values)))

    def _drop(self, key: K) -> None:
        if key in self._values:
            self._weight -= self._values.pop(key)[1]
