"""Whatever is interleaved on many nodes, nobody loses an event, and all nodes hear the same."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from lamplighter.clock import next_turn
from lamplighter.database.adapter import Sharing
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.postgresql import open_url
from lamplighter.database.tables import devices
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ClusterUnavailable, Forbidden, UnknownToken
from lamplighter.homeserver.sql.devices import hash_token
from lamplighter.homeserver.values import MessagesQuery, NewRoom
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import Requester, RequestHead, SyncRequest
from tests.contract.directories import ALICE, PHONE, on_phone
from tests.contract.homeservers import content, taken
from tests.contract.nodes import Node, NodesOfOne, nodes_on
from tests.effort import EXAMPLES
from tests.postgresql import PostgresServer

NOW = FakeClock().now()

NAMES = ("alice", "bob", "carol")
LAPTOP = DeviceId("LAPTOP")
NODES = 3
ALL: Final = MessagesQuery(None, None, backwards=False, limit=100)

Step = tuple[str, str, int, int]

STEPS = st.tuples(
    st.sampled_from(
        ["say", "say", "say", "sync", "sync", "sync", "sync", "type", "rest", "data", "join",
         "leave", "log in", "log out", "hold", "hear one", "hear all", "cut", "mend", "look",
         "wait"]
    ),
    st.sampled_from(NAMES),
    st.integers(0, NODES - 1),
    st.integers(0, 20),
)  # fmt: skip


@dataclass
class Person:
    """A client that goes from node to node, and what it was told."""

    user_id: UserId
    since: str | None = None
    lobby: list[str] = field(default_factory=list)
    typists: list[str] = field(default_factory=list)
    data: int | None = None

    async def sync(self, node: Node) -> bool:
        """Ask a node without waiting; tell whether there was something to learn."""
        request = SyncRequest(since=self.since, filter='{"room":{"timeline":{"limit":1000}}}')
        half = node.homeserver.rooms_half
        pending = half.begin(on_phone(self.user_id), request, RequestHead())
        answer = await taken(pending, node.recorder)
        self.since = pending.quiet_token if answer is None else answer.next_batch
        assert self.since is not None
        found = content(answer)
        for room in found.get("rooms", {}).get("join", {}).values():
            events = room["timeline"]["events"]
            self.lobby += [it["event_id"] for it in events if it["type"] == "m.lobby"]
            for event in room["ephemeral"]["events"]:
                if event["type"] == "m.typing":
                    self.typists = event["content"]["user_ids"]
        for event in found.get("account_data", {}).get("events", []):
            self.data = event["content"]["number"]
        return bool(found)


@dataclass
class World:
    """What goes on."""

    cluster: NodesOfOne
    databases: Sequence[Database]
    lobby: RoomId
    side: RoomId
    people: dict[str, Person]
    writes: list["asyncio.Task[None]"] = field(default_factory=list)
    said: list[tuple[Person, str]] = field(default_factory=list)
    #: All access tokens of laptops, ever.
    laptops: list[str] = field(default_factory=list)

    async def settled(self) -> None:
        """Return once nothing goes on but waiting for news."""
        await turns_until_idle()
        while any(it.under_way for it in self.databases):
            await next_turn()
            await turns_until_idle()

    async def step(self, what: str, name: str, where: int, number: int) -> None:  # noqa: C901 - a table
        """Let one thing happen."""
        person, node = self.people[name], self.cluster.nodes[where]
        user_id, directory = person.user_id, node.directory
        match what:
            case "say":
                self.said.append((person, f"m{len(self.said)}"))
                self.write(self.say(node, *self.said[-1]))
            case "sync":
                await person.sync(node)
            case "type":
                self.write(directory.set_typing(user_id, self.lobby, timedelta(seconds=number + 1)))
            case "rest":
                self.write(directory.set_typing(user_id, self.lobby, None))
            case "data":
                self.write(directory.set_account_data(user_id, None, "d", {"number": number}))
            case "join":
                self.write(directory.join(user_id, self.side))
            case "leave":
                self.write(directory.leave(user_id, self.side))
            case "log in":
                self.write(self.log_in(node, user_id))
            case "log out":
                self.write(self.log_out(node, user_id))
            case "hold":
                node.is_held = True
            case "hear one" if node.heard < len(self.cluster.news.told):
                self.cluster.news.hand_one(node)
            case "hear all":
                node.is_held = False
                self.cluster.news.hand_out()
            case "cut":
                node.is_cut = True
            case "mend":
                node.is_cut = False
            case "look":
                self.write(directory.tell_untold())
            case "wait":
                self.cluster.clock.advance(seconds=number)
        await self.settled()

    def write(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin a write, which ends once its node has heard of it, or cannot."""

        async def write() -> None:
            with suppress(ClusterUnavailable, Forbidden):  # it may be stored, or nobody was there
                await work

        self.writes.append(asyncio.ensure_future(write()))

    async def say(self, node: Node, person: Person, txn_id: str) -> None:
        """Say something in the lobby."""
        await node.directory.send_event(on_phone(person.user_id), self.lobby, "m.lobby", {}, txn_id)

    async def log_in(self, node: Node, user_id: UserId) -> None:
        """Log a laptop in, which ends the token that it had, and use the new one at all nodes."""
        login = await node.directory.log_in(user_id, device_id=LAPTOP)
        self.laptops.append(login.access_token)
        for other in self.cluster.nodes:
            with suppress(UnknownToken):  # the laptop may have logged out meanwhile
                await other.directory.authenticate(login.access_token)

    async def log_out(self, node: Node, user_id: UserId) -> None:
        """Log a laptop out: the node that has answered accepts none of its tokens."""
        known = [it for it in self.laptops if node.directory.requester_in_use(it, NOW)]
        await node.directory.log_out(Requester(user_id, LAPTOP))
        for token in known:
            user = node.directory.requester_in_use(token, NOW)
            assert user is None or user.user_id != user_id

    async def end(self) -> None:
        """Let everything come to rest, and look at what everybody believes."""
        nodes = self.cluster.nodes
        self.cluster.release()
        for _ in range(2):
            await nodes[0].directory.tell_untold()
        await self.settled()
        self.cluster.clock.advance(seconds=2)
        await asyncio.gather(*self.writes)
        turn = cycle(nodes)
        for person, txn_id in self.said:  # as a client does that got no answer
            await self.say(next(turn), person, txn_id)
        self.cluster.clock.advance(minutes=3)
        await self.settled()
        for number, person in enumerate(self.people.values()):
            await next(turn).directory.set_account_data(
                person.user_id, None, "d", {"number": 100 + number}
            )
        for number, person in enumerate(self.people.values()):
            quiet = 0
            while quiet < NODES:
                quiet = 0 if await person.sync(next(turn)) else quiet + 1
            assert (person.data, person.typists) == (100 + number, [])
        await self.compare()

    async def compare(self) -> None:
        """Compare what clients and nodes were told."""
        [first, *others] = self.cluster.nodes
        page = await first.directory.messages(on_phone(ALICE), self.lobby, ALL)
        there = [it["event_id"] for it in page["chunk"] if it["type"] == "m.lobby"]
        assert len(there) == len(self.said)
        assert {it.user_id: it.lobby for it in self.people.values()} == dict.fromkeys(
            (it.user_id for it in self.people.values()), there
        )
        async with self.databases[0].read() as connection:
            stored = set((await connection.execute(select(devices.c.token_hash))).scalars())
        for node in self.cluster.nodes:
            in_use = [it for it in self.laptops if node.directory.requester_in_use(it, NOW)]
            assert {hash_token(it) for it in in_use} <= stored
        joined: dict[tuple[RoomId, UserId], bool] = {}
        for change in first.recorder.memberships:  # each once, and in the order of the writes
            assert joined.get((change.room_id, change.user_id), False) is not change.joined
            joined[change.room_id, change.user_id] = change.joined
        for person in self.people.values():
            rooms = await first.directory.joined_rooms(person.user_id)
            now = {room for (room, who), is_in in joined.items() if is_in and who == person.user_id}
            assert set(rooms) == now
        for node in others:
            assert node.recorder.memberships == first.recorder.memberships
            assert node.recorder.told == first.recorder.told


