"""Bodies that never end, and those that do."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Any, Final

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamplighter.devtools.clock import FakeClock
from lamplighter.web.application import send_error, send_json
from lamplighter.web.bodies import EACH_PART_IN_TIME, BodiesInTime

LIMIT: Final = timedelta(seconds=30)


class Dripping:
    """A client that sends what it is told to, when it is told to; and what it is answered."""

    def __init__(self, application: ASGIApp, clock: FakeClock, **headers: str) -> None:
        self._waiting: deque[Message] = deque()
        self._new = asyncio.Event()
        self.sent: list[Message] = []
        #: That of `receive` which waits, set while one does.
        self.awaited = asyncio.Event()
        named = [(name.replace("_", "-").encode(), it.encode()) for name, it in headers.items()]
        scope: Scope = {"type": "http", "method": "PUT", "path": "/", "headers": named}
        work = BodiesInTime(application, clock, LIMIT)(scope, self._receive, self._send)
        self.task = asyncio.ensure_future(work)

    async def sends(self, **message: Any) -> None:
        """Send a message, and return once the next one is waited for, or nothing any more."""
        self.awaited.clear()
        self._waiting.append({"type": "http.request", **message})
        self._new.set()
        await self.waited_for()

    async def waited_for(self) -> None:
        """Return once a message is waited for, or the application has returned."""
        awaited = asyncio.ensure_future(self.awaited.wait())
        await asyncio.wait({self.task, awaited}, return_when=asyncio.FIRST_COMPLETED)
        awaited.cancel()

    @property
    def status(self) -> int | None:
        """What was answered, if anything."""
        return self.sent[0]["status"] if self.sent else None

    async def _receive(self) -> Message:
        while not self._waiting:
            self._new.clear()
            self.awaited.set()
            await self._new.wait()
        return self._waiting.popleft()

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


async def reader(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body."""
    try:
        await send_json(send, 200, await Request(scope, receive).body())
    except Exception as error:  # noqa: BLE001 - as the application does
        await send_error(scope, send, error)


async def watcher(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for the client's leaving, after its body."""
    while (await receive())["type"] != "http.disconnect":
        pass
    await send_json(send, 200, b"{}")


@pytest.mark.parametrize("header", ["content_length", "transfer_encoding"])
async def test_a_body_that_never_ends(header: str) -> None:
    """A body that drips in byte by byte is given up at its limit, with 408, and not before."""
    clock = FakeClock()
    client = Dripping(reader, clock, **{header: "any"})
    await client.waited_for()
    for _ in range(29):
        await client.sends(body=b"x", more_body=True)
        clock.advance(seconds=1)
    await client.sends(body=b"x", more_body=True)
    clock.advance(seconds=0.999)
    await client.sends(body=b"x", more_body=True)
    assert not client.sent
    clock.advance(seconds=0.001)
    await client.task
    assert client.status == 408
    assert b"M_UNKNOWN" in client.sent[1]["body"]


async def test_a_body_of_any_length() -> None:
    """Where a body may be of any length, each kilobyte of it has the time limit."""
    clock = FakeClock()

    async def taker(scope: Scope, receive: Receive, send: Send) -> None:
        scope[EACH_PART_IN_TIME]()
        await reader(scope, receive, send)

    client = Dripping(taker, clock, content_length="any")
    await client.waited_for()
    for _ in range(10):
        await client.sends(body=b"x" * 512, more_body=True)
        clock.advance(seconds=29)
        await client.sends(body=b"x" * 512, more_body=True)
    clock.advance(seconds=29)
    await client.sends(body=b"x" * 1023, more_body=True)
    assert not client.sent
    clock.advance(seconds=1)
    await client.task
    assert client.status == 408


async def test_what_comes_before_the_body() -> None:
    """The time that passes before anybody wants the body is not its client's."""
    clock = FakeClock()

    async def thinker(scope: Scope, receive: Receive, send: Send) -> None:
        clock.advance(hours=1)
        await reader(scope, receive, send)

    client = Dripping(thinker, clock, content_length="2")
    await client.waited_for()
    await client.sends(body=b"{}", more_body=False)
    await client.task
    assert client.status == 200


async def test_a_body_that_ends_in_time() -> None:
    """A body that ends within the limit is read; nothing is left over of the limit."""
    clock = FakeClock()
    client = Dripping(reader, clock, content_length="3")
    await client.waited_for()
    await client.sends(body=b"{", more_body=True)
    clock.advance(seconds=29)
    await client.sends(body=b"}", more_body=False)
    await client.task
    assert (client.status, client.sent[1]["body"]) == (200, b"{}")
    assert clock.next_timer() is None


@pytest.mark.parametrize("headers", [{}, {"content_length": "2"}])
async def test_waiting_for_the_client_to_leave(headers: dict[str, str]) -> None:
    """Whoever has no body to send, or has sent it, may stay connected for as long as it likes."""
    clock = FakeClock()
    client = Dripping(watcher, clock, **headers)
    await client.waited_for()
    await client.sends(body=b"{}", more_body=False)
    clock.advance(hours=1)
    assert not client.task.done()
    await client.sends(type="http.disconnect")
    await client.task
    assert client.status == 200
