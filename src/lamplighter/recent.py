"""A dictionary of bounded size: a new entry displaces one that was unused for longest.

A stranger can cause entries, for example by requests in the names of many servers. If a new entry
always displaced the entry that was unused for longest, one stranger could displace the entries of
all others. So keys may belong to groups. Then a new entry displaces an entry of the group with the
most entries, and of that group the entry that was unused for longest.

Example: capacity 4, keys grouped by the domain of a server name. `a1.evil.example`,
`a2.evil.example`, `a3.evil.example` and `good.example` are in. `b.example` displaces
`a1.evil.example`, even if `good.example` is unused for longer.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Entries with a total weight of at most *capacity*; an entry weighs 1 by default.

    Each of *groups* returns the group of a key. The first of them decides which entry is displaced;
    among groups of the same size it is an entry of the group that was unused for longest.
    """

    def __init__(self, capacity: int, *groups: Callable[[K], Hashable]) -> None:
        self._capacity = capacity
        self._groupings = [_Grouping(group) for group in groups]
        #: Without groups, the entry that was unused for longest comes first.
        self._entries: OrderedDict[K, V] = OrderedDict()
        #: The weights of entries that do not weigh 1.
        self._weights: dict[K, int] = {}
        self._weight = 0
        #: Return the value of a key, which does not count as used; None if there is no entry.
        #: A method of the dictionary itself: hot paths call no function of this class.
        self.peek = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[K]:
        """Yield the keys; without groups, the key that was unused for longest comes first."""
        return iter(self._entries)

    @property
    def weight(self) -> int:
        """The total weight of all entries."""
        return self._weight

    def values(self) -> list[V]:
        """Return the values, in the order of the keys."""
        return list(self._entries.values())

    def size_of_group(self, key: K, grouping: int = 0) -> int:
        """Return the number of entries in the group of *key*, which may have no entry itself."""
        return len(self._groupings[grouping].of(key))

    def get(self, key: K) -> V | None:
        """Return the value of *key*, which counts as used now; None if there is no entry."""
        if key not in self._entries:
            return None
        self._use(key)
        return self._entries[key]

    def put(self, key: K, value: V, weight: int = 1) -> list[tuple[K, V]]:
        """Make *value* the value of *key*, which counts as used now; return what is displaced."""
        self._weight += weight - (self._weights.pop(key, 1) if key in self._entries else 0)
        if weight != 1:
            self._weights[key] = weight
        self._entries[key] = value
        self._use(key)
        displaced = []
        while self._weight > self._capacity:
            idlest = self._idlest()
            displaced.append((idlest, self._entries[idlest]))
            self.drop(idlest)
        return displaced

    def drop(self, key: K) -> None:
        """Remove the entry of *key*, if there is one."""
        if key in self._entries:
            del self._entries[key]
            self._weight -= self._weights.pop(key, 1)
            for grouping in self._groupings:
                grouping.drop(key)

    def clear(self) -> None:
        """Remove all entries."""
        for key in list(self._entries):
            self.drop(key)

    def idlest_of_group(self, key: K, grouping: int = 0) -> K | None:
        """Return the key in the group of *key* that was unused for longest."""
        return next(iter(self._groupings[grouping].of(key)), None)

    def idlest(self) -> K | None:
        """Return the key that a new key would displace; None if there are no entries."""
        return self._idlest() if self._entries else None

    def _idlest(self) -> K:
        return self._groupings[0].idlest() if self._groupings else next(iter(self._entries))

    def _use(self, key: K) -> None:
        for grouping in self._groupings:
            grouping.use(key)
        if not self._groupings:
            self._entries.move_to_end(key)


class _Grouping(Generic[K]):
    """The keys by group, and the groups by size."""

    def __init__(self, group: Callable[[K], Hashable]) -> None:
        self._group = group
        #: The key that was unused for longest comes first.
        self._keys: dict[Hashable, OrderedDict[K, None]] = {}
        #: The groups by number of keys; the group that was unused for longest comes first.
        self._by_size: dict[int, OrderedDict[Hashable, None]] = {}
        self._largest = 0

    def of(self, key: K) -> OrderedDict[K, None]:
        """Return the keys in the group of *key*, which may not be in it itself."""
        return self._keys.get(self._group(key)) or OrderedDict()

    def idlest(self) -> K:
        """Return the key in the largest group that was unused for longest."""
        group = next(iter(self._by_size[self._largest]))
        return next(iter(self._keys[group]))

    def use(self, key: K) -> None:
        """Add the key if it is new; the key and its group count as used now."""
        group = self._group(key)
        keys = self._keys.setdefault(group, OrderedDict())
        before = len(keys)
        keys[key] = None
        keys.move_to_end(key)
        self._resized(group, before, len(keys))

    def drop(self, key: K) -> None:
        """Remove a key that is in a group."""
        group = self._group(key)
        keys = self._keys[group]
        del keys[key]
        if not keys:
            del self._keys[group]
        self._resized(group, len(keys) + 1, len(keys))

    def _resized(self, group: Hashable, before: int, after: int) -> None:
        """Update the sizes: *group* has *after* keys now, and was used."""
        if before:
            self._by_size[before].pop(group)
        if after:
            self._by_size.setdefault(after, OrderedDict())[group] = None
            self._largest = max(self._largest, after)
        if before and not self._by_size[before]:
            del self._by_size[before]
            if self._largest == before:
                self._largest = after  # this group has that size, unless it is empty
