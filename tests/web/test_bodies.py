"""Bodies that never end, and those that do."""

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.devtools.clock import FakeClock
from lamplighter.web.application import send_json
from lamplighter.web.bodies import EACH_PART_IN_TIME
from lamplighter.web.server import matrix_server
from tests.web.http.peer import Peer, answered, echo, settle

TOO_SLOW = answered(
    '{"errcode":"M_UNKNOWN","error":"The body does not come to its end"}',
    "408 Request Timeout",
    "connection: close\r\n",
)


async def asking(clock: FakeClock, request: str, application: ASGIApp = echo) -> Peer:
    """Return a client that has sent *request* to *application*."""
    peer = Peer(matrix_server(application, clock).connect())
    peer.send(request)
    await settle()
    return peer


@pytest.mark.parametrize(
    ("header", "piece"),
    [("Content-Length: 99", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")],
)
async def test_a_body_that_never_ends(header: str, piece: str) -> None:
    """A body that comes byte by byte is given up at its limit, with 408, and not before."""
    clock = FakeClock()
    peer = await asking(clock, f"PUT / HTTP/1.1\r\n{header}\r\n\r\n")
    for seconds in [*[1.0] * 29, 0.999]:
        peer.send(piece)
        await settle()
        clock.advance(seconds=seconds)
    peer.send(piece)
    await settle()
    assert peer.received == ""
    clock.advance(seconds=0.001)
    await settle()
    assert peer.received.replace("00:00:30", "00:00:00") == TOO_SLOW


async def test_what_comes_before_the_body() -> None:
    """The time that passes before the application asks for the body is not the client's."""
    clock = FakeClock()

    async def thinker(scope: Scope, receive: Receive, send: Send) -> None:
        clock.advance(hours=1)
        await echo(scope, receive, send)

    peer = await asking(clock, "PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", thinker)
    peer.send("{}")
    await settle()
    assert peer.received.endswith("\r\n\r\n{}")


async def test_a_body_that_ends_in_time() -> None:
    """A body that ends within the limit is read, and leaves no timer."""
    clock = FakeClock()
    peer = await asking(clock, "PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{")
    clock.advance(seconds=29)
    peer.send("}")
    await settle()
    assert peer.received.endswith("\r\n\r\n{}")
    peer.lose()
    await settle()
    assert clock.next_timer() is None


@pytest.mark.parametrize("request_end", ["\r\n", "Content-Length: 2\r\n\r\n{}"])
async def test_waiting_for_the_client_to_leave(request_end: str) -> None:
    """A client whose body has come, or that has none, may stay connected as long as it likes."""

    async def watch(_scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await send_json(send, 200, b"{}")

    clock = FakeClock()
    peer = await asking(clock, f"PUT / HTTP/1.1\r\n{request_end}", watch)
    clock.advance(hours=1)
    await settle()
    assert peer.received == ""
    peer.say_end()
    await settle()
    assert peer.received.startswith("HTTP/1.1 200 OK")


async def test_a_body_of_any_length() -> None:
    """Where a body may be of any length, each kilobyte of it has the time limit."""
    clock = FakeClock()

    async def taker(scope: Scope, receive: Receive, send: Send) -> None:
        scope[EACH_PART_IN_TIME]()
        await echo(scope, receive, send)

    peer = await asking(clock, "PUT / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n", taker)
    for size, seconds in [*[(512, 29), (512, 0)] * 10, (0, 29), (1023, 0)]:
        peer.send("x" * size)
        await settle()
        clock.advance(seconds=seconds)
    assert peer.received == ""
    clock.advance(seconds=1)
    await settle()
    assert peer.received.startswith("HTTP/1.1 408 ")
