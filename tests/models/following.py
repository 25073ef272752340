"""Nodes of a real cluster, to which the same things happen as to the model.

After each act time stands still until nothing is left to do: here turns of the event loop, in the
model every order of its steps. So the model gives a set of worlds in which the nodes may be, and
what can be seen of them tells which of these they are.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count, groupby
from typing import Final

import msgspec

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.cluster.entries import HomeserverNews
from lamplighter.cluster.log import NodeName
from lamplighter.cluster.partitions import heirs_of, partition_of
from lamplighter.cluster.positions import BEGINNING, at_time
from lamplighter.delivery.feed import WaitingPoll
from lamplighter.devtools.turns import turns, turns_until_idle
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import MembershipChange, Requester, SyncRequest
from lamplighter.presence.machine import Rules
from lamplighter.presence.state import Presence
from lamplighter.presence.timers import Timers
from lamplighter.routing.interest import SharedRooms
from lamplighter.service.settings import CoreSettings
from lamplighter.service.witness import Published
from lamplighter.web.client.long_poll import News, SyncQuestion
from tests.cluster.memory_log import Way as LogWay
from tests.models.cluster import Design
from tests.models.worlds import USERS, Value
from tests.scenarios.cluster_machines import MachineClock
from tests.scenarios.cluster_people import Door
from tests.service.nodes import Cluster, Node
from tests.service.parts import HERE, PHONE

__all__ = ["DESIGN", "Followed", "Seen"]

_TICK: Final = timedelta(milliseconds=500)
_GRACE: Final = timedelta(seconds=6)
#: The rules of the model, with the durations of the program: a node renews with each tick.
DESIGN: Final = Design(lease=8, out=6, grace=_GRACE // _TICK, patience=10, nodes_may_be_late=True)

_NAMES: Final = (NodeName("a"), NodeName("b"))
_VIEWER: Final = UserId("@viewer:demo")
#: So many turns of the event loop take a request to the log.
_SOME_TURNS: Final = 20
#: Nobody waits so long: a poll is answered at once, or given up.
_LONG: Final = timedelta(hours=1)


def _people() -> Iterator[UserId]:
    """Give for each node a user whom it should own."""
    heirs = heirs_of(frozenset(_NAMES))
    everybody = [UserId(f"@user{number}:demo") for number in range(50)]
    for name in _NAMES:
        yield next(it for it in everybody if heirs[partition_of(it)] == name)


_PEOPLE: Final = tuple(_people())


class _Move(msgspec.Struct, frozen=True):
    """A user joins or leaves the room with the viewer."""

    number: int
    user: int
    joined: bool


@dataclass(frozen=True)
class Seen:
    """What can be seen of a cluster from without."""

    #: By node: which users it owns, and how it says that each is; None where no process is.
    nodes: tuple[tuple[frozenset[int], tuple[Value, ...]] | None, ...]
    #: The PUTs that wait for an answer, and those that were acknowledged.
    waiting: frozenset[int]
    acknowledged: frozenset[int]
    #: The users whose polls wait.
    polling: frozenset[int]
    #: By user: online or offline, one after the other, as told up to where some node has read. Of
    #: statuses that were set at once only the last may be told.
    told: tuple[tuple[bool, ...], ...]
    #: What the viewer's client shows.
    believes: tuple[Value, ...]


class _UserPoll(WaitingPoll):
    """A poll of a user: it says that the device polls, and waits for nothing."""

    def __init__(self, node: Node, user_id: UserId, clock: Clock) -> None:
        super().__init__(PHONE)
        self.node, self._user_id, self._clock = node, user_id, clock
        self._polls = node.core.connections.begin(Requester(user_id, PHONE), None)
        self.is_gone = False
        node.core.feed.wait(user_id, self)

    def look(self, now: Timestamp) -> None:
        if self.refusal is not None:
            self.leave()

    def leave(self) -> None:
        """The client goes away."""
        if not self.is_gone:
            self.is_gone = True
            self.node.core.feed.release(self._user_id, self)
            self.node.core.connections.end(self._polls, self._clock.now())


class Followed(Cluster):
    """Two real nodes over one log, and what a test does to them and sees of them."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = CoreSettings(HERE, rules=Rules(timers=Timers(sync_online_timeout=_GRACE)))
        self.doors: dict[int, Door] = {}
        self._machines: dict[str, MachineClock] = {}
        #: What frozen nodes do once they go on.
        self._later: dict[int, list[Callable[[], None]]] = {}
        self._polls: dict[int, _UserPoll] = {}
        self._puts: dict[int, asyncio.Future[None]] = {}
        self._edges: dict[int, int] = {}
        self._numbers = count(1)
        self._moves: list[_Move] = []
        self._started_after: dict[str, int] = {}
        self._token: str | None = None
        self._believes: list[Value] = [(False, 0)] * len(USERS)
        #: By its position and its user, what was told to all.
        self._told_to_all: dict[tuple[StreamPosition, int], Value] = {}
        #: Of which users the viewer was told last.
        self.told: frozenset[int] = frozenset()
        #: Whether its token counted positions of another node, or the node has started since the
        #: last answer: both may repeat what was told.
        self.may_repeat = False
        self._new: set[int] = set()
        self._position: StreamPosition | None = None

    # --- what a cluster needs -------------------------------------------------------------

    def own_clock(self, name: str) -> Clock:
        machine = self._machines[name] = MachineClock(self.clock, 0)
        return machine

    def rooms(self, name: str) -> SharedRooms:
        rooms = SharedRooms(lambda _room_id: True, None)
        self._started_after[name] = len(self._moves)
        now = at_time(after(self.clock.now(), timedelta(milliseconds=1)))
        for user in USERS:
            moves = [it for it in self._moves if it.user == user]
            rooms.joined(_room(user), _VIEWER, StreamPosition(1))
            if not moves or moves[-1].joined:
                rooms.joined(_room(user), _PEOPLE[user], now if moves else StreamPosition(1))
        return rooms

    def hear(self, name: str, news: bytes) -> None:
        move = msgspec.msgpack.decode(news, type=_Move)
        if move.number >= self._started_after[name]:
            change = MembershipChange(_room(move.user), _PEOPLE[move.user], joined=move.joined)
            self.nodes[name].heard_events.memberships_changed([change])

    # --- what befalls it, as in the model -------------------------------------------------

    async def act(self, what: str, *about: int) -> None:
        """Let something happen, and all that follows without time passing."""
        match what, about:
            case "tick", ():
                await self.passes(_TICK.total_seconds())
            case "start", (number,):
                node = await self.start(_NAMES[number])
                node.core.witnesses.observe(self._published)
                self._new.add(number)
                self.doors[number] = Door(_NAMES[number], node)
            case "kill", (number,):
                self._kill(number)
            case "cut", (number,):
                self._node(number).log.way = LogWay.CLOSED
            case "frozen", (number,):
                self._freeze(number)
            case "open", (number,):
                await self._open(number)
            case _:
                await self._act_of_people(what, *about)
        await turns_until_idle()

    async def _act_of_people(self, what: str, *about: int) -> None:
        match what, about:
            case "put", (user, number):
                self._put(user, number)
            case "poll", (user, number):
                self._end_poll(user)
                clock = self._machines[_NAMES[number]]
                self._polls[user] = _UserPoll(self._node(number), _PEOPLE[user], clock)
            case "end", (user,):
                self._end_poll(user)
            case (("meet" | "part"), (user, number)):
                move = _Move(len(self._moves), user, what == "meet")
                self._moves.append(move)
                news = HomeserverNews(msgspec.msgpack.encode(move))
                self._node(number).core.stream.append(news)
            case "ask", (number,):
                await self._ask(number)
            case _:
                raise AssertionError((what, about))

    def _published(self, published: Published) -> None:
        for state in published.states:
            if (user_id := UserId(state.user_id)) in _PEOPLE:
                place = published.position, _PEOPLE.index(user_id)
                self._told_to_all[place] = _value(state.state, state.status_msg)

    def _node(self, number: int) -> Node:
        return self.nodes[_NAMES[number]]

    def _kill(self, number: int) -> None:
        self._machines[_NAMES[number]].stop()
        self.kill(_NAMES[number])
        del self.doors[number]
        self._later.pop(number, None)
        self._polls = {
            user: it for user, it in self._polls.items() if it.node in self.nodes.values()
        }
        for put in [it for it, edge in self._edges.items() if edge == number]:
            if put in self._puts and not self._puts[put].done():
                del self._puts[put]

    def _freeze(self, number: int) -> None:
        self._machines[_NAMES[number]].stop()
        node = self._node(number)
        node.log.way = LogWay.CLOSED
        later: list[Callable[[], None]] = []
        self._later[number] = later
        for user, poll in [*self._polls.items()]:
            if poll.node is node:
                later.append(self._polls.pop(user).leave)

    async def _open(self, number: int) -> None:
        """Let a node go on. Requests that have come meanwhile are faster than its timers."""
        self._node(number).log.way = LogWay.OPEN
        if (later := self._later.pop(number, None)) is not None:
            machine = self._machines[_NAMES[number]]
            machine.tell_time()
            for work in later:
                work()
            await turns(_SOME_TURNS)
            machine.go_on()

    def _put(self, user: int, number: int) -> None:
        put = next(self._numbers)
        answered = self._puts[put] = asyncio.get_running_loop().create_future()
        self._edges[put] = number
        node = self._node(number)

        def begin() -> None:
            saving = node.set(_PEOPLE[user], str(put))
            saving.add_done_callback(partial(_settle, answered))

        if number in self._later:
            self._later[number].append(begin)
        else:
            begin()

    def _end_poll(self, user: int) -> None:
        if (poll := self._polls.pop(user, None)) is not None:
            poll.leave()

    async def _ask(self, number: int) -> None:
        """Let the viewer's client poll once; it gives up what is not answered at once."""
        door, self.told = self.doors[number], frozenset()
        since = None if self._token is None else door.tokens.read(self._token)
        is_of_another = since is not None and since.presence != self._position
        self.may_repeat = is_of_another or number in self._new
        question = SyncQuestion(since, SyncRequest(timeout=_LONG), set_presence=Presence.OFFLINE)
        answered = door.begin(Requester(_VIEWER, PHONE), question)
        await turns_until_idle()
        if not answered.done():
            answered.cancel()
        elif answered.exception() is None:
            self._take_in(door, answered.result())

    def _take_in(self, door: Door, news: News) -> None:
        self._new -= {_NAMES.index(NodeName(door.name))}
        self._token, self._position = (
            door.tokens.write("1", news.position, news.told_until),
            news.position,
        )
        told = {UserId(it.user_id): it for it in news.states}
        self.told = frozenset(user for user in USERS if _PEOPLE[user] in told)
        for user in self.told:
            state = told[_PEOPLE[user]]
            self._believes[user] = _value(state.state, state.status_msg)

    # --- what can be seen -----------------------------------------------------------------

    def seen(self) -> Seen:
        """Return what can be seen."""
        nodes = [self.nodes.get(name) for name in _NAMES]
        until = max((it.node.applied for it in nodes if it is not None), default=BEGINNING)
        told = {it: value for it, value in self._told_to_all.items() if it[0] <= until}
        return Seen(
            tuple(None if it is None else _seen_at(it) for it in nodes),
            frozenset(number for number, it in self._puts.items() if not it.done()),
            frozenset(it for it in self._puts if _is_acknowledged(self._puts[it])),
            frozenset(user for user, it in self._polls.items() if not it.is_gone),
            tuple(_without_repetition(told, user) for user in USERS),
            tuple(self._believes),
        )


def _seen_at(node: Node) -> tuple[frozenset[int], tuple[Value, ...]]:
    return (
        frozenset(user for user in USERS if node.owns(_PEOPLE[user])),
        tuple(_value(*node.knows(_PEOPLE[user])) for user in USERS),
    )


def _without_repetition(
    told: Mapping[tuple[StreamPosition, int], Value], user: int
) -> tuple[bool, ...]:
    values = [told[place][0] for place in sorted(told) if place[1] == user]
    return tuple(value for value, _ in groupby(values))


def _value(state: str, status_msg: str | None) -> Value:
    return state != Presence.OFFLINE, int(status_msg or 0)


def _room(user: int) -> RoomId:
    return RoomId(f"!room{user}:demo")


def _settle(answered: "asyncio.Future[None]", saving: "asyncio.Future[None]") -> None:
    failure = None if saving.cancelled() else saving.exception()
    if answered.done():
        return
    if saving.cancelled():
        answered.cancel()
    elif failure is not None:
        answered.set_exception(failure)
    else:
        answered.set_result(None)


def _is_acknowledged(answered: "asyncio.Future[None]") -> bool:
    return answered.done() and not answered.cancelled() and answered.exception() is None
