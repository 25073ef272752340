"""What a value is made of that nodes compare by a digest: so that an operator is told what differs.

An example, with the modules of two nodes:

    node a:    first.Router, second.Router
    node b:    second.Router, with another configuration
    node b is told: first.Router (modules[0]) is missing; second.Router (modules[0]) has another
    configuration
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec

__all__ = ["Part", "ToldValue", "difference"]

#: How many differences are named, and how many names of an order.
_NAMED: Final = 5


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A module, or an item of a list."""

    name: str
    #: Where the configuration has it, such as `modules[0]`; nothing in a list without an order.
    place: str = ""
    #: The digest of its own configuration, whose values may be secrets.
    configuration: str = ""
    is_shadow: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.place})" if self.place else self.name


class ToldValue(msgspec.Struct, frozen=True):
    """A value as nodes tell it to each other."""

    #: A digest. Only this is compared.
    text: str
    #: None where a node does not say it.
    parts: tuple[Part, ...] | None

    def unlike(self, other: "ToldValue") -> str | None:
        """Return in what this value differs from *other*; None where that cannot be said."""
        if self.parts is None or other.parts is None:
            return None
        return difference(self.parts, other.parts) or None


def difference(here: Sequence[Part], there: Sequence[Part]) -> str:
    """Return in what the parts *here* are not as those *there*, as a line for an operator."""
    left: defaultdict[str, list[Part]] = defaultdict(list)
    for part in there:
        left[part.name].append(part)
    pairs, extra = list[tuple[Part, Part]](), list[Part]()
    for part in here:
        if same := left[part.name]:
            pairs.append((part, same.pop(0)))
        else:
            extra.append(part)
    found = [f"{it} is missing" for it in there if any(it is other for other in left[it.name])]
    found += [f"{it} is extra" for it in extra]
    for ours, theirs in pairs:
        if ours.is_shadow != theirs.is_shadow:
            found.append(f"{ours} is {'a' if ours.is_shadow else 'no'} shadow")
        if ours.configuration != theirs.configuration:
            found.append(f"{ours} has another configuration")
    found += _other_order(pairs, there)
    return "; ".join(_some(found))


def _other_order(pairs: Sequence[tuple[Part, Part]], there: Sequence[Part]) -> list[str]:
    """Return how the order of what both have differs; nothing if it does not."""
    ours = [theirs for _, theirs in pairs]
    theirs = [it for it in there if any(it is other for other in ours)]
    moved = [(a.name, b.name) for a, b in zip(ours, theirs, strict=True) if a is not b]
    if not moved:
        return []
    here, instead = (", ".join(_some(names)) for names in zip(*moved, strict=True))
    return [f"the order is {here} instead of {instead}"]


def _some(names: Sequence[str]) -> list[str]:
    more = len(names) - _NAMED
    return [*names[:_NAMED], *([f"and {more:,} more"] if more > 0 else [])]
