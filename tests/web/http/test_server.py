"""An HTTP server without a socket: places for connections, and how it stops."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from lamplighter.web.application import send_json
from lamplighter.web.http.settings import ConnectionRoom
from lamplighter.web.server import matrix_server
from tests.web.http.peer import Peer, Site, echo, settle


async def test_servers_share_one_supply(site: Site) -> None:
    """The servers of a process have at most as many connections together as there is room for; a
    connection that ends gives its place back, also one that was never set up.
    """
    room = ConnectionRoom(2)
    first, second = (matrix_server(echo, site.clock, room=room) for _ in range(2))
    peer = Peer(first.connect())
    assert second.connect() is not None
    assert (first.connect(), second.connect()) == (None, None)
    peer.lose()
    await settle()
    late = second.connect()
    assert late is not None
    assert first.connect() is None
    second.forget(late)
    assert first.connect() is not None


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
@pytest.mark.parametrize("in_time", [True, False], ids=["in time", "cut off"])
async def test_stopping(site: Site, peer: Peer, in_time: bool, leaves: bool) -> None:
    """A server that stops waits five seconds for a request that it is answering, also if the client
    is gone. Then the server ends the request, and a client that is there gets 503.
    """
    go_on, ended = asyncio.Event(), list[str]()

    async def write(scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await go_on.wait()
            ended.append("done")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        await send_json(send, 200, b"{}")

    site.application.handle = write
    peer.send("GET / HTTP/1.1\r\n\r\n")
    await settle()
    if leaves:
        peer.lose()
    stopping = asyncio.ensure_future(site.server.stop())
    await settle()
    site.clock.advance(seconds=4.9)
    await settle()
    assert not stopping.done()
    if in_time:
        go_on.set()
        await settle()
    site.clock.advance(seconds=0.2)
    await settle()
    assert stopping.done()
    assert (stopping.result(), ended) == (in_time, ["done" if in_time else "cancelled"])
    status_line = "HTTP/1.1 200 OK" if in_time else "HTTP/1.1 503 Service Unavailable"
    assert peer.received.partition("\r\n")[0] == ("" if leaves else status_line)
