"""Expensive reads."""

import asyncio

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer
from lamplighter.homeserver.client.heavy import HEAVY
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
    """Of many requests at once so many are answered, in their order; the rest may come again."""
    room_id = await dora.create_room()
    event = await dora.request("PUT", f"/rooms/{room_id}/send/m.a/1", {})
    path = path.format(room_id=room_id, event_id=event.json["event_id"])
    path, _, query = path.partition("?")
    client = client_of(server.lamplighter.application)
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
