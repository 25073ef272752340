"""Witnesses of the server's decisions: the record, the admin API, modules that subscribe, tests.

A witness decides nothing. The server calls it in the order in which things happen, and goes on: a
witness must return at once, and one that raises is named in the log and affects nobody else.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import MembershipChange
from lamplighter.presence.changes import Change, announced
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Delivery, Routes, VisibleStates

__all__ = ["FreshView", "Published", "Witness", "Witnesses"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """A delivery: states, recipients and reasons."""

    position: StreamPosition
    changes: Sequence[Change]
    deliveries: Sequence[Delivery]
    #: The position of the batch that this is about; None where it is about no batch: then users
    #: have become visible to each other.
    about: StreamPosition | None = field(default=None, compare=False)
    #: The states that the modules were asked about, and the routes that they had answered by then.
    asked: Sequence[UserPresenceState] = field(default=(), compare=False)
    routes: Routes = field(default_factory=dict, compare=False)

    @property
    def states(self) -> list[UserPresenceState]:
        """The newest announced state of each user."""
        return announced(self.changes)


@dataclass(frozen=True, slots=True)
class FreshView:
    """A viewer's answer from scratch."""

    viewer: UserId
    #: Whether it was a sync, after which changes are delivered to the viewer as they happen.
    is_sync: bool
    #: Whether it was about everybody, and not about some.
    is_whole: bool
    #: The users in question, with their states.
    users: Mapping[UserId, UserPresenceState]
    visible: VisibleStates


class Witness:
    """Sees what happens. A subclass overrides the methods that it needs."""

    def published(self, published: Published) -> None:
        """A batch was delivered, or a late answer, or users became visible to each other."""

    def viewed(self, view: FreshView) -> None:
        """A viewer was answered from scratch."""

    def moved(self, change: MembershipChange) -> None:
        """A user has joined or left a room, in order with what is delivered."""

    def away(self, viewers: Collection[UserId]) -> None:
        """Nothing is delivered to *viewers* as it happens any more, or not all of it.

        Until their next view the server does not know whom modules name for them.
        """


class Witnesses(Witness):
    """All witnesses of one server, as one."""

    def __init__(self, *witnesses: Witness) -> None:
        self._witnesses = list(witnesses)

    def add(self, witness: Witness) -> Callable[[], None]:
        """Tell *witness* everything from now on; return what ends that, once."""
        self._witnesses.append(witness)
        return lambda: self._witnesses.remove(witness)

    def observe(self, observer: Callable[[Published], None]) -> Callable[[], None]:
        """Call *observer* with everything that is published; return what ends that, once."""
        return self.add(_Observing(observer))

    def published(self, published: Published) -> None:
        self._each(lambda witness: witness.published(published))

    def viewed(self, view: FreshView) -> None:
        self._each(lambda witness: witness.viewed(view))

    def moved(self, change: MembershipChange) -> None:
        self._each(lambda witness: witness.moved(change))

    def away(self, viewers: Collection[UserId]) -> None:
        self._each(lambda witness: witness.away(viewers))

    def _each(self, tell: Callable[[Witness], None]) -> None:
        for witness in tuple(self._witnesses):
            try:
                tell(witness)
            except Exception:  # noqa: BLE001 - whoever waits for the batch has no part in it
                _log.exception("an observer failed")


class _Observing(Witness):
    def __init__(self, observer: Callable[[Published], None]) -> None:
        self._observer = observer

    def published(self, published: Published) -> None:
        self._observer(published)