async def play(databases: Sequence[Database], steps: list[Step]) -> None:
    """Play one world, with a node for each of *databases*."""
    async with nodes_on(databases, FakeClock()) as cluster:
        first = cluster.nodes[0].directory
        people: dict[str, Person] = {}
        for name in NAMES:
            login = await first.register(name, None, device_id=PHONE)
            people[name] = Person(login.user_id)
        lobby, side = [await first.create_room(ALICE, NewRoom("public_chat")) for _ in range(2)]
        for person in people.values():
            await first.join(person.user_id, lobby)
            await person.sync(cluster.nodes[0])
        world = World(cluster, databases, lobby, side, people)
        for step in steps:
            await world.step(*step)
        await world.end()


@pytest.mark.timeout(900)
@settings(max_examples=max(1, EXAMPLES // 4))
@given(steps=st.lists(STEPS, min_size=30, max_size=80))
def test_clients_that_go_from_node_to_node(steps: list[Step]) -> None:
    """Each client gets every event of its room once, in order, from whichever nodes it asks, while
    nodes are behind or cut off; and in the end the same of typing and account data. All nodes hear
    the same in the same order, and none accepts a token that has ended.
    """
    asyncio.run(play([open_memory()] * NODES, steps))


@pytest.mark.processes
@pytest.mark.timeout(900)
@settings(
    max_examples=max(1, EXAMPLES // 25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=30, max_size=80))
def test_on_postgresql(postgres: PostgresServer, steps: list[Step]) -> None:
    """The same holds for nodes with connections of their own to PostgreSQL."""
    url = postgres.database()
    asyncio.run(play([open_url(url, sharing=Sharing.NODE) for _ in range(NODES)], steps))
