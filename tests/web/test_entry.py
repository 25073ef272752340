"""Where a request comes in."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.http import AsgiClient, Message, Receive, Response, Send
from lamplighter.errors import UnknownToken
from lamplighter.web.application import send_json
from lamplighter.web.entry import Entry


class Named:
    """An application that answers with its name, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.kinds: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.kinds.append(scope["type"])
        if scope["type"] == "http":
            await send_json(send, 200, self._name.encode())


class Failing:
    """An application that raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        raise self._error


async def asked(method: str, path: str, sync: Any = None) -> Response:
    """Return what the server answers whose endpoints are called `sync` and `routes`."""
    entry = Entry(sync=sync or Named("sync"), routes=Named("routes"))
    return await AsgiClient(entry).request(method, path)


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/_matrix/client/v3/sync", b"sync"),
        ("GET", "/_matrix/client/r0/sync", b"sync"),
        ("GET", "/_matrix/client/v1/sync", b"routes"),
        ("GET", "/_matrix/client/v3/sync/", b"routes"),
        ("GET", "/_matrix/client/v3/events", b"routes"),
        ("OPTIONS", "/_matrix/client/v3/sync", b"routes"),
        ("GET", "/", b"routes"),
    ],
)
async def test_who_answers(method: str, path: str, answer: bytes) -> None:
    """A `/sync` goes straight to its endpoint, everything else to the routes."""
    response = await asked(method, path)
    assert (response.status, response.body) == (200, answer)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "PATCH"])
async def test_another_method(method: str) -> None:
    """A `/sync` is a GET; another method is M_UNRECOGNIZED."""
    response = await asked(method, "/_matrix/client/v3/sync")
    assert (response.status, response.json["errcode"]) == (405, "M_UNRECOGNIZED")
    assert response.headers["access-control-allow-origin"] == "*"


async def test_an_expected_error() -> None:
    """What the one table of errors knows is answered as it says, and is not logged."""
    with capture_logs() as logged:
        response = await asked(
            "GET", "/_matrix/client/v3/sync", Failing(UnknownToken("Unknown access token"))
        )
    assert (response.status, response.json, logged) == (
        401,
        {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown access token", "soft_logout": False},
        [],
    )


async def test_a_defect() -> None:
    """What it does not know is a defect: logged with its traceback, and not shown to the client."""
    error = ZeroDivisionError("secret")
    with capture_logs() as logged:
        response = await asked("GET", "/_matrix/client/v3/sync", Failing(error))
    assert (response.status, response.json) == (
        500,
        {"errcode": "M_UNKNOWN", "error": "Internal server error"},
    )
    assert logged == [
        {
            "event": "request failed",
            "log_level": "error",
            "method": "GET",
            "path": "/_matrix/client/v3/sync",
            "exc_info": error,
        }
    ]


async def test_what_is_no_request() -> None:
    """A websocket, and the server's own start and end, are the routes' business."""
    sync, routes = Named("sync"), Named("routes")
    entry = Entry(sync=sync, routes=routes)
    for kind in ("websocket", "lifespan"):
        scope = {"type": kind, "path": "/_matrix/client/v3/sync"}
        await entry(scope, _nothing, _nobody)
    assert (sync.kinds, routes.kinds) == ([], ["websocket", "lifespan"])


async def _nothing() -> Message:
    raise AssertionError("nobody asks")


async def _nobody(message: Message) -> None:
    raise AssertionError("nobody is told")
