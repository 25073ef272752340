"""Which requests are answered past the routes."""

import pytest
from starlette.types import Receive, Scope, Send

from lamplighter.web.application import send_json
from lamplighter.web.direct import DirectEndpoints
from lamplighter.web.http.exchange import Exchange
from tests.web.clients import client_of


async def routes(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The application, which answers with its name."""
    await send_json(send, 200, b"routes")


def sync(exchange: Exchange) -> None:
    """A direct endpoint that answers with its name."""
    exchange.answer(200, b"sync")


def put_status(user: str, exchange: Exchange) -> None:
    """A direct endpoint that answers with its name, and whose status is set."""
    exchange.answer(200, f"put {user}".encode())


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/_matrix/client/v3/sync", b"sync"),
        ("GET", "/_matrix/client/r0/sync", b"sync"),
        ("GET", "/_matrix/client/v1/sync", b"routes"),
        ("GET", "/_matrix/client/v3/sync/", b"routes"),
        ("GET", "/_matrix/client/v3/events", b"routes"),
        ("OPTIONS", "/_matrix/client/v3/sync", b"routes"),
        ("PUT", "/_matrix/client/v3/sync", b"sync"),
        ("PUT", "/_matrix/client/v3/presence/@a:b/status", b"put @a:b"),
        ("PUT", "/_matrix/client/r0/presence/%40a%2F:b/status", b"put %40a%2F:b"),
        ("PUT", "/_matrix/client/v1/presence/@a:b/status", b"routes"),
        ("PUT", "/_matrix/client/v3/presence/@a:b/status/", b"routes"),
        ("PUT", "/_matrix/client/v3/presence//status", b"routes"),
        ("PUT", "/_matrix/client/v3/presence/@a/b:c/status", b"routes"),
        ("GET", "/_matrix/client/v3/presence/@a:b/status", b"routes"),
        ("POST", "/_matrix/client/v3/presence/@a:b/status", b"routes"),
        ("OPTIONS", "/_matrix/client/v3/presence/@a:b/status", b"routes"),
        ("GET", "/", b"routes"),
    ],
)
async def test_what_answers(method: str, path: str, answer: bytes) -> None:
    """A `/sync` and a new status go straight to their endpoints, everything else to the routes."""
    client = client_of(routes, find_direct=DirectEndpoints(sync=sync, put_status=put_status))
    response = await client.request(method, path)
    assert (response.status, response.body) == (200, answer)
