"""A replay: other modules decide about recorded events, by the clock of the record.

Rooms, presence and the viewers that poll are as recorded. The modules under trial and the server's
own `Planner` decide who sees whom. The replay compares each decision with the recorded one.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial, singledispatchmethod
from typing import Final, TypeVar

from lamplighter.app import counting_rooms
from lamplighter.app.modules import server_facts
from lamplighter.clock import SystemClock, Timestamp, milliseconds, sleep
from lamplighter.cluster.positions import BEGINNING
from lamplighter.config import Config
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.differences import Differences
from lamplighter.devtools.module_timers import modules_by
from lamplighter.devtools.replay_host import ReplayDirectory, ReplayExchange, ReplayHost
from lamplighter.devtools.turns import turns
from lamplighter.errors import ConfigError, RecordUnreadable
from lamplighter.ids import StreamPosition, UserId
from lamplighter.metrics import Metrics
from lamplighter.modules.loader import ConfiguredModule, module_entries
from lamplighter.modules.module_set import ModuleSet
from lamplighter.modules.runtime import ModuleRuntime
from lamplighter.modules.sqlite import sqlite_databases
from lamplighter.ports import MembershipChange
from lamplighter.presence.state import UserPresenceState
from lamplighter.recording.events import (
    Away,
    Began,
    Met,
    Moved,
    RecordedBatch,
    RecordedEvent,
    RecordedLate,
    Seen,
    Told,
    Viewed,
    alteration,
    seen_in,
    told_by,
    told_in,
)
from lamplighter.recording.world import RecordedWorld
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Planner, Routes
from lamplighter.routing.room_sizes import RoomSizes
from lamplighter.routing.router import ModuleRouter
from lamplighter.routing.visibility import ModuleInterests
from lamplighter.service.subscribers import Subscribers

__all__ = ["Replay", "ReplayReport"]

T = TypeVar("T")

#: Modules that wait for nothing outside the event loop answer within this many turns of it.
_MANY: Final = 20
#: A thread, or another server, may need so long to answer a module.
_PATIENCE: Final = timedelta(seconds=1)
#: How long an answer of `get_interested_users` is used, as in a server.
_INTEREST_FRESH: Final = timedelta(seconds=55)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The result of a replay."""

    began: Timestamp
    ended: Timestamp
    decisions: int
    differences: Differences
    #: The modules under trial by name, each with its last failure, or None.
    modules: Mapping[str, str | None]
    #: How often modules asked for data that is not in the record.
    unanswered: Mapping[str, int]


@dataclass(slots=True)
class _Pending:
    """A batch that may still get late answers."""

    at: Timestamp
    before: dict[UserId, dict[UserId, Seen]]
    after: Told = field(default_factory=dict)


