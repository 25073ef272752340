"""Who is joined to which room, as the homeserver says.

An application service cannot ask for all rooms. So the rooms of a user are asked for when the user
first sends a request, and the members of each of these rooms then. From there on there are hints:
a transaction with a membership event, a join that passes through, an answer to a `/sync` that names
a room. A hint never says who is joined: transactions come late, and the first ones hold the whole
past. So a hint makes Lamplighter ask again for the members of that one room.

Example: alice left a room three years ago. The first transaction holds her join, and not yet her
leave. The join is a hint; `joined_members` says that she is not in the room; nobody sees her.

The one exception is an end. A leave that passes through is believed at once, before its answer
reaches the client: what was true a moment ago must not be seen any more.

Memberships are stored, and a start goes on with them, so nobody who keeps a token is told anew of
everybody. What has changed meanwhile is not known. So all stored rooms are asked for again: those
of a user before the first answer to that user, the others one after the other. Example: bob leaves
the lobby while Lamplighter is down. Alice polls with her old token; the lobby is asked for; her
answer says that bob is offline, and nothing else.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, sleep, within
from lamplighter.errors import Forbidden, HomeserverTooSlow, HomeserverUnreachable, NotFound
from lamplighter.homeserver.upstream.findings import Findings
from lamplighter.homeserver.upstream.members_saving import MembersSaving
from lamplighter.homeserver.upstream.service import AppService
from lamplighter.homeserver.upstream.sync_answer import RoomsOfAnswer
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import JoinedMember, MembershipChange
from lamplighter.recent import Recent
from lamplighter.service.background import Background

__all__ = ["MOST_USERS", "UpstreamRooms"]

_log = structlog.get_logger(__name__)

#: Of how many users is remembered that their rooms were asked for.
MOST_USERS: Final = 100_000
#: How many questions wait for the homeserver at one time.
_AT_ONCE: Final = 8
#: How many of these are about stored rooms for which nobody waits.
_AT_ONCE_AFTER_A_START: Final = 4
#: How long a first request waits until the rooms of its user are known.
_PATIENCE: Final = timedelta(seconds=2)
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(seconds=30)
_NOBODY: Final[Mapping[UserId, Timestamp]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Learning:
    """The question which rooms a user is in, under way."""

    task: "asyncio.Task[None]"
    #: Set when the user moves: what was asked before may be older.
    moved: asyncio.Event


class UpstreamRooms:
    """A `Membership`: what was asked for, kept current by hints."""

    def __init__(
        self,
        service: AppService,
        saving: MembersSaving,
        findings: Findings,
        clock: Clock,
        background: Background,
        most_users: int = MOST_USERS,
    ) -> None:
        """Remember of *most_users* that their rooms were asked for."""
        self._service = service
        self._findings = findings
        self._saving = saving
        self._clock = clock
        self._background = background
        #: Room to member to when the membership came to be known.
        self._members: dict[RoomId, dict[UserId, Timestamp]] = {}
        self._rooms_of: dict[UserId, set[RoomId]] = {}
        #: Users whose rooms were asked for. Those who are displaced are asked for once more.
        self._appeared: Recent[UserId, None] = Recent(most_users)
        #: Users whose rooms are being asked for.
        self._learning: dict[UserId, _Learning] = {}
        #: Rooms that are being asked for, and those that are to be asked for once more.
        self._asking: dict[RoomId, asyncio.Task[None]] = {}
        self._stale: set[RoomId] = set()
        #: Stored rooms that have not been asked for since the start, or since the stream was lost.
        self._unconfirmed: set[RoomId] = set()
        self._places = asyncio.Semaphore(_AT_ONCE)
        #: Set by the next answer of the homeserver's.
        self._answered = asyncio.Event()

    async def start(self) -> None:
        """Go on with what was stored. Raises `StorageUnavailable`."""
        for it in await self._saving.load():
            self._members.setdefault(it.room_id, {})[it.user_id] = it.since
            self._rooms_of.setdefault(it.user_id, set()).add(it.room_id)
        self._unconfirmed.update(self._members)

    def doubt(self) -> None:
        """Ask for everything again, as after a start: others may know more."""
        self._unconfirmed.update(self._members)
        self._appeared.clear()
        self.opened()

    def opened(self) -> None:
        """Ask for the stored rooms again."""
        rooms = iter(sorted(self._unconfirmed))
        for _ in range(_AT_ONCE_AFTER_A_START):
            self._background.run(self._confirm(rooms))

    async def stop(self) -> None:
        """Store what is not stored yet."""
        await self._saving.stop()

    async def members(self) -> Sequence[JoinedMember]:
        joined = [
            JoinedMember(room_id, user_id, since)
            for room_id, members in self._members.items()
            for user_id, since in members.items()
        ]
        return sorted(joined, key=lambda it: it.since)

    async def joined_rooms(self, user_id: UserId) -> Sequence[RoomId]:
        return sorted(self._rooms_of.get(user_id, ()))

    def local_member(self, room_id: RoomId) -> UserId | None:
        """Return a user of the homeserver who is joined to a room, if one is known."""
        members = self._members.get(room_id, _NOBODY)
        return next(filter(self._service.is_local, members), None)

    async def room_name(self, room_id: RoomId) -> str | None:
        member = self.local_member(room_id)
        if member is None:
            return None
        for event_type, key in (("m.room.name", "name"), ("m.room.canonical_alias", "alias")):
            try:
                found = (await self._service.state_content(room_id, member, event_type)).get(key)
            except (Forbidden, NotFound, HomeserverUnreachable, HomeserverTooSlow):
                continue
            if isinstance(found, str) and found:
                return found
        return None

    async def appeared(self, user_id: UserId) -> None:
        """Ask for the rooms of a user who is new here; return once they are known, or soon."""
        is_new = user_id not in self._appeared
        self._appeared.put(user_id, None)
        if is_new or user_id in self._learning:
            await self._wait_for([self._begin_to_learn(user_id).task])

    async def hear(self, room_ids: Iterable[RoomId]) -> None:
        """Ask for the members of these rooms again; return once they are known, or soon."""
        await self._wait_for([self._ask_again(it) for it in room_ids])

    def hint(self, room_ids: Iterable[RoomId]) -> None:
        """Ask for the members of these rooms again, soon."""
        for room_id in room_ids:
            self._ask_again(room_id)

    async def transaction(self, memberships: Iterable[tuple[RoomId, UserId]]) -> None:
        """Learn that the membership of users has changed, perhaps years ago.

        On many nodes, returns once all nodes know the truth, or soon: if this node dies before, no
        other node has had the hint. Where much is asked already, nobody waits.
        """
        concerned = {
            room_id
            for room_id, user_id in memberships
            if room_id in self._members or self._has_appeared(user_id)
        }
        tasks = [self._ask_again(it) for it in concerned]
        if tasks and self._findings.are_for_many and len(self._asking) <= _AT_ONCE:
            await self._wait_for(tasks)
            await self._findings.told()

    def _has_appeared(self, user_id: UserId) -> bool:
        """Tell whether the rooms of a user were asked for, here or at another node."""
        is_here = user_id in self._appeared
        return is_here or (user_id in self._rooms_of and self._service.is_local(user_id))

    def seen(self, user_id: UserId, rooms: RoomsOfAnswer) -> None:
        """Learn what an answer to the user's `/sync` says of rooms."""
        known = self._rooms_of.get(user_id, set())
        for room_id in rooms.left & known:
            self.left(user_id, room_id)
        self.hint((rooms.joined - known) | rooms.changed)

    async def moved(self, user_id: UserId) -> None:
        """Ask again which rooms the user is in; return once that is known, or soon."""
        self._appeared.put(user_id, None)
        learning = self._begin_to_learn(user_id)
        learning.moved.set()
        await self._wait_for([learning.task])

    def left(self, user_id: UserId, room_id: RoomId) -> None:
        """Believe at once that a user has left a room; ask all the same."""
        members = self._members.get(room_id, _NOBODY)
        self._apply(room_id, members.keys() - {user_id})
        self._ask_again(room_id)

    async def _wait_for(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        waiting = [asyncio.shield(it) for it in tasks if not it.done()]
        if waiting:
            try:
                await within(self._clock, _PATIENCE, asyncio.wait(waiting))
            except TimeoutError:
                _log.warning("the homeserver has not yet said who is in which room")

    def _begin_to_learn(self, user_id: UserId) -> "_Learning":
        learning = self._learning.get(user_id)
        if learning is None:
            moved = asyncio.Event()
            task = self._background.run(self._learn_rooms(user_id, moved))
            learning = self._learning[user_id] = _Learning(task, moved)
        return learning

    async def _learn_rooms(self, user_id: UserId, moved: asyncio.Event) -> None:
        """Ask which rooms a user is in, and who is there, until nothing is older than a move."""
        try:
            while True:
                moved.clear()
                rooms = await self._ask_for_rooms(user_id)
                if not moved.is_set():
                    await _all_done(self._take_in(user_id, rooms), moved)
                if not moved.is_set():
                    return
        finally:
            del self._learning[user_id]

    async def _ask_for_rooms(self, user_id: UserId) -> AbstractSet[RoomId]:
        pause = _FIRST_PAUSE
        while True:
            try:
                async with self._places:
                    rooms = await self._service.joined_rooms(user_id)
            except (HomeserverUnreachable, HomeserverTooSlow, NotFound):
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Forbidden:
                _log.warning("the homeserver does not say which rooms a user is in", user=user_id)
                return frozenset()
            else:
                self._has_answered()
                return rooms

    def _take_in(self, user_id: UserId, rooms: AbstractSet[RoomId]) -> list["asyncio.Task[None]"]:
        """Learn which rooms a user is in; return what ends once it is known who is there."""
        known = self._rooms_of.get(user_id, set())
        for room_id in known - rooms:
            self.left(user_id, room_id)
        tasks = [self._ask_again(it) for it in rooms - known]
        return tasks + [self._confirmed(it) for it in rooms & known & self._unconfirmed]

    async def _confirm(self, rooms: Iterator[RoomId]) -> None:
        for room_id in rooms:
            if room_id in self._unconfirmed and room_id not in self._asking:
                await asyncio.wait([self._confirmed(room_id)])

    def _confirmed(self, room_id: RoomId) -> "asyncio.Task[None]":
        """Return what ends once the room was asked for after the start."""
        return self._asking.get(room_id) or self._ask_again(room_id)

    def _ask_again(self, room_id: RoomId) -> "asyncio.Task[None]":
        task = self._asking.get(room_id)
        if task is None:
            task = self._asking[room_id] = self._background.run(self._ask(room_id))
        else:
            self._stale.add(room_id)
        return task

    async def _ask(self, room_id: RoomId) -> None:
        """Ask who is in a room, until an answer has come that is not older than any hint."""
        pause = _FIRST_PAUSE
        try:
            while True:
                self._stale.discard(room_id)
                try:
                    async with self._places:
                        members = await self._service.joined_members(room_id)
                except (HomeserverUnreachable, HomeserverTooSlow):
                    await self._rest(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                self._has_answered()
                if room_id not in self._stale:
                    self._unconfirmed.discard(room_id)
                    self._apply(room_id, members)
                    return
        finally:
            self._asking.pop(room_id, None)
            self._stale.discard(room_id)

    async def _rest(self, pause: timedelta) -> None:
        """Wait before the same is asked again: not as long if the homeserver answers meanwhile."""
        await sleep(self._clock, _FIRST_PAUSE)
        with suppress(TimeoutError):
            await within(self._clock, pause - _FIRST_PAUSE, self._answered.wait())

    def _has_answered(self) -> None:
        self._answered.set()
        self._answered = asyncio.Event()

    def _apply(self, room_id: RoomId, members: AbstractSet[UserId]) -> None:
        known = self._members.get(room_id, _NOBODY)
        joined, left = sorted(members - known.keys()), sorted(known.keys() - members)
        changes = [MembershipChange(room_id, it, joined=False) for it in left]
        changes += [MembershipChange(room_id, it, joined=True) for it in joined]
        self._findings.memberships_changed(changes)

    def believe(
        self, changes: Sequence[MembershipChange], now: Timestamp
    ) -> Sequence[MembershipChange]:
        """Take in joins and leaves that this node, or another, has found out; return what is new.

        They are known from *now* on. A room that is being asked for is asked for once more: the
        answer may be older.
        """
        new = [it for it in changes if self._differs(it)]
        for change in new:
            room_id, user_id = change.room_id, change.user_id
            if room_id in self._asking:
                self._stale.add(room_id)
            if change.joined:
                self._members.setdefault(room_id, {})[user_id] = now
                self._rooms_of.setdefault(user_id, set()).add(room_id)
                continue
            members, rooms = self._members[room_id], self._rooms_of[user_id]
            del members[user_id]
            rooms.discard(room_id)
            if not members:
                del self._members[room_id]
            if not rooms:
                del self._rooms_of[user_id]
        return new

    def _differs(self, change: MembershipChange) -> bool:
        return change.joined is not (change.user_id in self._members.get(change.room_id, _NOBODY))


async def _all_done(tasks: Sequence["asyncio.Task[None]"], event: asyncio.Event) -> None:
    """Return once all *tasks* have ended, or *event* is set."""
    if tasks:
        all_done = asyncio.ensure_future(asyncio.wait(tasks))
        is_set = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((all_done, is_set), return_when=asyncio.FIRST_COMPLETED)
        finally:
            all_done.cancel()
            is_set.cancel()
