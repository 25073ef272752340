"""The work of a steady poll, by count, as each kind of real client sends the poll."""

import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.presence.tracker import PresenceTracker
from tests.database.statements import traced_statements
from tests.service.counting import counted_tasks
from tests.web.http.peer import Peer, settle

#: As Element uploads it.
UPLOADED = {
    "room": {
        "timeline": {"unread_thread_notifications": True},
        "state": {"lazy_load_members": True},
    }
}
#: As a program on matrix-nio sends it with each poll: what does not concern it is named.
INLINE = {
    "presence": {"types": ["m.presence"]},
    "account_data": {"not_types": ["*"]},
    "room": {
        "state": {"types": ["m.room.member", "m.room.name"], "lazy_load_members": True},
        "timeline": {"limit": 20, "types": ["m.room.message", "m.room.encrypted", "m.reaction"]},
        "ephemeral": {"types": []},
        "account_data": {"not_types": ["*"]},
        "not_rooms": [f"!{'x' * 18}{number}:elsewhere.example" for number in range(20)],
    },
}


@dataclass
class Counts:
    """The work that was done."""

    tasks: list[str]
    statements: list[str]
    parsed: list[Any]
    events: list[Any]


class Desk:
    """Alice at a client on a connection of her own, and bob, whom she sees in a room."""

    def __init__(self, server: InMemoryServer, alice: Client, bob: Client, shape: str) -> None:
        self.peer = Peer(server.lamplighter.http_server(server.clock).connect())
        self.server, self.alice, self.bob, self.shape = server, alice, bob, shape
        self.since = alice.next_batch or ""

    def poll(self) -> None:
        """Send the next poll."""
        query = f"{self.shape}timeout=30000&since={quote(self.since)}"
        self.peer.send(
            f"GET /_matrix/client/v3/sync?{query} HTTP/1.1\r\nHost: demo\r\n"
            f"Authorization: Bearer {self.alice.access_token}\r\n\r\n"
        )

    async def hear(self) -> str:
        """Let bob change; return the message of which alice hears."""
        await self.bob.set_status("unavailable", f"since {self.since}")
        await settle()
        content = msgspec.json.decode(self.peer.received.partition("\r\n\r\n")[2])
        self.since = content["next_batch"]
        told = {event["sender"]: event["content"] for event in content["presence"]["events"]}
        return str(told[self.bob.user_id]["status_msg"])


async def shape_of(name: str, alice: Client) -> str:
    """Return the beginning of the query of polls of that shape."""
    if name.startswith("element"):
        uploaded = await alice.call("POST", f"/user/{quote(alice.user_id)}/filter", UPLOADED)
        said = {
            "element-away": "set_presence=unavailable&",
            "element-online": "set_presence=online&",
        }
        return f"filter={uploaded['filter_id']}&{said.get(name, '')}"
    if name == "nio":
        return f"set_presence=online&filter={quote(msgspec.json.encode(INLINE))}&"
    return ""


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, statements: list[str]) -> Iterator[Counts]:
    """Count what is done in the block."""
    parsed: list[Any] = []
    events: list[Any] = []
    convert, feed = msgspec.convert, PresenceTracker.feed

    def converting(value: Any, *shape: Any, **more: Any) -> Any:
        parsed.append(value)
        return convert(value, *shape, **more)

    def feeding(tracker: PresenceTracker, event: Any, now: Any) -> Any:
        events.append(event)
        return feed(tracker, event, now)

    statements.clear()
    with monkeypatch.context() as patch, counted_tasks() as tasks:
        patch.setattr(msgspec, "convert", converting)
        patch.setattr(PresenceTracker, "feed", feeding)
        yield Counts(tasks, statements, parsed, events)


@pytest.fixture
async def statements() -> AsyncIterator[list[str]]:
    """All SQL from the beginning of the test."""
    with traced_statements() as statements:
        yield statements


@pytest.mark.parametrize("name", ["element", "element-away", "element-online", "nio", "bot"])
async def test_a_steady_poll(
    name: str, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that follows the last one starts no task, runs no SQL statement, reads no filter,
    and tells the state machine nothing: with a filter by its ID, with one as JSON, without.
    """
    async with running_server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        await alice.join(await bob.create_room())
        await bob.sync(set_presence="offline")
        for _ in range(2):  # the second time there is no news of alice herself any more
            await alice.sync(set_presence="unavailable" if name == "element-away" else "online")
        desk = Desk(server, alice, bob, await shape_of(name, alice))
        for _ in range(3):
            desk.poll()
            await settle()
            assert (await desk.hear()).startswith("since ")
        for _ in range(3):
            with counted(monkeypatch, statements) as counts:
                desk.poll()
                await settle()
            assert counts == Counts([], [], [], [])
            assert desk.peer.received == ""
            assert (await desk.hear()).startswith("since ")
        desk.peer.lose()


async def test_objects_of_a_waiting_poll() -> None:
    """A poll that waits keeps these objects, beside those of a connection that waits for a request:
    no parser, no header field, no task, no bound method, no partial function.
    """
    async with running_server() as server:
        alice = await server.register("alice")
        await alice.sync(set_presence="offline")
        desks = [Desk(server, alice, alice, "set_presence=offline&") for _ in range(60)]
        desks[0].poll()  # what all polls share is there
        before = objects()
        for desk in desks[1:]:
            desk.poll()
        await settle()
        added = objects() - before
        assert {name: count // 59 for name, count in added.items() if count >= 59} == {
            "Exchange": 1, "Fields": 1, "Request": 1, "list": 1,
            "_Answer": 1, "_Pending": 1, "_Request": 1,
        }  # fmt: skip
        assert all(desk.peer.received == "" for desk in desks)
        for desk in desks:
            desk.peer.lose()


def objects() -> Counter[str]:
    """Return how many objects there are by the names of their classes."""
    gc.collect()
    return Counter(type(it).__name__ for it in gc.get_objects())
