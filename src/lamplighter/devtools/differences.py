"""How the decisions of two sets of modules differ: who is shown whom, and who no longer is."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lamplighter.clock import Timestamp
from lamplighter.ids import UserId
from lamplighter.recording.events import Seen
from lamplighter.routing.reasons import AllUsers, Module, Reasons

__all__ = ["Difference", "DifferenceKind", "Differences"]


class DifferenceKind(StrEnum):
    """The kinds of differences."""

    #: The user becomes visible.
    GAINED = "gained"
    #: The user is visible no more.
    LOST = "lost"
    #: The user stays visible, with another state.
    ALTERED = "altered"


@dataclass(slots=True)
class Difference:
    """One viewer and one user: the first difference, and how many there are."""

    kind: DifferenceKind
    viewer: UserId
    user_id: UserId
    #: When the decisions first differed.
    at: Timestamp
    #: What was visible, and why; None for nothing.
    before: Seen | None
    after: Seen | None
    #: How many decisions differ.
    times: int = 0

    @property
    def modules(self) -> list[str]:
        """The modules that make the difference; without any, other rooms count."""
        sides = (self.before, self.after)
        return sorted({name for side in sides if side for name in _modules(side[1])})


class Differences:
    """Collects the differences, pair by pair."""

    def __init__(self) -> None:
        self._found: dict[tuple[DifferenceKind, UserId, UserId], Difference] = {}
        #: How many decisions about one viewer and one user were compared.
        self.compared = 0

    def __iter__(self) -> Iterator[Difference]:
        """Yield the differences in the order in which they were found."""
        return iter(self._found.values())

    def __len__(self) -> int:
        """Return how many pairs differ."""
        return len(self._found)

    def compare(
        self,
        at: Timestamp,
        viewer: UserId,
        user_id: UserId,
        before: Seen | None,
        after: Seen | None,
    ) -> None:
        """Compare what a viewer saw of a user with what the other modules would have shown."""
        self.compared += 1
        kind = _kind(before, after)
        if kind is not None:
            new = Difference(kind, viewer, user_id, at, before, after)
            self._found.setdefault((kind, viewer, user_id), new).times += 1

    def of(self, kind: DifferenceKind) -> list[Difference]:
        """Return the differences of one kind."""
        return [difference for difference in self if difference.kind is kind]

    def by_module(self) -> Mapping[str, Mapping[DifferenceKind, int]]:
        """Return for each module how many pairs differ because of it, by kind."""
        counts: dict[str, Counter[DifferenceKind]] = {}
        for difference in self:
            for module in difference.modules:
                counts.setdefault(module, Counter())[difference.kind] += 1
        return dict(sorted(counts.items()))


def _kind(before: Seen | None, after: Seen | None) -> DifferenceKind | None:
    if before is None:
        return None if after is None else DifferenceKind.GAINED
    if after is None:
        return DifferenceKind.LOST
    return None if before[0] == after[0] else DifferenceKind.ALTERED


def _modules(reasons: Reasons) -> Iterator[str]:
    for reason in reasons:
        if isinstance(reason, Module):
            yield reason.name
        elif isinstance(reason, AllUsers):
            yield reason.module