class Replay:
    """Replays one record."""

    def __init__(
        self,
        config: Config,
        entries: Sequence[ConfiguredModule] | None = None,
        patience: timedelta = _PATIENCE,
    ) -> None:
        """Try the modules of *config*, or *entries* in their place.

        *patience* is how long the replay waits for an answer in real time before it advances the
        module's clock.
        """
        self._config = config
        self._patience = patience
        self._entries = module_entries(config) if entries is None else entries
        self._clock = FakeClock(Timestamp(0))
        self._metrics = Metrics()
        self._router = ModuleRouter(
            self._clock, self._metrics, GuardSettings(config.module_timeout)
        )
        self._subscribers = Subscribers(self._clock, self._metrics, config.module_timeout)
        self._differences = Differences()
        self._unanswered: Counter[str] = Counter()
        self._decisions = 0
        self._world: RecordedWorld | None = None
        self._pending: dict[StreamPosition, _Pending] = {}
        self._forget_what_was()

    async def run(self, events: Iterable[RecordedEvent]) -> ReplayReport:
        """Return where the modules would have decided differently.

        Raises `ConfigError`, `ModuleError` and `RecordUnreadable`.
        """
        with modules_by(self._clock):
            return await self._run(self._runtime(), events)

    async def _run(self, runtime: ModuleRuntime, events: Iterable[RecordedEvent]) -> ReplayReport:
        began: Timestamp | None = None
        try:
            for event in events:
                if began is None:
                    began = event.at
                    self._clock.advance_to(event.at)
                    runtime.load(self._entries)
                    runtime.start()
                await self._pass_to(event.at)
                await self._do(event)
            self._compare_pending(len(self._pending))
        finally:
            await self._answered(runtime.stop())
            self._subscribers.close()
        if began is None:
            raise RecordUnreadable("nothing is recorded")
        modules = {it.name: it.problem for it in self._router.modules}
        return ReplayReport(
            began,
            self._clock.now(),
            self._decisions,
            self._differences,
            modules,
            dict(self._unanswered),
        )

    def _runtime(self) -> ModuleRuntime:
        def forget_interest(viewer: UserId) -> None:
            self._interests.forget(viewer)

        exchange = ReplayExchange(self._router)
        make_set = partial(
            ModuleSet,
            server_facts(self._config),
            exchange=exchange,
            host=ReplayHost(self._known, self._subscribers, forget_interest, self._unanswered),
            directory=ReplayDirectory(self._known, self._unanswered),
            clock=self._clock,
            make_databases=partial(sqlite_databases, None),
        )
        return ModuleRuntime(exchange, make_set)

    def _known(self) -> RecordedWorld:
        if self._world is None:
            raise RecordUnreadable("the record does not begin with how everything stands")
        return self._world

    def _forget_what_was(self) -> None:
        self._rooms = SharedRooms(counting_rooms(self._config))
        self._sizes = RoomSizes(self._config.routing.most_members)
        self._interests = ModuleInterests()
        self._planner = Planner(self._rooms, self._interests)

    # --- what is recorded -----------------------------------------------------------------

    @singledispatchmethod
    async def _do(self, event: RecordedEvent) -> None:
        """Apply an event that causes no decision."""
        self._known().apply(event)

    @_do.register
    async def _began(self, event: Began) -> None:
        if event.server_name != self._config.server_name:
            raise ConfigError(f"server_name: the record is of {event.server_name}")
        self._world = RecordedWorld(event)
        self._forget_what_was()

    @_do.register
    async def _moved(self, event: Moved) -> None:
        self._known().apply(event)
        change = MembershipChange(event.room_id, event.user_id, event.joined)
        sizes = self._sizes.changed([change])
        for room_id in sizes.ceased:
            self._rooms.cease(room_id)
        if event.joined:
            self._rooms.joined(event.room_id, event.user_id, BEGINNING)
        else:
            self._rooms.left(event.room_id, event.user_id)
        for room_id in sizes.begun:
            self._rooms.begin(room_id, BEGINNING)

    @_do.register
    async def _away(self, event: Away) -> None:
        self._known().apply(event)
        for viewer in event.viewers:
            self._interests.forget(viewer)

    @_do.register
    async def _batch(self, event: RecordedBatch) -> None:
        world = self._known()
        world.apply(event)
        self._decisions += 1
        routes = await self._routes(event.states)
        await self._ask_interests(world.looking.keys())
        self._subscribers.announce(event.states)
        await turns(_MANY)
        others = {viewer for viewer in routes if not world.is_mine(viewer)}
        # Recipients who do not poll got the state by a room or a route, and do so again.
        before = told_in(event.told)
        others.update(viewer for seen in before.values() for viewer in seen)
        deliveries = self._planner.plan(event.states, routes, world.looking.keys() | others)
        told = {
            user_id: {
                viewer: shown
                for viewer, shown in seen.items()
                # Other servers get only states of our own users.
                if world.is_mine(viewer) or world.is_mine(user_id)
            }
            for user_id, seen in told_by(deliveries, event.states).items()
        }
        self._pending[event.position] = _Pending(event.at, before, told)

    @_do.register
    async def _late(self, event: RecordedLate) -> None:
        pending = self._pending.get(event.about)
        if pending is not None:
            for user_id, seen in told_in(event.told).items():
                pending.before.setdefault(user_id, {}).update(seen)

    @_do.register
    async def _met(self, event: Met) -> None:
        self._decisions += 1
        for user_id, seen in told_in(event.told).items():
            for viewer, before in seen.items():
                visible = await self._view(viewer, [user_id])
                self._differences.compare(event.at, viewer, user_id, before, visible.get(user_id))

    @_do.register
    async def _viewed(self, event: Viewed) -> None:
        world = self._known()
        world.apply(event)
        self._decisions += 1
        users = list(world.states) if event.users is None else event.users
        visible = await self._view(event.viewer, users)
        recorded = seen_in(event.seen)
        for user_id in users:
            before, now = recorded.get(user_id), visible.get(user_id)
            self._differences.compare(event.at, event.viewer, user_id, before, now)

    # --- what the modules say -------------------------------------------------------------

    async def _view(self, viewer: UserId, users: Iterable[UserId]) -> Mapping[UserId, Seen]:
        """Return what a first sync would show the viewer of *users* now."""
        world = self._known()
        states = {it: world.states[it] for it in users if it in world.states}
        routes = await self._routes(list(states.values()))
        if world.is_mine(viewer):
            await self._ask_interests({viewer})
        visible = self._planner.view(viewer, states, routes)
        shown = visible.states
        return {
            user_id: (alteration(shown[user_id], states.get(user_id, shown[user_id])), reasons)
            for user_id, reasons in visible.reasons.items()
        }

    async def _routes(self, states: Sequence[UserPresenceState]) -> Routes:
        return await self._answered(self._router.routes(states)) if states else {}

    async def _ask_interests(self, viewers: AbstractSet[UserId]) -> None:
        if not self._router.modules:
            return
        stale = self._clock.now() - milliseconds(_INTEREST_FRESH)
        asked_at = self._interests.asked_at
        due = [it for it in viewers if (asked_at(it) or Timestamp(0)) <= stale]
        for viewer in due:
            interest = await self._answered(self._router.interested_users(viewer))
            self._interests.cache(viewer, interest, BEGINNING, self._clock.now())

    async def _answered(self, question: Awaitable[T]) -> T:
        """Return the answer; wait in real time first, then in the modules' time."""
        task = asyncio.ensure_future(question)
        await turns(1)
        for _ in range(_MANY):
            if task.done():
                return task.result()
            await turns(1)
        patience = asyncio.ensure_future(sleep(SystemClock(), self._patience))
        await asyncio.wait({task, patience}, return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()
        while not task.done() and (due := self._clock.next_timer()) is not None:
            self._clock.advance_to(due)
            await turns(_MANY)
        return await task

    # --- time -----------------------------------------------------------------------------

    async def _pass_to(self, instant: Timestamp) -> None:
        while (due := self._clock.next_timer()) is not None and due <= instant:
            self._clock.advance_to(due)
            await turns(_MANY)
        self._clock.advance_to(instant)
        if self._world is not None:
            told_until = instant - 2 * self._world.began.module_timeout
            due_now = sum(pending.at < told_until for pending in self._pending.values())
            self._compare_pending(due_now)

    def _compare_pending(self, count: int) -> None:
        """Compare the *count* oldest batches, which get no more late answers."""
        for position in list(self._pending)[:count]:
            pending = self._pending.pop(position)
            for user_id in {**pending.before, **pending.after}:
                before, now = pending.before.get(user_id, {}), pending.after.get(user_id, {})
                for viewer in {**before, **now}:
                    self._differences.compare(
                        pending.at, viewer, user_id, before.get(viewer), now.get(viewer)
                    )
