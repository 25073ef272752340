"""Where a request comes in."""

import pytest

from lamplighter.devtools.http import AsgiClient, Message, Receive, Response, Send
from lamplighter.web.application import send_json
from lamplighter.web.entry import Entry
from lamplighter.web.http.exchange import Exchange


class Named:
    """An application that answers with its name, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.kinds: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.kinds.append(scope["type"])
        if scope["type"] == "http":
            await send_json(send, 200, self._name.encode())


def sync(exchange: Exchange) -> None:
    """A direct endpoint that answers with its name."""
    exchange.answer(200, b"sync")


def put_status(user: str, exchange: Exchange) -> None:
    """A direct endpoint that answers with its name, and whose status is set."""
    exchange.answer(200, f"put {user}".encode())


def entry(routes: Named) -> Entry:
    """Return where requests come in whose endpoints are called `sync`, `put` and `routes`."""
    return Entry(sync=sync, put_status=put_status, routes=routes)


async def asked(method: str, path: str) -> Response:
    """Return what the server answers."""
    return await AsgiClient(entry(Named("routes"))).request(method, path)


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
async def test_who_answers(method: str, path: str, answer: bytes) -> None:
    """A `/sync` and a new status go straight to their endpoints, everything else to the routes."""
    response = await asked(method, path)
    assert (response.status, response.body) == (200, answer)


async def test_what_is_no_request() -> None:
    """A websocket, and the server's own start and end, are the routes' business."""
    routes = Named("routes")
    for kind in ("websocket", "lifespan"):
        scope = {"type": kind, "path": "/_matrix/client/v3/sync"}
        await entry(routes)(scope, _nothing, _nobody)
    assert routes.kinds == ["websocket", "lifespan"]


async def _nothing() -> Message:
    raise AssertionError("nobody asks")


async def _nobody(message: Message) -> None:
    raise AssertionError("nobody is told")
