"""The work of a poll that follows the last one, in front of a homeserver, by count."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from lamplighter.devtools.client import Client
from tests.homeserver.upstream.front import LOBBY, Front, front
from tests.service.counting import counted_calls, counted_functions, counted_tasks
from tests.web.http.peer import Peer

#: Nobody's presence changes by itself.
PATIENT = "presence: {sync_online_timeout: 1h, last_active_granularity: 1h, idle_timeout: 2h}"
#: The package that asks the homeserver.
UPSTREAM = "/lamplighter/homeserver/upstream/"
#: What writes a head, or reads or writes a small answer, anew.
ANEW = {"UpstreamClient.fields", "_read", "_written", "field_lines", "forwarded_headers"}
#: The module that attaches polls to what the homeserver was asked.
POLLS = f"{UPSTREAM}polls.py"
#: How many functions of that module, and from it, are called for a poll in which nothing happens.
MOST_OF_POLLS = 10
#: How many functions are called from the bytes of a poll until it waits.
MOST_TO_WAIT = 40


class Desk:
    """A client with a connection of its own, whose requests differ in their tokens only."""

    def __init__(self, door: Front, client: Client) -> None:
        server = door.server
        self.peer = Peer(server.lamplighter.http_server(server.clock).connect())
        self.server, self.client, self.since = server, client, client.next_batch or ""

    async def poll(self, timeout: int = 5_000) -> None:
        """Send the next poll."""
        self.peer.send(self.request(timeout))
        await self.server.settled()

    def request(self, timeout: int = 5_000) -> bytes:
        """Return the next poll."""
        query = f"timeout={timeout}&since={quote(self.since)}"
        return (
            f"GET /_matrix/client/v3/sync?{query} HTTP/1.1\r\n"
            f"Host: demo\r\nAuthorization: Bearer {self.client.access_token}\r\n\r\n"
        ).encode()

    def hear(self) -> set[str]:
        """Return the members of the answer."""
        content = msgspec.json.decode(self.peer.received.partition("\r\n\r\n")[2])
        self.since = content["next_batch"]
        return set(content)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Front]:
    """A server in front of a homeserver where alice and bob share a room."""
    async with front(tmp_path, PATIENT) as running:
        for user_id in ("@alice:demo", "@bob:demo"):
            running.small.join(user_id, LOBBY)
        yield running


async def quiet_people(door: Front) -> tuple[Client, Client]:
    """Return alice and bob, to whom there is nothing more to say."""
    alice, bob = door.person("alice"), door.person("bob")
    await bob.sync()
    for person in (alice, bob):
        while (await person.sync()).presence:
            pass
    return alice, bob


async def test_quiet_polls(door: Front) -> None:
    """A poll that follows another one, and is over, starts no task and asks the homeserver nothing.
    Few functions are called for it.
    """
    desks = [Desk(door, it) for it in await quiet_people(door)]
    for turn in range(4):
        door.small.asked.clear()
        with counted_tasks() as tasks, counted_functions(POLLS) as calls:
            for desk in desks:
                await desk.poll()
            await door.server.advance(seconds=5)
        assert [desk.hear() for desk in desks] == 2 * [{"next_batch"}]
        if turn:
            assert [it for it in tasks if it.startswith("_Asked")] == []
            assert [it.path for it in door.small.asked if it.path.endswith("/sync")] == []
            assert calls.total() <= 2 * MOST_OF_POLLS
    for desk in desks:
        desk.peer.lose()


async def test_polls_that_the_homeserver_answers(door: Front) -> None:
    """A poll that ends with an answer of the homeserver starts one task, in which the homeserver is
    asked. Nothing of a request or an answer is written or read that another poll had before: of
    two answers in one second the head is read once.
    """
    desks = [Desk(door, it) for it in await quiet_people(door)]
    for turn in range(4):
        for desk in desks:
            door.small.devices[desk.client.access_token].one_time_keys = 51 + turn % 2
        with counted_tasks() as tasks:
            for desk in desks:
                await desk.poll(timeout=150_000)
            await door.server.advance(seconds=119)
            with counted_functions(UPSTREAM) as calls:
                await door.server.advance(seconds=1)
        assert all("device_one_time_keys_count" in desk.hear() for desk in desks)
        if turn > 1:
            assert [it for it in tasks if it.startswith("_Asked")] == 2 * ["_Asked._ask"]
            assert calls["UpstreamConnection.on_headers_complete"] == 1
            assert ANEW.isdisjoint(calls)
    for desk in desks:
        desk.peer.lose()


async def test_a_poll_after_presence(door: Front) -> None:
    """A poll that follows a presence change is attached: it starts no task and asks nothing."""
    alice, bob = await quiet_people(door)
    desk = Desk(door, alice)
    for text in ("a", "b", "c"):
        door.small.asked.clear()
        with counted_tasks() as tasks, counted_functions(POLLS) as calls:
            await desk.poll()
        asked = [it for it in door.small.asked if it.path.endswith("/sync")]
        expected = 1 if text == "a" else 0
        assert len(asked) == [it.startswith("_Asked") for it in tasks].count(True) == expected
        await bob.set_status("online", text)
        assert desk.hear() == {"next_batch", "presence"}
        if text == "c":
            assert calls.total() <= MOST_OF_POLLS
    desk.peer.lose()


async def test_the_way_of_a_poll(door: Front) -> None:
    """Few functions are called from the bytes of a poll until it waits."""
    desk = Desk(door, (await quiet_people(door))[0])
    counted = []
    for _ in range(4):
        request = desk.request()
        with counted_calls() as calls:
            desk.peer.connection.data_received(request)
        counted.append(calls())
        await door.server.advance(seconds=5)
        desk.hear()
    assert max(counted[1:]) <= MOST_TO_WAIT
    desk.peer.lose()


async def test_the_address_of_a_client(door: Front) -> None:
    """The head of a device's request is remembered for one connection, which has one address."""
    alice = door.person("alice")
    while (await alice.sync()).presence:
        pass
    desk = Desk(door, alice)
    addresses = []
    for _ in range(2):
        await desk.poll()
        addresses.append(door.small.asked[-1].headers["x-forwarded-for"])
        await door.server.advance(seconds=5)
        alice.next_batch = (desk.hear(), desk.since)[1]
        await alice.sync()
        addresses.append(door.small.asked[-1].headers["x-forwarded-for"])
    here, there = addresses[:2]
    assert here != there
    assert addresses == [here, there] * 2
    desk.peer.lose()
