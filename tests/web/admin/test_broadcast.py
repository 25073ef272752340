"""The stream of published batches."""

import asyncio
from typing import Any

import msgspec

from lamplighter.devtools.http import PendingRequest
from lamplighter.devtools.server import InMemoryServer
from lamplighter.presence.state import Presence
from lamplighter.web.admin.broadcast import Listening
from tests.web.admin.operator import Operator, by_room, events_in, online


async def heard(server: InMemoryServer, stream: PendingRequest) -> list[tuple[str, Any]]:
    """Close the stream; return names and contents of its events."""
    await server.settled()
    await stream.go_away()
    events = events_in((await stream.response()).body)
    return [(name, msgspec.json.decode(data)) for name, data in events]


async def listening(operator: Operator) -> PendingRequest:
    """Return a stream that has begun."""
    stream = operator.stream()
    await stream.waiting()
    assert stream.answered
    return stream


async def test_a_change_its_recipients_and_reasons(
    server: InMemoryServer, operator: Operator
) -> None:
    """A batch has the change, and its recipients with reasons; rooms have names."""
    alice, bob = [await server.register(name) for name in ("alice", "bob")]
    room = await alice.create_room(name="The hall")
    await bob.join(room)
    await alice.sync()
    stream = await listening(operator)
    await bob.set_status("online", "hello")
    events = await heard(server, stream)
    assert [name for name, _ in events] == ["figures", "batch"]
    batch = events[1][1]
    assert batch.pop("position").startswith(str(server.clock.now()))
    presence = online(server.clock.now(), "hello")
    change = {"user_id": "@bob:demo", "was": "offline", "presence": presence}
    telling = {"user_id": "@bob:demo", "presence": presence, "told": 1}
    told = {"viewer": "@alice:demo", "reasons": [by_room(room, "The hall")]}
    assert batch == {
        "changes": [{**change, "reason": "the status message differs"}],
        "tellings": [{**telling, "recipients": [told]}],
        "left_out": 0,
    }


async def test_figures_every_second(server: InMemoryServer, operator: Operator) -> None:
    """Figures come at once, and again once a second."""
    stream = await listening(operator)
    await server.advance(seconds=3)
    events = await heard(server, stream)
    now = server.clock.now()
    assert [name for name, _ in events] == ["figures"] * 4
    assert [content["at_ts"] for _, content in events] == [now - 3000, now - 2000, now - 1000, now]


async def test_nobody_listens(server: InMemoryServer, operator: Operator) -> None:
    """When the last listener has left, there is no timer and no observer."""
    timers = server.clock.next_timer()
    stream = await listening(operator)
    assert server.clock.next_timer() == server.clock.now() + 1000
    await heard(server, stream)
    assert server.clock.next_timer() == timers
    alice = await server.register("alice")
    stream = await listening(operator)
    await alice.set_status("online")
    assert [name for name, _ in await heard(server, stream)] == ["figures", "batch"]


async def test_many_recipients(server: InMemoryServer, operator: Operator) -> None:
    """Of many recipients twenty are named, and all are counted."""
    alice = await server.register("alice")
    others = [await server.register(f"user{number}") for number in range(30)]
    await server.room(alice, *others)
    for client in others:
        await client.sync()
    stream = await listening(operator)
    await alice.set_status("online")
    events = await heard(server, stream)
    [telling] = events[-1][1]["tellings"]
    assert (telling["told"], len(telling["recipients"])) == (30, 20)


async def test_many_changes(server: InMemoryServer, operator: Operator) -> None:
    """Of many changes in a batch fifty are shown, and the others are counted."""
    clients = [await server.register(f"user{number}") for number in range(60)]
    stream = await listening(operator)
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.set_status("online"))
    batches = [content for name, content in await heard(server, stream) if name == "batch"]
    told = sum(len(batch["changes"]) for batch in batches)
    assert told + sum(batch["left_out"] for batch in batches) == 60
    assert max(len(batch["changes"]) for batch in batches) <= 50


async def test_a_slow_listener() -> None:
    """A slow listener loses the oldest events, and gets their number."""
    slow = Listening()
    for number in range(130):
        slow.put(b"%d " % number)
    slow.miss()
    slow.end()
    events = [event async for event in slow.events()]
    assert events[0] == b'event: lost\ndata: {"events":3}\n\n'
    assert events[1:] == [b"%d " % number for number in range(2, 130)]


async def test_more_batches_than_may_wait(server: InMemoryServer, operator: Operator) -> None:
    """Of batches that come too fast, the oldest are lost, and counted."""
    alice = await server.register("alice")
    stream = await listening(operator)
    modules = server.lamplighter.core.for_modules
    for number in range(200):  # in cycles of the loop in which no other task runs
        await modules.set_presence_for_users({alice.user_id: (Presence.ONLINE, str(number))})
    events = await heard(server, stream)
    told = [content for name, content in events if name == "batch"]
    lost = sum(content["events"] for name, content in events if name == "lost")
    assert told[-1]["changes"][0]["presence"]["status_msg"] == "199"
    assert len(told) + lost == 200


async def test_too_many_listeners(server: InMemoryServer, operator: Operator) -> None:
    """The seventeenth listener gets a 429, until another one leaves."""
    streams = [await listening(operator) for _ in range(16)]
    response = await operator.request("GET", "/events")
    assert (response.status, response.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    await streams[0].go_away()
    streams[0] = await listening(operator)
    for stream in streams:
        await stream.go_away()


async def test_the_server_stops(server: InMemoryServer, operator: Operator) -> None:
    """A stream ends when the server stops; one that begins then ends after the figures.

    The stream has its media type, and proxies must not buffer or store it.
    """
    stream = await listening(operator)
    server.lamplighter.answer_polls()
    for it in (stream, operator.stream()):
        response = await it.response()
        assert [name for name, _ in events_in(response.body)] == ["figures"]
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
