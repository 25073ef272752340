"""ASGI applications behind a connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from lamplighter.web.application import send_json
from lamplighter.web.http.asgi import ENDS_WITH_CLIENT, HAS_QUERY
from tests.web.http.peer import Peer, Site, answered, settle, whole_body

GET = "GET /a%20b?c=%20 HTTP/1.1\r\nHost: x\r\nX-Y: z\r\n\r\n"
PUT = "PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
CLOSE = "connection: close\r\n"
FAILED = answered(
    '{"errcode":"M_UNKNOWN","error":"Internal server error"}', "500 Internal Server Error"
)


async def test_the_scope(site: Site) -> None:
    """The application gets all of a request, as other servers give it."""
    plain, secure = site.peer(), site.peer(tls=True)
    plain.send(GET)
    secure.send("PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    await settle()
    assert callable(site.application.scopes[0].pop(ENDS_WITH_CLIENT))
    assert site.application.scopes[0] == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=%20",
        HAS_QUERY: True,
        "root_path": "",
        "headers": [(b"host", b"x"), (b"x-y", b"z")],
        "client": ("192.0.2.7", 4711),
        "server": ("192.0.2.1", 8008),
    }
    second = site.application.scopes[1]
    assert (second["scheme"], second["http_version"]) == ("https", "1.0")


async def test_receiving(site: Site, peer: Peer) -> None:
    """The body comes in its pieces, the last of which says so, and then the application waits."""
    messages: list[Any] = []

    async def listen(scope: Scope, receive: Receive, send: Send) -> None:
        while not messages or messages[-1]["type"] != "http.disconnect":
            messages.append(await receive())

    site.application.handle = listen
    peer.send(PUT)
    peer.send("ab")
    await settle()
    peer.send("cd")
    await settle()
    assert messages == [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"cd", "more_body": False},
    ]
    peer.lose()
    await settle()
    assert messages[2:] == [{"type": "http.disconnect"}]


@pytest.mark.parametrize("leaves", [True, False])
async def test_leaving_in_the_body(site: Site, peer: Peer, leaves: bool) -> None:
    """A client that stops in the middle of its body looks gone, and is answered if it hears."""
    peer.send(PUT + "ab")
    await settle()
    if leaves:
        peer.lose()
    else:
        peer.say_end()
    await settle()
    assert peer.received == ("" if leaves else answered("ab", connection=CLOSE))
    assert (peer.is_closed, site.server.under_way) == (True, 0)


async def test_after_the_answer(site: Site, peer: Peer) -> None:
    """After its answer an application hears that it is over, and says nothing more."""
    ends: list[str] = []

    async def answer_twice(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 200, await whole_body(receive))
        ends.append((await receive())["type"])
        await send_json(send, 200, b"again")

    site.application.handle = answer_twice
    peer.send(GET)
    await settle()
    assert (peer.received, ends) == (answered(""), ["http.disconnect"])


async def test_continuing(site: Site, peer: Peer) -> None:
    """A client that waits with its body is asked for it once the application wants it."""
    begin = asyncio.Event()

    async def later(scope: Scope, receive: Receive, send: Send) -> None:
        await begin.wait()
        await send_json(send, 200, await whole_body(receive))

    site.application.handle = later
    peer.send(PUT[:-2] + "Expect: 100-continue\r\n\r\n")
    await settle()
    assert peer.received == ""
    begin.set()
    await settle()
    assert peer.received == "HTTP/1.1 100 Continue\r\n\r\n"
    peer.send("abcd")
    await settle()
    assert peer.received == answered("abcd")


async def test_not_continuing(site: Site, peer: Peer) -> None:
    """A client that is refused is not asked for its body, nor is one that has sent all of it."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 401, b"{}")

    peer.send(PUT[:-2] + "Expect: 100-continue\r\n\r\nabcd")
    await settle()
    assert peer.received == answered("abcd")
    site.application.handle = refuse
    peer.send(PUT[:-2] + "Expect: 100-continue\r\n\r\n")
    await settle()
    assert peer.received == answered("{}", "401 Unauthorized", CLOSE)


async def test_defects(site: Site, peer: Peer) -> None:
    """For an application that fails, or says nothing, the server answers, and logs that."""

    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError(scope["path"])

    async def be_silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    with capture_logs() as logs:
        for handle in (fail, be_silent):
            site.application.handle = handle
            peer.send(GET)
            await settle()
            assert peer.received == FAILED
        peer.send(GET.replace("GET", "HEAD"))
        await settle()
    assert peer.received == FAILED.partition("{")[0]
    assert [(line["event"], line["path"]) for line in logs] == [("request failed", "/a b")] * 3


