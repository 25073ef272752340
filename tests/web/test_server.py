"""An HTTP server without a socket: places for connections, and how it stops."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.web.application import build_application
from lamplighter.web.http.settings import ConnectionRoom
from lamplighter.web.server import HttpServer


async def test_servers_share_one_supply() -> None:
    """The servers of a process have so many connections together, whichever takes them."""
    room = ConnectionRoom(2)
    first, second = (HttpServer(build_application([]), FakeClock(), room=room) for _ in range(2))
    taken = first.connect()
    assert taken is not None
    assert second.connect() is not None
    assert (first.connect(), second.connect()) == (None, None)
    first.forget(taken)
    assert second.connect() is not None


@pytest.mark.parametrize("ends", [True, False], ids=["in time", "cut off"])
async def test_stopping(ends: bool) -> None:
    """A server that stops waits five seconds for the requests it is answering; the rest get 503."""
    go_on = asyncio.Event()

    async def wait(_scope: Scope, _receive: Receive, send: Send) -> None:
        await go_on.wait()
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    clock = FakeClock()
    server = HttpServer(wait, clock)
    pending = HttpClient(server.connect).begin("GET", "/")
    await pending.waiting()
    stopping = asyncio.ensure_future(server.stop())
    await pending.waiting()
    clock.advance(seconds=4.9)
    if ends:
        go_on.set()
    await pending.waiting()
    clock.advance(seconds=0.2)
    assert (await pending.response()).status == (204 if ends else 503)
    assert (await stopping, server.is_answering) == (ends, False)
