"""A dictionary of bounded size, shared fairly by the groups to which its keys belong.

Anybody may cause entries: a stranger can ask in the name of any server. If the dictionary were to
forget the entry that was unused for longest, one stranger with many names would make it forget
everybody else's. So a new entry displaces one of the group that has the most entries, and of that
group the entry that was unused for longest.

Example: capacity 4, keys grouped by the domain of a server name. `a1.evil.example`,
`a2.evil.example`, `a3.evil.example` and `good.example` are in. `b.example` comes, and
`a1.evil.example` goes, although `good.example` may be unused for longer.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most *capacity* entries; *group* tells to which group a key belongs.

    Among groups of one size, the group that was unused for longest gives up an entry. Without
    *group* all keys belong to one.
    """

    def __init__(self, capacity: int, group: Callable[[K], Hashable] = lambda _key: None) -> None:
        self._capacity = capacity
        self._group = group
        self._length = 0
        #: By group, the entries; those unused for longest come first.
        self._groups: dict[Hashable, OrderedDict[K, V]] = {}
        #: By number of entries, the groups that have so many; those unused for longest come first.
        self._by_size: dict[int, OrderedDict[Hashable, None]] = {}
        self._largest = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: K) -> bool:
        return key in self._groups.get(self._group(key), ())

    def size_of_group(self, key: K) -> int:
        """Return how many entries there are in the group to which *key* belongs, or would."""
        return len(self._groups.get(self._group(key), ()))

    def get(self, key: K) -> V | None:
        """Return the value of *key*, which counts as used now; None if there is no entry."""
        group = self._group(key)
        entries = self._groups.get(group)
        if entries is None or key not in entries:
            return None
        entries.move_to_end(key)
        self._by_size[len(entries)].move_to_end(group)
        return entries[key]

    def put(self, key: K, value: V) -> None:
        """Make *value* the value of *key*, which counts as used now."""
        group = self._group(key)
        entries = self._groups.get(group)
        if entries is None:
            entries = self._groups[group] = OrderedDict()
        before = len(entries)
        entries[key] = value
        entries.move_to_end(key)
        self._resized(group, before, len(entries))
        if self._length > self._capacity:
            self.drop(self._groups_idlest())

    def drop(self, key: K) -> None:
        """Remove the entry of *key*, if there is one."""
        group = self._group(key)
        entries = self._groups.get(group)
        if entries is None or key not in entries:
            return
        before = len(entries)
        del entries[key]
        if not entries:
            del self._groups[group]
        self._resized(group, before, before - 1)

    def idlest_of_group(self, key: K) -> K | None:
        """Return, of the group to which *key* belongs, the key that was unused for longest."""
        return next(iter(self._groups.get(self._group(key), ())), None)

    def idlest(self) -> K | None:
        """Return the key that a new one would displace; None if there are no entries."""
        return self._groups_idlest() if self._length else None

    def _groups_idlest(self) -> K:
        group = next(iter(self._by_size[self._largest]))
        return next(iter(self._groups[group]))

    def _resized(self, group: Hashable, before: int, after: int) -> None:
        """Note that *group* has *after* entries now, and was used."""
        self._length += after - before
        if before:
            self._by_size[before].pop(group)
        if after:
            self._by_size.setdefault(after, OrderedDict())[group] = None
            self._by_size[after].move_to_end(group)
            self._largest = max(self._largest, after)
        if before and not self._by_size[before]:
            del self._by_size[before]
            if self._largest == before:
                self._largest = after  # of which size there is one now, unless there is none at all