@pytest.mark.parametrize("fails", [True, False], ids=["a defect", "too short"])
async def test_defects_in_an_answer(site: Site, peer: Peer, fails: bool) -> None:
    """An answer that fails once it has begun, or is too short, breaks the connection."""

    async def fall_short(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc", "more_body": fails})
        if fails:
            raise ValueError

    site.application.handle = fall_short
    with capture_logs() as logs:
        peer.send(GET)
        await settle()
    assert [line["event"] for line in logs] == ["response broken off"] * fails
    assert (peer.received[-7:], peer.transport.is_aborted) == ("\r\n\r\nabc", True)


async def test_going_without_an_answer(site: Site, peer: Peer) -> None:
    """An application need not answer a client that is gone; that is no defect."""

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        await receive()

    site.application.handle = wait
    peer.send(GET)
    peer.say_end()
    await settle()
    assert (peer.received, peer.is_closed, site.server.under_way) == ("", True, 0)


async def test_streaming_without_end(site: Site, peer: Peer) -> None:
    """A stream without end waits for a client that is slow, and ends with one that goes."""

    async def stream() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000

    peer.transport.is_taken = False
    site.application.handle = StreamingResponse(stream())
    peer.send(GET)
    await settle()
    assert len(peer.received) // 10_000 == 1
    peer.transport.take(peer.transport.unsent)
    await settle()
    assert len(peer.received) // 10_000 == 1
    peer.lose()
    while len(asyncio.all_tasks()) > 1:
        await settle()
    assert site.server.under_way == 0


async def test_talking_to_nobody(site: Site, peer: Peer) -> None:
    """An application that goes on sending to a client that is gone lets others run."""
    said = 0

    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal said
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while said < 1000:
            said += 1
            await send({"type": "http.response.body", "body": b"a", "more_body": True})

    site.application.handle = talk
    peer.send(GET)
    peer.lose()
    await settle()
    assert 0 < said < 100
    assert site.server.under_way == 0
    while len(asyncio.all_tasks()) > 1:
        await settle()


async def test_cancelling(site: Site, peer: Peer) -> None:
    """A task that is ended by others ends its connection."""

    async def cancel_itself(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    site.application.handle = cancel_itself
    peer.send(GET)
    await settle()
    assert (peer.received, peer.transport.is_aborted, site.server.under_way) == ("", True, 0)


class Work:
    """What a request does, until a test lets it end."""

    def __init__(self) -> None:
        self.began = 0
        self.ended: list[str] = []
        self.may_end = asyncio.Event()

    def reading(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Read, for the client alone."""
        scope[ENDS_WITH_CLIENT]()
        return self.writing(scope, receive, send)

    async def writing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write, for everybody."""
        self.began += 1
        try:
            await self.may_end.wait()
            self.ended.append("done")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        await send_json(send, 200, b"{}")


@pytest.fixture
def work(site: Site) -> Work:
    """What the application does."""
    return Work()


@pytest.mark.parametrize("has_begun", [True, False])
async def test_a_read_ends_with_its_client(
    site: Site, peer: Peer, work: Work, has_begun: bool
) -> None:
    """What a client wanted to read that is gone is cancelled, or does not begin."""
    site.application.handle = work.reading
    peer.send(GET)
    if has_begun:
        await settle()
    peer.lose()
    await settle()
    assert (work.ended, site.server.under_way) == (["cancelled"] * work.began, 0)


async def test_a_write_goes_on_without_its_client(site: Site, peer: Peer, work: Work) -> None:
    """What a client has asked to be written is written to the end, whether or not it waits."""
    site.application.handle = work.writing
    peer.send(GET)
    await settle()
    peer.lose()
    await settle()
    work.may_end.set()
    await settle()
    assert work.ended == ["done"]


async def test_half_of_a_connection_may_be_all_of_it(site: Site, peer: Peer, work: Work) -> None:
    """A client that says its end is sent an interim line, and its answer if it still listens."""
    site.application.handle = work.reading
    peer.send(GET)
    await settle()
    peer.say_end()
    assert peer.received == "HTTP/1.1 100 Continue\r\n\r\n"
    work.may_end.set()
    await settle()
    assert peer.received == answered("{}", connection=CLOSE)


async def test_a_client_that_says_its_end_at_once(site: Site, peer: Peer, work: Work) -> None:
    """It is the same where the end comes together with the request."""
    site.application.handle = work.reading
    peer.send(GET)
    peer.say_end()
    await settle()
    assert peer.received == "HTTP/1.1 100 Continue\r\n\r\n"
    peer.lose()
    await settle()
    assert work.ended == ["cancelled"]


async def test_half_of_a_connection_is_not_waited_for(site: Site, peer: Peer, work: Work) -> None:
    """A client of HTTP/1.0 gets no interim line, and is closed after a while."""
    site.application.handle = work.reading
    peer.send("GET / HTTP/1.0\r\n\r\n")
    await settle()
    peer.say_end()
    assert peer.received == ""
    site.clock.advance(seconds=11)
    await settle()
    assert (work.ended, peer.is_closed, site.server.under_way) == (["cancelled"], True, 0)
