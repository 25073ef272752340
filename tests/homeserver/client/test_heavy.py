"""Expensive reads."""

import asyncio
from urllib.parse import parse_qsl

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer
from lamplighter.devtools.turns import turns
from lamplighter.homeserver.client.heavy import HEAVY
from lamplighter.pieces import PORTION
from lamplighter.web.places import AT_A_TIME, MOST_WAITING
from lamplighter.web.routes import ClientRoute
from tests.homeserver.world import World
from tests.web.clients import client_of

V3 = "/_matrix/client/v3"


def test_there_is_every_path_that_is_named(world: World) -> None:
    """Each path that is said to be expensive is one that is served, or `initialSync`'s."""
    served = {
        (method, route.path.removeprefix(V3))
        for route in world.routes
        if isinstance(route, ClientRoute)
        for method in route.methods or ()
    }
    assert HEAVY - served == {("GET", "/rooms/{room_id}/initialSync")}


PATHS = ["/sync", "/sync?full_state=true", "/initialSync"]
PATHS += [f"{path}?dir=b" for method, path in sorted(HEAVY) if method == "GET"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_user_has_a_bounded_number(server: InMemoryServer, dora: Client, path: str) -> None:
    """Requests up to a number are answered in their order; the rest get 429."""
    room_id = await dora.create_room()
    event = await dora.request("PUT", f"/rooms/{room_id}/send/m.a/1", {})
    path = path.format(room_id=room_id, event_id=event.json["event_id"])
    path, _, query = path.partition("?")
    client = server.http
    asked = [
        client.begin(
            "GET",
            V3 + path,
            token=dora.access_token,
            query=dict([query.split("=")]) if query else None,
        )
        for _ in range(AT_A_TIME + MOST_WAITING + 5)
    ]
    answers = await asyncio.gather(*(it.response() for it in asked))
    assert sorted(it.status for it in answers) == [200] * (AT_A_TIME + MOST_WAITING) + [429] * 5
    refused = next(it for it in answers if it.status == 429)
    assert refused.json == {
        "errcode": "M_LIMIT_EXCEEDED",
        "error": "Too many requests",
        "retry_after_ms": 1000,
    }
    # Nothing is left of it: as many may be asked again.
    again = client.begin("GET", V3 + path, token=dora.access_token, query={"dir": "b"})
    assert (await again.response()).status == 200


class _Reader:
    """An application whose client takes one piece of an answer, and the next when it is told to."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self.sizes: list[int] = []
        self.reads = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_slowly(message: Message) -> None:
            if message["type"] == "http.response.body":
                self.sizes.append(len(message["body"]))
                await self.reads.wait()
            await send(message)

        await self._application(scope, receive, send_slowly)


LARGE = ["/initialSync", "/rooms/{room}/initialSync", "/rooms/{room}/state"]
LARGE += ["/rooms/{room}/messages?dir=b&limit=100", "/rooms/{room}/context/{event}?limit=100"]
LARGE += ["/rooms/{room}/members", "/rooms/{room}/joined_members"]


async def test_large_answers_are_made_as_they_are_read(
    server: InMemoryServer, dora: Client
) -> None:
    """Of a large answer one piece waits for its reader, and its place is held until the end."""
    room = await dora.create_room()
    for number in range(300):
        await (await server.register(f"{number}-{'u' * 200}")).join(room)
    for number in range(20):
        server.clock.advance(seconds=10)
        kind = "send" if number > 9 else "state"
        content = {"text": "x" * 30_000}
        sent = await dora.call("PUT", f"/rooms/{room}/{kind}/m.a/{number}", content)
    for template in LARGE:
        reader = _Reader(server.lamplighter.application)
        path, _, query = template.format(room=room, event=sent["event_id"]).partition("?")
        asked = [
            client_of(reader).begin(
                "GET", V3 + path, token=dora.access_token, query=dict(parse_qsl(query))
            )
            for _ in range(AT_A_TIME + 1)
        ]
        await turns(200)
        await server.settled()
        assert len(reader.sizes) == AT_A_TIME, path
        reader.reads.set()
        answers = await asyncio.gather(*(it.response() for it in asked))
        assert [it.status for it in answers] == [200] * len(asked), path
        assert sum(reader.sizes) == sum(len(it.body) for it in answers) > 3 * PORTION, path
        assert max(reader.sizes) < 2 * PORTION, path
