"""The witness that records decisions: a thread writes them.

A decision costs the event loop an append to a list; the thread does everything else. If the disk
fails or hangs, only the record suffers.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeAlias

import structlog

from lamplighter.clock import Clock, Timestamp, milliseconds, within
from lamplighter.ids import ServerName, UserId
from lamplighter.ports import Account, JoinedMember, MembershipChange
from lamplighter.presence.state import UserPresenceState
from lamplighter.recording.events import (
    VERSION,
    Away,
    Began,
    Known,
    KnownAccounts,
    Met,
    Moved,
    RecordedBatch,
    RecordedEvent,
    RecordedLate,
    Viewed,
    alteration,
    grouped,
    told_by,
    told_to,
)
from lamplighter.recording.files import RecordWriter
from lamplighter.recording.world import RecordedWorld
from lamplighter.service.witness import FreshView, Published, Witness

__all__ = ["FLUSH_PERIOD", "Recorder"]

_log = structlog.get_logger(__name__)

#: How often the thread writes.
FLUSH_PERIOD: Final = timedelta(seconds=1)
#: How long a stop waits for the disk.
_PATIENCE: Final = timedelta(seconds=3)
#: The most decisions that wait to be written; further ones are lost, and the log counts them.
_MOST_WAITING: Final = 20_000

#: Makes an event, in the thread, from everything as it was before the event.
_Entry: TypeAlias = Callable[[RecordedWorld], RecordedEvent | None]


class Recorder(Witness):
    """Records the decisions of one server."""

    def __init__(
        self,
        clock: Clock,
        writer: RecordWriter,
        server_name: ServerName,
        module_timeout: timedelta,
    ) -> None:
        self._clock = clock
        self._writer = writer
        self._server_name = server_name
        self._module_timeout = module_timeout
        self._executor = ThreadPoolExecutor(1, "record")
        self._waiting: list[RecordedEvent | _Entry] = []
        self._writing: asyncio.Future[None] | None = None
        self._lost = 0
        #: The states in decisions that are lost.
        self._lost_states: dict[str, UserPresenceState] = {}
        self._fails = False

    def begin(
        self,
        members: Iterable[JoinedMember],
        states: Sequence[UserPresenceState],
        accounts: Sequence[Account],
    ) -> None:
        """Begin the record with everything as it is now."""
        now = self._clock.now()
        self._waiting += [
            Began(now, VERSION, self._server_name, milliseconds(self._module_timeout)),
            KnownAccounts(now, list(accounts)),
            Known(now, list(states)),
            *(Moved(now, it.room_id, it.user_id, joined=True) for it in members),
        ]

    def published(self, published: Published) -> None:
        if self._admits():
            now = self._clock.now()
            self._waiting.append(lambda world: _told_of(now, published, world))
        else:
            self._lost_states.update((it.user_id, it) for it in published.states)

    def viewed(self, view: FreshView) -> None:
        if self._admits():
            now = self._clock.now()
            self._waiting.append(lambda world: _viewed(now, view, world))

    def moved(self, change: MembershipChange) -> None:
        now = self._clock.now()
        self._waiting.append(Moved(now, change.room_id, change.user_id, change.joined))

    def away(self, viewers: Collection[UserId]) -> None:
        if viewers:
            self._waiting.append(Away(self._clock.now(), list(viewers)))

    def flush(self) -> None:
        """Begin to write what waits, unless the thread is still writing."""
        if self._writing is None and self._waiting:
            self._writing = asyncio.ensure_future(self._write())
            self._writing.add_done_callback(self._written)

    async def close(self) -> None:
        """Write what waits, and record no more; do not wait for a disk that hangs."""
        with suppress(TimeoutError):
            await within(self._clock, _PATIENCE, self._drain())
        self._executor.shutdown(wait=False)

    async def _drain(self) -> None:
        while self._waiting or self._writing:
            self.flush()
            if self._writing is not None:
                await asyncio.shield(self._writing)

    def _admits(self) -> bool:
        if len(self._waiting) < _MOST_WAITING:
            return True
        self._lost += 1
        return False

    async def _write(self) -> None:
        entries, self._waiting = self._waiting, []
        if self._lost:
            _log.warning("decisions are not recorded: too many wait", lost=self._lost)
            entries.append(Known(self._clock.now(), list(self._lost_states.values())))
            self._lost, self._lost_states = 0, {}
        loop = asyncio.get_running_loop()
        try:
            events = _events(self._writer, entries)
            await loop.run_in_executor(
                self._executor, self._writer.write, events, self._clock.now()
            )
        except OSError as problem:
            if not self._fails:
                _log.error("decisions are not recorded", problem=str(problem))
            self._fails = True
        else:
            self._fails = False

    def _written(self, done: "asyncio.Future[None]") -> None:
        self._writing = None
        if not done.cancelled() and (failure := done.exception()) is not None:
            _log.error("recording failed", exc_info=failure)


def _events(
    writer: RecordWriter, entries: Sequence[RecordedEvent | _Entry]
) -> Iterator[RecordedEvent]:
    """Yield the events of *entries*, each made from everything as it is after the earlier ones."""
    for entry in entries:
        if not callable(entry):
            yield entry
        elif writer.world is not None and (event := entry(writer.world)) is not None:
            yield event


def _told_of(at: Timestamp, published: Published, world: RecordedWorld) -> RecordedEvent | None:
    if published.about is None:
        states = [(it.state, world.states.get(it.user_id, it.state)) for it in published.deliveries]
        # The last activity may change without an announcement.
        real = [base.copy_and_replace(last_active_ts=it.last_active_ts) for it, base in states]
        return Met(at, told_to(told_by(published.deliveries, real)))
    told = told_by(published.deliveries, published.asked)
    base = {state.user_id: state for state in published.asked}
    for viewer, routes in published.routes.items():
        for user_id, route in routes.items():
            # Other servers get only the states of our own users.
            if route.state is None or world.is_mine(viewer) or not world.is_mine(user_id):
                continue
            altered = alteration(route.state, base.get(user_id, route.state))
            told.setdefault(user_id, {})[viewer] = altered, route.modules
    if not published.changes:
        return RecordedLate(at, published.about, told_to(told))
    if not published.asked:
        return None
    return RecordedBatch(at, published.about, list(published.asked), told_to(told))


def _viewed(at: Timestamp, view: FreshView, world: RecordedWorld) -> RecordedEvent:
    shown = view.visible.states
    seen = {
        user_id: (alteration(shown[user_id], view.users.get(user_id, shown[user_id])), reasons)
        for user_id, reasons in view.visible.reasons.items()
        if user_id in world.states
    }
    users = None if view.is_whole else [it for it in view.users if it in world.states]
    return Viewed(at, view.viewer, view.is_sync, users, grouped(seen))
