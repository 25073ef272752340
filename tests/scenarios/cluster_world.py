"""A random cluster: what happens to it, and the oracle that looks at every node and every client.

The oracle knows what the clients have done, and what was acknowledged. It allows what time allows:
a status whose request has failed may count or not, until a later one is acknowledged.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random  # noqa: TID251 - seeded: the same world each time
from typing import Any, Final, TypeAlias

import msgspec

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.cluster.entries import HomeserverNews
from lamplighter.cluster.positions import at_time, instant_of, record_of
from lamplighter.errors import ClusterUnavailable, LamplighterError
from lamplighter.ids import DeviceId, RoomId, StreamPosition, UserId
from lamplighter.ports import MembershipChange, Requester
from lamplighter.presence.state import Presence
from lamplighter.routing.interest import SharedRooms
from lamplighter.service.witness import Published
from lamplighter.web.client.long_poll import News
from tests.cluster.memory_log import Way
from tests.scenarios.cluster_machines import MachineClock, load_a_module
from tests.scenarios.cluster_people import Door, Person
from tests.service.nodes import Cluster, Node

__all__ = ["NAMES", "PEOPLE", "ROOMS", "RandomCluster", "Story"]

NAMES: Final = ("a", "b", "c")
PEOPLE: Final = tuple(UserId(f"@user{number}:demo") for number in range(4))
ROOMS: Final = (RoomId("!one:demo"), RoomId("!two:demo"))

#: A client that polls for so long has come to a node that lives.
_HAS_COME: Final = 15_000
_TOLD_AGAIN: Final = timedelta(seconds=20)
#: A write that was not told is told by another node once it is so old.
_UNTOLD: Final = timedelta(seconds=1)


#: What happens, one after the other: the name of a method, and what it is given; or "passes" and so
#: many seconds, "want", "server" and how everybody reaches the log.
Story: TypeAlias = Sequence[tuple[Any, ...]]


class Write(msgspec.Struct, frozen=True):
    """One write of the homeserver, as the database has it."""

    number: int
    user_id: UserId
    #: None for a device that is logged out.
    room_id: RoomId | None
    joined: bool
    device_id: DeviceId
    written: Timestamp


@dataclass
class _Put:
    """A PUT of a status, and what has become of it."""

    message: str
    began: Timestamp
    ended: Timestamp | None = None
    is_acknowledged: bool = False


@dataclass
class _Hearing:
    """How far a node has heard of the writes."""

    heard: int
    early: dict[int, Write] = field(default_factory=dict)


class RandomCluster(Cluster):
    """A cluster with a homeserver, clients, faults and an oracle."""

    def __init__(self, seed: int, *thinks: timedelta) -> None:
        """Each node has a module that shows nobody, and each time *thinks* so long, if any."""
        super().__init__(*PEOPLE)
        self._thinks = thinks
        self._random = Random(seed)
        self.doors: dict[str, Door] = {}
        self._machines: dict[str, MachineClock] = {}
        #: The nodes that were killed: Python would end what they do if nobody held them.
        self._killed: list[Node] = []
        #: The nodes that are being stopped: they hear, and answer, until they have ended.
        self._leaving: dict[str, Node] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._writes: list[Write] = []
        self._hearing: dict[str, _Hearing] = {}
        self._members: set[tuple[RoomId, UserId]] = set()
        #: When two users have last stopped sharing a room.
        self._parted: dict[frozenset[UserId], Timestamp] = {}
        self._puts: dict[UserId, list[_Put]] = {user_id: [] for user_id in PEOPLE}
        #: Whether the log has lost its data, and its clock was set back: nodes that know little may
        #: begin it below what others have told. They answer newer tokens with everything.
        self._was_set_back = False
        #: What the log has lost is told again by then.
        self._agree_from = Timestamp(0)
        self.persons = {it: Person(it, self, Random(self._random.random())) for it in PEOPLE}
        self._lives = [asyncio.ensure_future(it.live()) for it in self.persons.values()]
        self.problems: list[str] = []

    # --- what a cluster needs -------------------------------------------------------------

    def own_clock(self, name: str) -> Clock:
        wrong_by = self._random.choice([0, 0, 90_000, -90_000])
        machine = self._machines[name] = MachineClock(self.clock, wrong_by)
        return machine

    def rooms(self, name: str) -> SharedRooms:
        rooms = SharedRooms(lambda _room_id: True, None)
        since: dict[tuple[RoomId, UserId], Timestamp] = {}
        for write in self._writes:
            if write.room_id is not None and write.joined:
                since[write.room_id, write.user_id] = write.written
            elif write.room_id is not None:
                since.pop((write.room_id, write.user_id), None)
        for (room_id, user_id), written in since.items():
            rooms.joined(room_id, user_id, at_time(Timestamp(written + 1)))
        self._hearing[name] = _Hearing(len(self._writes))
        return rooms

    def memberships_in(self, news: bytes) -> Sequence[MembershipChange]:
        write = msgspec.msgpack.decode(news, type=Write)
        if write.room_id is None:
            return ()
        return [MembershipChange(write.room_id, write.user_id, joined=write.joined)]

    async def kept(self, name: str, told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        return [msgspec.msgpack.encode(it) for it in self._writes]

    def stream_lost(self, name: str) -> Sequence[bytes]:
        super().stream_lost(name)
        unheard = [msgspec.msgpack.encode(it) for it in self._writes[self._hearing[name].heard :]]
        for news in unheard:
            self.hear(name, news)
        return unheard

    def hear(self, name: str, news: bytes) -> None:
        node = self.nodes.get(name) or self._leaving.get(name)
        if node is None:
            return  # it was killed while it read this
        write, hearing = msgspec.msgpack.decode(news, type=Write), self._hearing[name]
        if write.number < hearing.heard:
            return
        hearing.early[write.number] = write
        events = node.heard_events
        while (following := hearing.early.pop(hearing.heard, None)) is not None:
            hearing.heard += 1
            if following.room_id is None:
                self.persons[following.user_id].logged_out()
                events.devices_gone(following.user_id, [following.device_id])
            else:
                change = MembershipChange(
                    following.room_id, following.user_id, joined=following.joined
                )
                events.memberships_changed([change])

    def door(self, random: Random, *, is_retry: bool = False) -> Door | None:
        doors = [it for it in self.doors.values() if not (is_retry and it.is_frozen)]
        return random.choice(doors) if doors else None

    # --- what happens to nodes ------------------------------------------------------------

    def begin_to_start(self, name: str) -> None:
        """Start a node that does not run; it tries until the log takes it."""
        if name not in self.nodes and name not in self._starting:
            self._starting[name] = asyncio.ensure_future(self._start(name))

    async def _start(self, name: str) -> None:
        while name not in self.nodes:
            with suppress(ClusterUnavailable):
                node = await self.start(name)
                if self._thinks:
                    random = Random(self._random.random())
                    load_a_module(node, self._machines[name], random, self._thinks)
                self.doors[name] = Door(name, node)
                node.core.witnesses.observe(lambda it: self._published(name, it))
        del self._starting[name]

    def kill(self, name: str) -> None:
        """Let a node vanish, as if killed at once."""
        if name in self.doors:
            self._machines[name].stop()
            self._killed.append(self.nodes[name])
            super().kill(name)
            self.doors.pop(name).die()

    def freeze(self, name: str) -> None:
        """Let a node stand still."""
        if name in self.doors:
            self._machines[name].stop()
            self.nodes[name].log.way = Way.SILENT
            self.doors[name].is_frozen = True

    def thaw(self, name: str) -> None:
        """Let a node that stands still go on."""
        door = self.doors.get(name)
        if door is not None and door.is_frozen:
            self.nodes[name].log.way = Way.OPEN
            self._machines[name].go_on()
            door.thaw()

    def cut(self, name: str, way: Way) -> None:
        """Let a node reach the log in another way."""
        if name in self.doors and not self.doors[name].is_frozen:
            self.nodes[name].log.way = way

    def leave(self, name: str) -> None:
        """Stop a node as on SIGTERM."""
        door = self.doors.get(name)
        if door is None or door.is_frozen:
            return
        del self.doors[name]
        node = self._leaving[name] = self.nodes.pop(name)

        async def leave() -> None:
            node.core.feed.close()
            await node.core.stop()
            await node.node.leave()
            door.die()
            del self._leaving[name]

        self._lives.append(asyncio.ensure_future(leave()))

    async def lose_data(self, set_back_by: int, takes: float) -> None:
        """Let the log be started again without its data, which takes so many seconds.

        Its clock is set back by so many seconds.
        """
        before, self.server.way = self.server.way, Way.CLOSED
        self._agree_from = after(self.clock.now(), _TOLD_AGAIN)
        self.server.lose_data()
        self.server.set_clock_back(timedelta(seconds=set_back_by))
        self._was_set_back |= set_back_by > 0
        await self.passes(takes)
        self.server.way = before

    # --- what people do -------------------------------------------------------------------

    def put(self, user_id: UserId) -> None:
        """PUT a status at some node."""
        door = self.door(self._random)
        if door is None or door.is_frozen:
            return
        puts = self._puts[user_id]
        put = _Put(f"{len(puts)}", self.clock.now())
        puts.append(put)
        requester = Requester(user_id, self.persons[user_id].device_id)
        saving = door.node.core.intake.set_status(requester, Presence.ONLINE, put.message)
        saving.add_done_callback(lambda it: self._put_ended(door, put, it))

    def _put_ended(self, door: Door, put: _Put, saving: "asyncio.Future[None]") -> None:
        failure = None if saving.cancelled() else saving.exception()
        if failure is not None and not isinstance(failure, LamplighterError):
            self.problems.append(f"a PUT failed with {failure!r}")
        if not door.is_frozen:
            put.ended = self.clock.now()
            put.is_acknowledged = failure is None and not saving.cancelled()

    def move(self, user_id: UserId, room_id: RoomId, joined: bool) -> None:
        """Join or leave a room, if a node runs that can write it."""
        if joined == ((room_id, user_id) in self._members) or (self._hearing and not self.doors):
            return
        before = {it for it in PEOPLE if self.share(user_id, it)}
        (self._members.add if joined else self._members.discard)((room_id, user_id))
        for other in before:
            if not self.share(user_id, other):
                self._parted[frozenset((user_id, other))] = self.clock.now()
        self._write(user_id, room_id, joined, DeviceId(""))

    def log_out(self, user_id: UserId) -> None:
        """Log the user's device out."""
        self._write(user_id, None, False, self.persons[user_id].log_out())

    def share(self, one: UserId, other: UserId) -> bool:
        """Tell whether two users share a room."""
        return one == other or any({(it, one), (it, other)} <= self._members for it in ROOMS)

    def _write(
        self, user_id: UserId, room_id: RoomId | None, joined: bool, device_id: DeviceId
    ) -> None:
        now = self.clock.now()
        write = Write(len(self._writes), user_id, room_id, joined, device_id, now)
        self._writes.append(write)
        self._tell(write)

    def _tell(self, write: Write) -> None:
        awake = [it for it in self.doors.values() if not it.is_frozen]
        if awake:
            door = self._random.choice(awake)
            door.node.core.stream.append(HomeserverNews(msgspec.msgpack.encode(write)))

    def _tell_untold(self) -> None:
        """Let some node tell what was written a while ago, and was not told."""
        before = after(self.clock.now(), -_UNTOLD)
        heard = min((self._hearing[it].heard for it in self.doors), default=len(self._writes))
        for write in self._writes[heard:]:
            if write.written <= before:
                self._tell(write)

    # --- what the oracle hears ------------------------------------------------------------

    def _published(self, name: str, published: Published) -> None:
        now = instant_of(published.position)
        for state in published.states:
            since = self.persons[UserId(state.user_id)].wants_since
            if state.state == Presence.OFFLINE and since is not None and now - since > _HAS_COME:
                self.problems.append(
                    f"{now}: {name} tells that {state.user_id} is offline, who polls since {since}"
                )

    async def admit(self, person: Person, door: Door) -> None:
        """Everybody may poll at once."""

    def answered(self, person: Person, news: News) -> None:
        if record_of(news.position) < record_of(person.position) and not self._was_set_back:
            self.problems.append(f"{self.clock.now()}: a position of {person.user_id} went back")
        for state in news.states:
            user_id = UserId(state.user_id)
            if self.share(person.user_id, user_id) or state.state == Presence.OFFLINE:
                continue
            parted = self._parted.get(frozenset((person.user_id, user_id)), Timestamp(0))
            if parted < person.answered_at - 5_000:
                self.problems.append(
                    f"{self.clock.now()}: {person.user_id} is shown {state}, parted at {parted}"
                )

    async def play(self, story: Story) -> Sequence[str]:
        """Let *story* happen, and everything heal; return what was wrong."""
        for name in NAMES[:2]:
            self.begin_to_start(name)
        for user_id, person in self.persons.items():
            self.move(user_id, ROOMS[0], joined=True)
            person.want(wants=True)
        await self._pass_looking(3)
        for what, *details in story:
            await self._let_happen(what, details)
        self.server.way = Way.OPEN
        for name in NAMES:
            self.thaw(name)
            self.cut(name, Way.OPEN)
            self.begin_to_start(name)
        await self._pass_looking(60)
        return [*self.problems, *self._final()]

    async def _let_happen(self, what: str, details: Sequence[Any]) -> None:
        match what:
            case "passes":
                await self._pass_looking(*details)
            case "want":
                user_id, wants = details
                self.persons[user_id].want(wants)
            case "server":
                [self.server.way] = details
            case "lose_data":
                await self.lose_data(*details)
            case _:
                getattr(self, what)(*details)
                await self.passes(0)

    async def _pass_looking(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            await self.passes(0.25)
            self._tell_untold()
            self._look()

    # --- the oracle -----------------------------------------------------------------------

    def _look(self) -> None:
        """Compare the nodes as they are now."""
        now = self.clock.now()
        ways = {it.log.way for it in self.nodes.values()}
        if now < self._agree_from and ways != {Way.OPEN}:
            self._agree_from = after(now, _TOLD_AGAIN)
        for user_id in PEOPLE:
            deciding = [it for it in self.doors if self.nodes[it].owns(user_id)]
            places = [self.nodes[it].core.feed.position >> 16 for it in deciding]
            if len(places) != len(set(places)):
                self.problems.append(f"{deciding} own {user_id} at one position")
        by_position: dict[int, tuple[str, object]] = {}
        for name in self.doors:
            core = self.nodes[name].core
            announced = {
                (it.user_id, it.state, it.status_msg, it.currently_active)
                for it in core.roster.known()
            }
            place = core.feed.position >> 16
            other, theirs = by_position.setdefault(place, (name, announced))
            if theirs != announced and now >= self._agree_from:
                self.problems.append(f"{now}: {other} and {name} differ: {theirs} {announced}")

    def _allowed(self, user_id: UserId) -> set[str | None]:
        """Return the status messages that the user may have in the end."""
        puts = self._puts[user_id]
        acknowledged = [it for it in puts if it.is_acknowledged]
        if not acknowledged:
            return {None, *(it.message for it in puts)}
        last = max(acknowledged, key=lambda it: it.began)
        concurrent = [it for it in puts if it.ended is None or it.ended >= last.began]
        return {it.message for it in (last, *concurrent)}

    def _final(self) -> Iterable[str]:
        """Return what is wrong once everything has healed, and time has passed."""
        for task in self._lives:
            if task.done() and (failure := task.exception()) is not None:
                yield f"a client or a node has failed: {failure!r}"
        for name, node in self.nodes.items():
            if node.ended:
                yield f"{name} has ended: {node.ended}"
            for user_id, person in self.persons.items():
                state, polls = node.core.roster.get(user_id), person.wants_since is not None
                if polls != (state.state != Presence.OFFLINE):
                    yield f"{name} says {state}, polls: {polls}"
                if state.status_msg not in self._allowed(user_id):
                    yield f"{name} says {state}, allowed is {self._allowed(user_id)}"
        for person in self.persons.values():
            if person.wants_since is not None:
                yield from self._false_beliefs(person)

    def _false_beliefs(self, person: Person) -> Iterable[str]:
        roster = next(iter(self.nodes.values())).core.roster
        for user_id in PEOPLE:
            state = roster.get(user_id)
            truth, shown = (state.state, state.status_msg), person.believes.get(user_id)
            if not self.share(person.user_id, user_id):
                truth = (Presence.OFFLINE, None)
            if truth[0] == Presence.OFFLINE:
                truth, shown = (Presence.OFFLINE, None), (shown[0], None) if shown else None
            if (shown or (Presence.OFFLINE, None)) != truth:
                yield f"{person.user_id} believes {shown} of {user_id}, who is {truth}"

    async def end(self) -> None:
        """End everything."""
        for task in [*self._lives, *self._starting.values()]:
            task.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
