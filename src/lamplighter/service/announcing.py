"""What follows on this node from a batch of changes, and from what modules answer late about it.

A batch is delivered at its position to the viewers of this node, but for those who wait: the
viewers for whom a module that has not answered usually alters states. Each late answer is
delivered at its own position *about* that of the batch, to the viewers who were released by it and
to those whose routes differ. It never replaces what is newer: an outbox compares what updates are
*about*, and a viewer who knows as much, or more, is not told again.

A change that is told late to anybody is moved in the roster (`told_late`): no token from before
has heard of it, and outboxes do not last.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lamplighter.cluster.entries import Abandoned, Awaited, Changed, Forgotten, Late, Refreshed
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.changes import ChangeReason, announced
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Planner, Routes, Telling
from lamplighter.routing.reasons import Reasons
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.keeper import Keeper
from lamplighter.service.remotes import Remotes, settled_routes
from lamplighter.service.roster import Roster
from lamplighter.service.witness import Published

__all__ = ["Announcing"]


@dataclass(slots=True)
class _Unanswered:
    """A batch that is delivered, while modules still think about it."""

    states: Sequence[UserPresenceState]
    #: Who has been told nothing yet, because a module might alter it for them.
    waiting: AbstractSet[UserId]
    #: What the others have been told.
    routes: Routes
    #: What other servers have been told.
    settled: Routes


class Announcing:
    """Consumes the entries that are about changes."""

    def __init__(
        self,
        roster: Roster,
        planner: Planner,
        feed: Feed,
        deliverer: Deliverer,
        remotes: Remotes,
        keeper: Keeper,
    ) -> None:
        self._roster = roster
        self._planner = planner
        self._feed = feed
        self._deliverer = deliverer
        self._remotes = remotes
        self._keeper = keeper
        self._unanswered: dict[StreamPosition, _Unanswered] = {}

    def changed(self, position: StreamPosition, entry: Changed) -> None:
        """Deliver a batch."""
        states = announced(entry.changes)
        for state in states:
            self._roster.changed(state, position)
        for change in entry.changes:
            if change.reason is ChangeReason.FEDERATION_PING:
                self._roster.refreshed(change.new)
        viewers = self._feed.viewers
        waiting = _awaited_by(viewers, entry.awaited)
        told = viewers - waiting if waiting else viewers
        tellings = self._planner.plan(states, entry.routes, told)
        published = Published(position, entry.changes, tellings, position, states, entry.routes)
        self._deliverer.deliver(published, position)
        settled = settled_routes(entry.routes, entry.awaited)
        self._remotes.tell(states, settled)
        if entry.awaited:
            self._unanswered[position] = _Unanswered(states, waiting, entry.routes, settled)

    def late(self, position: StreamPosition, entry: Late) -> None:
        """Deliver what modules add to a batch after the others have been told."""
        batch = self._unanswered.get(entry.about)
        if batch is None:
            return
        before, batch.waiting = batch.waiting, _awaited_by(batch.waiting, entry.awaited)
        told, routes = batch.routes, entry.routes
        news = {viewer for viewer in routes if routes[viewer] != told.get(viewer)} - batch.waiting
        viewers = self._feed.viewers & (before - batch.waiting | news)
        planned = self._planner.plan(batch.states, routes, viewers)
        tellings = [self._still_new(telling, entry.about) for telling in planned]
        tellings = [telling for telling in tellings if telling.recipients]
        published = Published(position, (), tellings, entry.about, batch.states, routes)
        self._deliverer.deliver(published, entry.about)
        self._move_news([telling.state for telling in tellings], entry.about, position)
        settled = settled_routes(routes, entry.awaited)
        self._remotes.tell_late(batch.states, settled, entry.about, batch.settled)
        batch.routes, batch.settled = routes, settled
        if not entry.awaited:
            del self._unanswered[entry.about]

    def abandoned(self, position: StreamPosition, entry: Abandoned) -> None:
        """Let a batch be news again to everybody who may see it."""
        batch = self._unanswered.pop(entry.about, None)
        if batch is not None:
            self._move_news(batch.states, entry.about, position)

    def refreshed(self, _position: StreamPosition, entry: Refreshed) -> None:
        """Take states in of which nobody is told."""
        for state in entry.states:
            self._roster.refreshed(state)

    def forgotten(self, _position: StreamPosition, entry: Forgotten) -> None:
        """Forget a user of whom nothing is left to tell, and what is stored of them."""
        self._roster.forget(entry.user_id)
        self._keeper.forget(entry.user_id)

    def _move_news(
        self, states: Iterable[UserPresenceState], about: StreamPosition, position: StreamPosition
    ) -> None:
        """Let no token from before *position* have heard of the change at *about*."""
        user_ids = {UserId(state.user_id) for state in states}
        moved = {it for it in user_ids if self._roster.last(it).changed == about}
        for user_id in moved:
            self._roster.told_late(user_id, position)
        if moved:
            self._keeper.keep(moved)

    def _still_new(self, telling: Telling, about: StreamPosition) -> Telling:
        """Return *telling* without the viewers who know as much, or more, of the user.

        An outbox that has this very state gets the reasons, which may be another module by now.
        """
        recipients: dict[UserId, Reasons] = {}
        for viewer, reasons in telling.recipients.items():
            if not self._knows(viewer, telling, about):
                recipients[viewer] = reasons
            elif (outbox := self._feed.outbox(viewer)) is not None:
                outbox.explain(telling.user_id, about, reasons)
        return Telling(telling.state, recipients)

    def _knows(self, viewer: UserId, telling: Telling, about: StreamPosition) -> bool:
        outbox = self._feed.outbox(viewer)
        if outbox is None:
            return True  # will be answered from scratch
        last = outbox.last(telling.user_id)
        if last is not None and last.about == about and last.state == telling.state:
            return True
        if not self._roster.has_changed_since(telling.user_id, about):
            return False
        # The user has changed since: a viewer who sees the user by a room was told of that, and one
        # who was answered from scratch since then saw what the modules thought then.
        return outbox.since > about or bool(self._planner.reasons(viewer, telling.user_id))


def _awaited_by(viewers: AbstractSet[UserId], awaited: Awaited) -> AbstractSet[UserId]:
    """Return those of *viewers* for whom a module that still thinks has altered states before."""
    if not awaited:
        return frozenset()
    return frozenset().union(*(users & viewers for users in awaited.values()))
