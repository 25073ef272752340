"""What happens to announced changes: ask the modules, plan, deliver, keep.

Changes that occur in one turn of the event loop are published together. Room members, the other
modules and the PUT that made the change do not wait for a module that thinks: what it adds later
is delivered later, at a position of its own, and never replaces something newer.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import structlog

from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition, UserId, server_of
from lamplighter.metrics import Metrics
from lamplighter.ports import Bus, PresenceStore, SavedPresence
from lamplighter.presence.changes import Change, announced
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.plan import Planner, Routes, Telling
from lamplighter.routing.reasons import Reasons
from lamplighter.routing.router import Inquiry, ModuleRouter
from lamplighter.service.batch import Batch, done, log_failure
from lamplighter.service.last_changes import LastChanges
from lamplighter.service.remotes import Remotes, settled_routes
from lamplighter.service.witness import Asked, Published, Witness

__all__ = ["Publisher"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Thinking:
    """A batch that is published, while modules still think about it."""

    states: Sequence[UserPresenceState]
    about: StreamPosition
    inquiry: Inquiry
    #: Who has been told nothing yet, because a module might alter it for them.
    waiting: AbstractSet[UserId]
    #: What the others have been told, and the answers that were missing then.
    told: Routes
    #: What other servers have been told.
    told_remotes: Routes
    pending: "Sequence[asyncio.Future[CheckedRoutes]]"


class Publisher:
    """Publishes changes, in batches."""

    def __init__(
        self,
        *,
        tracker: PresenceTracker,
        planner: Planner,
        router: ModuleRouter,
        feed: Feed,
        remotes: Remotes,
        bus: Bus,
        store: PresenceStore,
        metrics: Metrics,
        witness: Witness,
    ) -> None:
        self._tracker = tracker
        self._planner = planner
        self._router = router
        self._feed = feed
        self._remotes = remotes
        self._bus = bus
        self._store = store
        self._metrics = metrics
        self._witness = witness
        self._open_batch: Batch | None = None
        self._last_batch: Batch | None = None
        #: Whether everything that has been handed over is in the outboxes.
        self.is_published = True
        self._last_changes = LastChanges()
        #: What waits for modules; None where others than local viewers are told.
        self._late: dict[asyncio.Task[None], _Thinking | None] = {}
        #: Whether new changes wait until other work is done.
        self._is_held = False

    @property
    def waits_for_modules(self) -> bool:
        """Whether modules are still thinking about what others have been told already."""
        return bool(self._late)

    @property
    def last_changes(self) -> LastChanges:
        """Where in the stream each user last changed."""
        return self._last_changes

    def changed_at(self, user_id: UserId) -> StreamPosition:
        """Return the position of the user's last announced change."""
        return self._last_changes.of(user_id).changed

    def restore(self, user_id: UserId, position: StreamPosition) -> None:
        """Take in the position of a change from before a restart: the oldest first."""
        self._last_changes.changed(user_id, position)

    def forget(self, user_id: UserId) -> None:
        """Forget a user of whom nothing is left to tell: their last change, and what is stored."""
        self._last_changes.forget(user_id)
        self._store.forget(user_id)

    def advance(self) -> StreamPosition:
        """Return a new position, at which nothing is told that tokens up to now have seen."""
        self._feed.position = self._bus.append(())
        return self._feed.position

    def publish(self, changes: Sequence[Change]) -> None:
        """Publish *changes* with all others of this turn of the loop."""
        if not changes:
            return
        batch = self._open_batch
        if batch is None:
            batch = self._open_batch = self._last_batch = Batch()
            self.is_published = False
            if not self._is_held:
                asyncio.get_running_loop().call_soon(self._ask_modules, batch)
        batch.changes.extend(changes)

    def after_published(self, work: Callable[[], None]) -> None:
        """Call *work* once everything handed over so far is in the outboxes: at once, if it is.

        So what happened before a leave is told to those who shared the room then.
        """
        if self._last_batch is None or self.is_published:
            work()
        else:
            self._last_batch.then.append(work)

    def between_batches(self, work: Callable[[], None]) -> None:
        """Call *work* when modules are not being asked about any batch: at once, if so it is.

        What happens meanwhile is published after it.
        """
        self._is_held = True
        self.after_published(lambda: self._do_and_go_on(work))

    def _do_and_go_on(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._is_held = False
            if self._open_batch is not None:
                asyncio.get_running_loop().call_soon(self._ask_modules, self._open_batch)

    def give_up_late(self) -> None:
        """Tell nothing any more of what modules still think about: it becomes news again.

        Who waited for that, and everybody else who may see it, is told when answered from scratch.
        """
        for task, late in list(self._late.items()):
            if late is not None:
                del self._late[task]
                task.cancel()
                self.advance()
                self._move_news(late.states, late.about)

    def retell(self, user_ids: Iterable[UserId]) -> None:
        """Let no token up to now have heard of the users' last changes."""
        known = {user_id for user_id in user_ids if self._tracker.user(user_id) is not None}
        for user_id in known:
            self._last_changes.told_late(user_id, self._feed.position)
        if known:
            self._keep(known)

    async def published(self) -> None:
        """Return once everything that has been handed over is in the outboxes."""
        if self._last_batch is not None:
            await asyncio.shield(self._last_batch.published)

    def saved(self) -> "asyncio.Future[None]":
        """Return what is done once everything handed over survives the process's death.

        It is one for all who ask: who awaits it in a task that may be cancelled, shields it. It
        holds `StorageUnavailable` if it cannot be written now; it will be tried again.
        """
        if self._last_batch is None:
            return done()
        if self._last_batch.is_lost:
            return self._store.save(())  # what could not be written before
        return self._last_batch.saved

    def save(self, users: Iterable[TrackedUser]) -> "asyncio.Future[None]":
        """Keep *users*, of whom nothing new is announced; `StorageUnavailable` if that fails."""
        last = self._last_changes.of
        # Without any, what could not be written before is tried.
        return self._store.save(
            [SavedPresence(user, last(UserId(user.state.user_id)).told) for user in users]
        )

    async def close(self) -> None:
        """Publish what is at hand, keep it, and stop waiting for modules."""
        await self.published()
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._store.settle()

    def tell(
        self, tellings: Sequence[Telling], about: StreamPosition, asked: Asked | None = None
    ) -> None:
        """Deliver, at a new position, what was true at the position *about*."""
        self._deliver(Published(self._bus.append(()), (), tellings, asked), about)

    async def remind(self, states: Sequence[UserPresenceState]) -> None:
        """Send *states*, in which nothing differs, to other servers once more."""
        if not states:
            return
        about = self._feed.position
        routes = await self._router.routes(states)
        self._tell_remotes(states, routes, about)

    async def show(self, viewers: AbstractSet[UserId], states: Sequence[UserPresenceState]) -> None:
        """Send the servers of *viewers*, remote users, what each may see of *states*.

        Whoever changes while modules think is shown as they are then, unless they went offline.
        """
        while states:
            about = self._feed.position
            routes = await self._router.routes(states)
            changed = {it.user_id for it in states if self._changed_since(it.user_id, about)}
            current = [state for state in states if state.user_id not in changed]
            self._remotes.show(viewers, current, self._still_true(routes, about))
            newer = (self._tracker.get(UserId(user_id)) for user_id in changed)
            states = [state for state in newer if state.state != Presence.OFFLINE]

    def _ask_modules(self, batch: Batch) -> None:
        self._open_batch = None
        states = announced(batch.changes)
        inquiry = self._router.inquire(states) if states else Inquiry((), {})
        if not self._router.modules:
            self._publish_batch(batch, inquiry)
            return
        # A module that answers without waiting has done so after two turns of the loop: one in
        # which it runs, and one in which its answer is read. Every batch takes both, asked or
        # not, so that none overtakes another.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._publish_batch, batch, inquiry)

    def _publish_batch(self, batch: Batch, inquiry: Inquiry) -> None:
        try:
            self._tell_batch(batch, inquiry)
        except Exception:  # noqa: BLE001 - whatever it is, every request waits for this batch
            _log.exception("publishing failed")
        self.is_published = batch is self._last_batch
        batch.published.set_result(None)
        saving = self._keep({UserId(change.new.user_id) for change in batch.changes})
        saving.add_done_callback(batch.saved_by)
        for work in batch.then:
            work()

    def _tell_batch(self, batch: Batch, inquiry: Inquiry) -> None:
        position = self._bus.append(batch.changes)
        states = announced(batch.changes)
        for state in states:
            self._last_changes.changed(UserId(state.user_id), position)
        waiting = inquiry.awaited_by(self._feed.viewers)
        viewers = self._feed.viewers - waiting if waiting else self._feed.viewers
        routes = inquiry.routes()
        tellings = self._planner.plan(states, routes, viewers)
        asked = Asked(position, states, inquiry, routes)
        self._deliver(Published(position, batch.changes, tellings, asked), position)
        told_remotes = settled_routes(inquiry)
        self._remotes.tell(states, told_remotes)
        if pings := _pings(batch.changes):
            self._start_late(self.remind(pings))
        for change in batch.changes:
            self._metrics.announced(change.reason.name.lower())
        if pending := inquiry.pending():
            # The answers that are missing here, not when the task begins, are late ones.
            late = _Thinking(states, position, inquiry, waiting, routes, told_remotes, pending)
            self._start_late(self._wait_for_late(late), late)

    async def _wait_for_late(self, late: _Thinking) -> None:
        try:
            await self._publish_late(late)
        except asyncio.CancelledError:  # the server stops: who comes back is told then
            if asyncio.current_task() in self._late:  # else it was given up, and that is done
                self.advance()
                self._move_news(late.states, late.about)
            raise

    async def _publish_late(self, late: _Thinking) -> None:
        """Deliver what modules add to a batch after the others have been told."""
        told, pending, waiting = late.told, late.pending, late.waiting
        told_remotes = late.told_remotes
        while pending:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            released = waiting - late.inquiry.awaited_by(waiting)
            waiting = waiting - released
            routes, pending = late.inquiry.routes(), late.inquiry.pending()
            news = {viewer for viewer in routes if routes[viewer] != told.get(viewer)} - waiting
            viewers = self._feed.viewers & (released | news)
            tellings = self._planner.plan(late.states, routes, viewers)
            tellings = [self._still_new(telling, late.about) for telling in tellings]
            tellings = [telling for telling in tellings if telling.recipients]
            self.tell(tellings, late.about, Asked(late.about, late.states, late.inquiry, routes))
            self._move_news([telling.state for telling in tellings], late.about)
            told = routes
            remote = settled_routes(late.inquiry)
            self._tell_remotes(late.states, remote, late.about, told_remotes)
            told_remotes = remote

    def _tell_remotes(
        self,
        states: Sequence[UserPresenceState],
        routes: Routes,
        about: StreamPosition,
        told: Routes | None = None,
    ) -> None:
        """Send what was true at *about*, but for users who have changed: that was sent since.

        A server of whose users one is told something else than before is told all anew: what is
        altered for one of them stands for the others there, too.
        """
        told = told or {}
        still_true = [state for state in states if not self._changed_since(state.user_id, about)]
        servers = {server_of(viewer) for viewer in routes if routes[viewer] != told.get(viewer)}
        news = {viewer: seen for viewer, seen in routes.items() if server_of(viewer) in servers}
        self._remotes.tell(still_true, self._still_true(news, about))

    def _still_true(self, routes: Routes, about: StreamPosition) -> Routes:
        """Return *routes* without the users who have changed since *about*."""
        current = {
            viewer: {
                user_id: route
                for user_id, route in seen.items()
                if not self._changed_since(user_id, about)
            }
            for viewer, seen in routes.items()
        }
        return {viewer: seen for viewer, seen in current.items() if seen}

    def _changed_since(self, user_id: str, position: StreamPosition) -> bool:
        return self.changed_at(UserId(user_id)) > position

    def _move_news(self, states: Iterable[UserPresenceState], about: StreamPosition) -> None:
        """Let no token up to now have heard of the change at *about*: outboxes do not last."""
        user_ids = {UserId(state.user_id) for state in states}
        moved = {user_id for user_id in user_ids if self.changed_at(user_id) == about}
        for user_id in moved:
            self._last_changes.told_late(user_id, self._feed.position)
        if moved:
            self._keep(moved)

    def _still_new(self, telling: Telling, about: StreamPosition) -> Telling:
        """Return *telling* without the viewers who know as much, or more, of the user.

        Who knows as much learns why, for a module may have said so only now.
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
        if not self._changed_since(telling.user_id, about):
            return False
        # The user has changed since: who sees them by a room has been told, and who has been
        # answered from scratch since saw what the modules thought then.
        return outbox.since > about or bool(self._planner.reasons(viewer, telling.user_id))

    def _deliver(self, published: Published, about: StreamPosition) -> None:
        updates = self._feed.deliver(published.tellings, published.position, about)
        self._metrics.delivered(updates)
        self._witness.published(published)

    def _keep(self, user_ids: Iterable[UserId]) -> "asyncio.Future[None]":
        """Save the users as they are; should that fail, the log says so."""
        users = (self._tracker.user(user_id) for user_id in user_ids)
        saving = self.save(user for user in users if user is not None)
        saving.add_done_callback(log_failure)
        return saving

    def _start_late(self, work: Coroutine[None, None, None], late: _Thinking | None = None) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._late[task] = late
        task.add_done_callback(lambda done: self._late.pop(done, None))
        task.add_done_callback(log_failure)


def _pings(changes: Sequence[Change]) -> list[UserPresenceState]:
    """Return the states of which nobody hears but other servers."""
    known = {state.user_id for state in announced(changes)}
    pinged = {it.new.user_id: it.new for it in changes if it.new.user_id not in known}
    return list(pinged.values())
