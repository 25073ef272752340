"""The work of one change, by count: it does not grow with the viewers."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lamplighter
from lamplighter.clock import Timestamp
from lamplighter.delivery.outbox import Update
from lamplighter.devtools.client import Client, ClientPoll
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.service.reading import PresenceReader
from lamplighter.web.client import presence_events
from tests.database.statements import counted_wakes, traced_statements
from tests.service.counting import counted_functions, counted_tasks
from tests.web.http.peer import Peer

WATCHERS = 200
PUTTERS = 20
SOURCES = Path(lamplighter.__file__).parent
#: From the bytes to the answer, with each user's part of the batch.
MOST_CALLS_OF_A_PUT = 135
#: Its rooms and its presence, with the request.
MOST_CALLS_OF_A_FIRST_SYNC = 600
#: The tasks that one request may start, however many viewers there are.
A_FEW = 12


class CountingRouter:
    """A module that names nobody, and remembers what it was asked."""

    def __init__(self, config: Any, api: Any) -> None:
        self.batches: list[list[str]] = []
        self.viewers: list[str] = []
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(
        self, states: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        self.batches.append([state.user_id for state in states])
        return {}

    async def get_interested_users(self, user_id: str) -> set[str]:
        self.viewers.append(user_id)
        return set()


class World:
    """Bob, and those who watch him from one room, all with a poll that waits."""

    def __init__(
        self, server: InMemoryServer, bob: Client, polls: list[ClientPoll], statements: list[str]
    ) -> None:
        self.server = server
        #: Every SQL statement so far.
        self.statements = statements
        self.router = server.module(CountingRouter)
        self.bob = bob
        self.polls = polls

    async def change(self) -> list[str | None]:
        """Let bob set a status; return the message that each watcher hears of."""
        await self.bob.set_status("online", "brb")
        answers = [await poll.answer() for poll in self.polls]
        return [answer.presence[self.bob.user_id].get("status_msg") for answer in answers]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Nobody is online, and everybody waits for news."""
    with traced_statements() as statements:
        async with running_server([CountingRouter]) as server:
            yield await watched(server, statements)


async def watched(server: InMemoryServer, statements: list[str]) -> World:
    """Let everybody wait for news of bob."""
    bob = await server.register("bob")
    room_id = await bob.create_room()
    watchers = []
    for number in range(WATCHERS):
        watcher = await server.register(f"watcher{number}")
        await watcher.join(room_id)
        watchers.append(watcher)
    for client in (bob, *watchers):
        await client.sync(set_presence="offline")
    polls = [await watcher.polls(set_presence="offline") for watcher in watchers]
    assert not any(poll.answered for poll in polls)
    return World(server, bob, polls, statements)


@contextmanager
def counted_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[UserId]]:
    """Count how often each viewer's polls look for news."""
    looks: Counter[UserId] = Counter()
    original = PresenceReader.news_at_once

    def counting(
        service: PresenceReader, viewer: UserId, *position: StreamPosition | None
    ) -> Sequence[Update] | None:
        looks[viewer] += 1
        return original(service, viewer, *position)

    with monkeypatch.context() as patch:
        patch.setattr(PresenceReader, "news_at_once", counting)
        yield looks


@contextmanager
def collected_encodings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[UserPresenceState]]:
    """Collect the states that become events of `/sync`."""
    encoded: list[UserPresenceState] = []
    original = presence_events.presence_event

    def collecting(state: UserPresenceState, now: Timestamp) -> dict[str, Any]:
        encoded.append(state)
        return original(state, now)

    with monkeypatch.context() as patch:
        patch.setattr(presence_events, "presence_event", collecting)
        yield encoded


async def test_one_change_for_many_watchers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """For one change that 200 viewers see, the server encodes the state once, each poll looks once,
    each module is asked once, and there is one SQL statement; the tasks are few.
    """
    world.router.batches.clear()
    world.router.viewers.clear()
    world.statements.clear()
    with (
        collected_encodings(monkeypatch) as encoded,
        counted_looks(monkeypatch) as looks,
        counted_tasks() as tasks,
    ):
        heard = await world.change()
    assert heard == ["brb"] * WATCHERS
    assert encoded == [world.server.presence_of(world.bob)]
    assert sorted(looks.values()) == [1] * WATCHERS
    assert (world.router.batches, world.router.viewers) == ([[world.bob.user_id]], [])
    assert [statement.split()[0] for statement in world.statements] == ["INSERT"]
    assert 0 < len(tasks) <= A_FEW


def put(client: Client, status_msg: str) -> str:
    """Return the request by which *client* sets a status."""
    body = json.dumps({"presence": "online", "status_msg": status_msg})
    return (
        f"PUT /_matrix/client/v3/presence/{client.user_id}/status HTTP/1.1\r\n"
        f"Authorization: Bearer {client.access_token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


async def test_many_changes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For 20 users who set a status in one cycle of the loop, there is one SQL statement, one task,
    and one wake of the database's thread; each costs a limited number of calls.
    """
    with traced_statements() as statements:
        async with running_server(data_dir=tmp_path) as server:
            people = [await server.register(f"user{number}") for number in range(PUTTERS)]
            for person in people:
                await person.set_status("online", "one")  # from now on their tokens are known
            http_server = server.lamplighter.http_server(server.clock)
            peers = [Peer(http_server.connect()) for _ in people]
            statements.clear()
            with (
                counted_tasks() as tasks,
                counted_wakes(monkeypatch) as wakes,
                counted_functions(str(SOURCES)) as calls,
            ):
                for person, peer in zip(people, peers, strict=True):
                    peer.send(put(person, "two"))
                await server.lamplighter.core.settled()
            assert [peer.received.split(" ")[1] for peer in peers] == ["200"] * PUTTERS
            assert {server.presence_of(person).status_msg for person in people} == {"two"}
            assert [statement.split()[0] for statement in statements] == ["INSERT"]
            assert tasks == ["SqlPresenceStore._write"]
            assert len(wakes) == 1
            assert calls.total() <= MOST_CALLS_OF_A_PUT * PUTTERS
            for peer in peers:
                peer.lose()


#: The filter with which Element asks first.
LAZILY = json.dumps(
    {"room": {"timeline": {"limit": 20}, "state": {"lazy_load_members": True}}},
    separators=(",", ":"),
)


async def calls_of_a_first_sync(people: int) -> tuple[Counter[str], int]:
    """Return which functions of ours a first sync in a room of *people* calls how often, once
    others were shown the same; and how many the answer shows.
    """
    async with running_server() as server:
        clients = [await server.register(f"user{number}") for number in range(people)]
        await server.room(*clients)
        for client in clients:
            await client.set_status("online")
        for client in clients[:2]:
            with counted_functions(str(SOURCES)) as calls:
                answer = await server.http.request(
                    "GET",
                    "/_matrix/client/v3/sync",
                    token=client.access_token,
                    query={"filter": LAZILY},
                )
    return calls, len(answer.json["presence"]["events"])


async def test_a_first_sync_of_many() -> None:
    """A first sync calls no function for each user whom it shows: in a room of 80 it takes as many
    calls as in a room of 40, and not more than a few hundred.
    """
    few, shown_of_few = await calls_of_a_first_sync(40)
    many, shown_of_many = await calls_of_a_first_sync(80)
    assert (shown_of_few, shown_of_many) == (40, 80)
    assert many - few == Counter()
    assert many.total() <= MOST_CALLS_OF_A_FIRST_SYNC
