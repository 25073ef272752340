"""Publishes changes in batches: the owner of the users asks the modules, and appends to the stream.

Changes that occur in one turn of the event loop are one batch. The modules are asked once about a
batch, and nobody waits for a module that thinks: a module that answers without waiting has answered
when the batch is appended, and what the others answer comes later (`late.py`).

A batch is *published* once this node has delivered it, and *saved* once its users would survive the
death of the process. Whoever made a change gets the future of its batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from lamplighter.cluster.entries import Changed, Refreshed
from lamplighter.cluster.stream import Stream
from lamplighter.errors import ClusterUnavailable
from lamplighter.futures import fail, finish, settle
from lamplighter.ids import StreamPosition, UserId
from lamplighter.metrics import Metrics
from lamplighter.presence.changes import Change, ChangeReason, announced
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.router import Inquiry, ModuleRouter
from lamplighter.service.batch import ChangeBatch, done
from lamplighter.service.keeper import Keeper
from lamplighter.service.late import LateAnswers
from lamplighter.service.reminders import Reminders
from lamplighter.service.shadow import ShadowModules
from lamplighter.service.subscribers import Subscribers

__all__ = ["Publisher"]

_log = structlog.get_logger(__name__)

#: The reasons as the metrics have them.
_LABELS: Final = {it: it.name.lower() for it in ChangeReason}


@dataclass(eq=False)
class Publisher:
    """Gathers changes, has the modules asked, and appends the batches in their order."""

    stream: Stream
    router: ModuleRouter
    keeper: Keeper
    late: LateAnswers
    reminders: Reminders
    shadows: ShadowModules
    subscribers: Subscribers
    metrics: Metrics
    _open_batch: ChangeBatch | None = field(init=False, default=None)
    _last_batch: ChangeBatch | None = field(init=False, default=None)
    #: The batches that are neither in the outboxes nor lost, in their order.
    _under_way: list[ChangeBatch] = field(init=False, default_factory=list)
    #: Whether every change that was handed over is in the outboxes.
    is_published: bool = field(init=False, default=True)
    #: Whether new changes wait until other work is done.
    _is_held: bool = field(init=False, default=False)

    def publish(self, changes: Sequence[Change]) -> "asyncio.Future[None]":
        """Publish *changes* with all others of this cycle; return the future of their save.

        The future is one for all who made changes of the batch: a task that may be cancelled
        shields it. It fails with `StorageUnavailable`; the server keeps the changes, and tries
        again. Without *changes* it is that of everything before.
        """
        if not changes:
            return self.saved()
        batch = self._open_batch
        if batch is None:
            batch = self._open_batch = self._last_batch = ChangeBatch()
            self._under_way.append(batch)
            self.is_published = False
            if not self._is_held:
                asyncio.get_running_loop().call_soon(self._ask_modules, batch)
        batch.changes.extend(changes)
        # A node goes on while a record of it is on its way: what is handed on after that record
        # comes after these changes.
        for earlier in self._under_way:
            if earlier.refreshed:
                earlier.supersede(changes)
        return batch.saved

    def refresh(self, states: Sequence[UserPresenceState]) -> None:
        """Hand on *states* that differ in nothing that is announced, after what was announced."""
        if self._last_batch is None or self.is_published:
            self.stream.append(Refreshed(tuple(states)))
        else:
            self._last_batch.refreshed.update((UserId(it.user_id), it) for it in states)

    def after_published(self, work: Callable[[], None]) -> None:
        """Call *work* once everything handed over so far is in the outboxes: now, if it is.

        So what happened before a leave is told to those who shared the room then.
        """
        if self._last_batch is None or self.is_published:
            work()
        else:
            self._last_batch.then.append(work)

    def between_batches(self, work: Callable[[], None]) -> None:
        """Call *work* when modules are not being asked about any batch: at once, if none is asked.

        What happens meanwhile is published after it.
        """

        def do_and_go_on() -> None:
            try:
                work()
            finally:
                self.go_on()

        self.hold(do_and_go_on)

    def hold(self, then: Callable[[], None]) -> None:
        """Ask modules about no further batch until `go_on`; call *then* once about none at all."""
        self._is_held = True
        self.after_published(then)

    def go_on(self) -> None:
        """Ask about what has happened meanwhile, and about what comes."""
        self._is_held = False
        if self._open_batch is not None:
            asyncio.get_running_loop().call_soon(self._ask_modules, self._open_batch)

    async def published(self) -> None:
        """Return once everything that has been handed over is in the outboxes."""
        if self._last_batch is not None:
            await asyncio.shield(self._last_batch.published)

    def saved(self) -> "asyncio.Future[None]":
        """Return the future of everything handed over so far being saved."""
        if self._last_batch is None:
            return done()
        if self._last_batch.is_lost:
            return self.keeper.try_again()
        return self._last_batch.saved

    async def close(self) -> None:
        """Publish what is at hand, save it, and stop waiting for modules."""
        await self.published()
        await self.late.close()
        await self.keeper.settle()

    def _ask_modules(self, batch: ChangeBatch) -> None:
        self._open_batch = None
        states = batch.states = announced(batch.changes)
        inquiry = self.router.inquire(states) if states else Inquiry((), {})
        if not self.router.modules:
            self._append(batch, inquiry)
            return
        # A module that answers without waiting has done so after two cycles of the loop: one in
        # which it runs, and one in which its answer is read. Every batch takes both, asked or
        # not, so that none overtakes another.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._append, batch, inquiry)

    def _append(self, batch: ChangeBatch, inquiry: Inquiry) -> None:
        try:
            routes, awaited = inquiry.routes(), inquiry.awaited()
        except Exception:  # noqa: BLE001 - whatever it is, every request waits for this batch
            _log.exception("publishing failed")
            inquiry, routes, awaited = Inquiry((), {}), {}, {}
        entry = Changed(tuple(batch.changes), routes, awaited)
        self.stream.append(
            entry,
            lambda position: self._appended(batch, inquiry, position),
            lambda error: self._lost(batch, error),
        )

    def _appended(self, batch: ChangeBatch, inquiry: Inquiry, position: StreamPosition) -> None:
        """Go on with a batch that this node has delivered."""
        self._ended(batch)
        saving = self.keeper.keep({UserId(change.new.user_id) for change in batch.changes})
        saving.add_done_callback(partial(settle, batch.saved))
        for change in batch.changes:
            self.metrics.announced(_LABELS[change.reason])
        if pings := _pings(batch.changes):
            self.late.run(self.reminders.remind(pings))
        if inquiry.is_pending:
            self.late.wait_for(position, inquiry)
        self.subscribers.announce(batch.states)
        self.shadows.look_at_batch(batch.states, inquiry)
        if batch.refreshed:
            self.stream.append(Refreshed(tuple(batch.refreshed.values())))
        for work in batch.then:
            work()

    def _lost(self, batch: ChangeBatch, error: ClusterUnavailable) -> None:
        """Go on without a batch of a node that does not own its users any more."""
        self._ended(batch)
        fail(batch.saved, error)
        for work in batch.then:
            work()

    def _ended(self, batch: ChangeBatch) -> None:
        self._under_way.remove(batch)
        self.is_published = batch is self._last_batch
        finish(batch.published)


def _pings(changes: Sequence[Change]) -> list[UserPresenceState]:
    """Return the states that only other servers are sent."""
    known = {state.user_id for state in announced(changes)}
    pinged = {it.new.user_id: it.new for it in changes if it.new.user_id not in known}
    return list(pinged.values())
