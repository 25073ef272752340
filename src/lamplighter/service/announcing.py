"""The deliveries of this node: batches of changes, and the late answers of modules about them.

A batch is delivered at its position to the viewers of this node, but for those who wait: the
viewers for whom a module that has not answered usually alters states. Each late answer is
delivered at its own position *about* that of the batch, to the viewers who were released by it and
to those whose routes differ. It never replaces what is newer: an outbox compares what updates are
*about*, and a viewer who knows as much, or more, is not told again.

A change that is told late to anybody is moved in the roster (`told_late`): no token from before
has heard of it, and outboxes do not last.
"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lamplighter.cluster.entries import (
    Abandoned,
    Awaited,
    Changed,
    Forgotten,
    LateAnswer,
    ReadAgain,
    Refreshed,
)
from lamplighter.delivery.feed import Feed
from lamplighter.ids import ServerName, StreamPosition, UserId
from lamplighter.presence.changes import ChangeReason, announced
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Delivery, Planner, Routes
from lamplighter.routing.reasons import Reasons
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.keeper import Keeper
from lamplighter.service.remotes import Remotes, held_servers, settled_routes
from lamplighter.service.roster import Roster
from lamplighter.service.witness import Published

__all__ = ["Announcing"]


@dataclass(slots=True)
class _Unanswered:
    """A delivered batch about which modules have not answered yet."""

    states: Sequence[UserPresenceState]
    #: The viewers who wait, because a module might alter the states for them.
    waiting: AbstractSet[UserId]
    #: The routes by which the others were told.
    routes: Routes
    #: The routes by which other servers were sent something.
    settled: Routes
    #: The servers that were not sent anything yet.
    held: AbstractSet[ServerName]


@dataclass(eq=False)
class Announcing:
    """Consumes the entries that are about changes."""

    roster: Roster
    planner: Planner
    feed: Feed
    deliverer: Deliverer
    remotes: Remotes
    keeper: Keeper
    _unanswered: dict[StreamPosition, _Unanswered] = field(init=False, default_factory=dict)

    def changed(self, position: StreamPosition, entry: Changed) -> None:
        """Deliver a batch."""
        states = announced(entry.changes)
        for state in states:
            self.roster.changed(state, position)
        newest = {change.new.user_id: change for change in entry.changes}
        for change in newest.values():
            if change.reason is ChangeReason.FEDERATION_PING:
                self.roster.refreshed(change.new)
        viewers = self.feed.viewers.keys()
        waiting = _awaited_by(viewers, entry.awaited) if entry.awaited else frozenset()
        told = viewers - waiting if waiting else viewers
        deliveries = self.planner.plan(states, entry.routes, told)
        published = Published(position, entry.changes, deliveries, position, states, entry.routes)
        self.deliverer.deliver(published, position)
        if not entry.awaited:
            self.remotes.send(states, entry.routes)
            return
        settled, held = settled_routes(entry.routes, entry.awaited), held_servers(entry.awaited)
        self.remotes.send(states, settled, held)
        self._unanswered[position] = _Unanswered(states, waiting, entry.routes, settled, held)

    def late(self, position: StreamPosition, entry: LateAnswer) -> None:
        """Deliver what a late answer adds to a batch."""
        batch = self._unanswered.get(entry.about)
        if batch is None:
            return
        before, batch.waiting = batch.waiting, _awaited_by(batch.waiting, entry.awaited)
        told, routes = batch.routes, entry.routes
        news = {viewer for viewer in routes if routes[viewer] != told.get(viewer)} - batch.waiting
        viewers = self.feed.viewers.keys() & (before - batch.waiting | news)
        planned = self.planner.plan(batch.states, routes, viewers)
        deliveries = [self._still_new(delivery, entry.about) for delivery in planned]
        deliveries = [delivery for delivery in deliveries if delivery.recipients]
        published = Published(position, (), deliveries, entry.about, batch.states, routes)
        self.deliverer.deliver(published, entry.about)
        self._move_news([delivery.state for delivery in deliveries], entry.about, position)
        settled, held = settled_routes(routes, entry.awaited), held_servers(entry.awaited)
        released = batch.held - held
        self.remotes.send_late(batch.states, settled, entry.about, batch.settled, released)
        batch.routes, batch.settled, batch.held = routes, settled, held
        if not entry.awaited:
            del self._unanswered[entry.about]

    def abandoned(self, position: StreamPosition, entry: Abandoned) -> None:
        """Make a batch news again to every viewer who may see its users."""
        batch = self._unanswered.pop(entry.about, None)
        if batch is not None:
            self._move_news(batch.states, entry.about, position)
            if batch.held:
                self.remotes.abandon(batch.states)

    def unanswered(self, is_theirs: Callable[[UserId], bool]) -> list[StreamPosition]:
        """Return the batches about such users for which late answers are still to come."""
        return [
            position
            for position, batch in self._unanswered.items()
            if any(is_theirs(UserId(state.user_id)) for state in batch.states)
        ]

    def refreshed(self, _position: StreamPosition, entry: Refreshed) -> None:
        """Take in states that are delivered to nobody."""
        for state in entry.states:
            self.roster.refreshed(state)

    def read_again(self, position: StreamPosition, entry: ReadAgain) -> None:
        """Take in states about which no module was asked: nobody is told them as they are."""
        for state in entry.states:
            self.roster.changed(state, position)
        self.feed.renew(self.feed.viewers.keys())

    def forgotten(self, _position: StreamPosition, entry: Forgotten) -> None:
        """Forget a user, and what is stored of the user."""
        self.roster.forget(entry.user_id)
        self.keeper.forget(entry.user_id)

    def _move_news(
        self, states: Iterable[UserPresenceState], about: StreamPosition, position: StreamPosition
    ) -> None:
        """Move the change at *about* to *position*: every token from before *position* gets it."""
        user_ids = {UserId(state.user_id) for state in states}
        moved = {it for it in user_ids if self.roster.last(it).changed == about}
        for user_id in moved:
            self.roster.told_late(user_id, position)
        if moved:
            self.keeper.keep(moved)

    def _still_new(self, delivery: Delivery, about: StreamPosition) -> Delivery:
        """Return *delivery* without the viewers who have this state, or a newer one.

        An outbox that has this very state gets the new reasons: another module may be one by now.
        """
        recipients: dict[UserId, Reasons] = {}
        for viewer, reasons in delivery.recipients.items():
            if not self._knows(viewer, delivery, about):
                recipients[viewer] = reasons
            elif (outbox := self.feed.outbox(viewer)) is not None:
                outbox.explain(delivery.user_id, about, reasons)
        return Delivery(delivery.state, recipients)

    def _knows(self, viewer: UserId, delivery: Delivery, about: StreamPosition) -> bool:
        outbox = self.feed.outbox(viewer)
        if outbox is None:
            return True  # will be answered from scratch
        last = outbox.last(delivery.user_id)
        if last is not None and last.about == about and last.state == delivery.state:
            return True
        if not self.roster.has_changed_since(delivery.user_id, about):
            return False
        # The user has changed since: a viewer who sees the user by a room was told of that, and one
        # who was answered from scratch since then saw what the modules thought then.
        return outbox.since > about or bool(self.planner.reasons(viewer, delivery.user_id))


def _awaited_by(viewers: AbstractSet[UserId], awaited: Awaited) -> AbstractSet[UserId]:
    """Return those of *viewers* for whom a module that still thinks has altered states before."""
    return frozenset().union(*(users & viewers for users in awaited.values()))
