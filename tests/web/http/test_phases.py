"""What becomes of a connection: each row of the table on a real one, and random lives of one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from lamplighter.web.application import send_json
from lamplighter.web.http.phases import CONNECTION_TRANSITIONS, Action, Event, Phase, next_step
from tests.web.http.peer import Peer, Site, settle

GARBAGE: Final = "GARBAGE\r\n\r\n"

Deed = Callable[[Site, Peer], Awaitable[object] | None]


def poll(query: str, *, is_last: bool = False) -> str:
    """Return a request that waits for an answer, and may be its client's last."""
    return f"GET /poll?{query} HTTP/1.1\r\n{'Connection: close' if is_last else 'A: b'}\r\n\r\n"


def block(site: Site, peer: Peer) -> None:
    """Have the client not read its answer."""
    peer.transport.is_taken = False
    peer.send(poll("a"))
    site.endpoint.answer()


def leave_unread(site: Site, peer: Peer) -> None:
    """Give an answer that the client does not read."""
    peer.transport.is_taken = False
    site.endpoint.answer()


def close_unread(site: Site, peer: Peer) -> None:
    """Give the last answer, which the client does not read."""
    peer.send(poll("a", is_last=True))
    leave_unread(site, peer)


async def break_off(site: Site, _peer: Peer) -> None:
    """Begin an answer that has no end."""

    site.endpoint.waiting.pop().answer_in_pieces(map(ord, b"xx"), lambda: None)  # type: ignore[arg-type] # it fails
    await settle()


async def answer_early(site: Site, peer: Peer) -> None:
    """Answer a request of which half is still to come."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send_json(send, 401, b"{}")

    site.application.handle = refuse
    peer.send("PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
    await settle()


def announce_end(_site: Site, peer: Peer) -> None:
    """Begin an answer that says that it is the last."""
    peer.connection.closing_header()


async def lose(_site: Site, peer: Peer) -> None:
    """Break the connection."""
    peer.lose()
    await settle()


async def stream_unread(site: Site, peer: Peer) -> None:
    """Begin an answer in pieces that the client does not read."""
    peer.transport.is_taken = False
    site.endpoint.waiting.pop().answer_in_pieces(iter([b"x" * 9_000] * 9), lambda: None)
    await settle()


#: How a connection comes into each phase.
ARRIVALS: Final[dict[Phase, Deed]] = {
    Phase.READING: lambda _site, _peer: None,
    Phase.ANSWERING: lambda _site, peer: peer.send(poll("a")),
    Phase.ANSWERING_LAST: lambda _site, peer: peer.send(poll("a", is_last=True)),
    Phase.BLOCKED: block,
    Phase.LINGERING: lambda _site, peer: peer.send(GARBAGE),
    Phase.CLOSING: close_unread,
    Phase.CLOSED: lose,
}

#: How each event is made to happen, where the phase does not need another way.
DEEDS: Final[dict[Event, Deed]] = {
    Event.REQUEST: lambda _site, peer: peer.send(poll("b")),
    Event.LAST_REQUEST: lambda _site, peer: peer.send(poll("b", is_last=True)),
    Event.UNREADABLE: lambda _site, peer: peer.send(GARBAGE),
    Event.END_ANNOUNCED: announce_end,
    Event.ANSWERED: lambda site, _peer: site.endpoint.answer(),
    Event.ANSWERED_UNREAD: leave_unread,
    Event.ANSWERED_EARLY: answer_early,
    Event.TOO_LATE: lambda _site, _peer: None,
    Event.BROKEN_OFF: break_off,
    Event.READ: lambda _site, peer: peer.transport.take(peer.transport.unsent),
    Event.CLIENT_DONE: lambda _site, peer: peer.say_end(),
    Event.CLIENT_GONE: lambda _site, peer: peer.say_end(),
    Event.SLOW: lambda site, _peer: site.clock.advance(seconds=32),
    Event.STUCK: lambda site, _peer: site.clock.advance(seconds=32),
    Event.STOP: lambda site, _peer: site.server.close(),
    Event.LOST: lose,
}

ANSWERED: Final = (Phase.ANSWERING, Phase.ANSWERING_LAST)
SLOW: Final = "GET /poll HTTP/1.1\r\nContent-Length: 9\r\n"


def view(peer: Peer) -> Action:
    """Return what the server has done to the connection last."""
    if peer.transport.is_aborted:
        return Action.ABORT
    if peer.transport.is_closing():
        return Action.CLOSE
    return Action.LINGER if peer.transport.has_said_end else Action.NOTHING


ROWS: Final = [(phase, event) for phase, row in CONNECTION_TRANSITIONS.items() for event in row]


async def do(deed: Deed, site: Site, peer: Peer) -> None:
    """Make something happen."""
    doing = deed(site, peer)
    if doing is not None:
        await doing


async def arrive(phase: Phase, event: Event, site: Site, peer: Peer) -> None:
    """Bring a connection to *phase*, in the way that *event* needs."""
    if event is Event.ANSWERED_EARLY:
        return  # to answer early is both
    if event is Event.SLOW:  # half a head, or a head without its body
        more = {Phase.ANSWERING: "\r\n", Phase.ANSWERING_LAST: "Connection: close\r\n\r\n"}
        peer.send(SLOW + more.get(phase, ""))
        return
    await do(ARRIVALS[phase], site, peer)
    if event is Event.STUCK and phase in ANSWERED:
        await stream_unread(site, peer)


@pytest.mark.parametrize(("phase", "event"), ROWS, ids=lambda it: it.name)
async def test_each_row(phase: Phase, event: Event) -> None:
    """A connection does what the table says: in each phase, at each event that changes anything."""
    site = Site()
    if event is Event.TOO_LATE:
        site.server.close()
    peer = site.peer(tls=event is Event.CLIENT_GONE)
    await arrive(phase, event, site, peer)
    before = view(peer)
    await do(DEEDS[event], site, peer)
    step = next_step(phase, event)
    expected = {it: it for it in (Action.LINGER, Action.CLOSE, Action.ABORT)}
    expected[Action.REFUSE] = Action.LINGER
    if event is not Event.LOST:  # then there is nothing to be seen
        assert view(peer) is expected.get(step.action, before)
    await settle()
    assert site.server.under_way == (step.phase in ANSWERED)


def test_directions() -> None:
    """A connection that has said its last word does not go back, and one that is lost is closed."""
    over = (Phase.LINGERING, Phase.CLOSING, Phase.CLOSED)
    for phase, row in CONNECTION_TRANSITIONS.items():
        becomes = {step.phase for step in row.values()}
        if phase in over:
            assert becomes <= set(over)
        if phase is Phase.ANSWERING_LAST:
            assert becomes <= {phase, *over}
        assert next_step(phase, Event.LOST).phase is Phase.CLOSED


@dataclass
class Slow:
    """A connection as a slow and obvious model: what a client hears, and whether that is the end.

    `asked` are the requests that are not answered, the first of which is being answered.
    """

    heard: list[str] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    is_deaf: bool = False
    is_stopping: bool = False
    is_over: bool = False
    is_unread: bool = False

    def ask(self, query: str, *, is_last: bool = False) -> None:
        """The client sends a request, or garbage."""
        if not self.is_deaf and not self.is_over:
            self.asked.append((query, is_last))
            self.is_deaf = is_last or query == GARBAGE
            self._look()

    def answer(self, *, is_read: bool) -> None:
        """The endpoint answers, if anything was asked that it may answer."""
        if self.asked and not self.is_over and not self.is_unread:
            query, is_last = self.asked.pop(0)
            is_last = is_last or self.is_stopping or (self.is_deaf and not self.asked)
            self.heard.append(f"{query} {is_last}")
            self.is_over = is_last
            self.is_unread = not is_read
            self._look()

    def read(self) -> None:
        """The client reads what it was sent."""
        self.is_unread = False
        self._look()

    def leave(self) -> None:
        """The client closes its half."""
        self.is_deaf = True
        self.is_over = self.is_over or not self.asked

    def stop(self) -> None:
        """The server stops."""
        self.is_stopping = True
        self.is_over = self.is_over or not self.asked or self.is_unread

    def _look(self) -> None:
        """What is no request is refused when its turn comes."""
        if self.asked and self.asked[0][0] == GARBAGE and not self.is_unread and not self.is_over:
            self.heard.append("refused")
            self.is_over = True


WHAT: Final = ("ask", "ask last", "garbage", "answer", "answer unread", "read", "leave", "stop")


@given(st.lists(st.sampled_from(WHAT), max_size=12))
def test_whatever_comes(life: list[str]) -> None:
    """After any events the connection waits, or answers and goes on, or answers and closes, as a
    slow model of it does.
    """
    asyncio.run(live(life))


async def live(life: list[str]) -> None:
    """Let a connection and its model live the same *life*, and compare them at each moment."""
    site, model = Site(), Slow()
    peer = site.peer()
    heard: list[str] = []
    for number, what in enumerate(life):
        if peer.transport.is_closing() or (what == "leave" and model.is_deaf):
            break
        query = str(number)
        match what:
            case "ask" | "ask last":
                peer.send(poll(query, is_last=what != "ask"))
                model.ask(query, is_last=what != "ask")
            case "garbage":
                peer.send(GARBAGE)
                model.ask(GARBAGE)
            case "answer" | "answer unread" if site.endpoint.waiting:
                peer.transport.is_taken = what == "answer"
                site.endpoint.answer()
                peer.transport.is_taken = True
                model.answer(is_read=what == "answer")
            case "read" if peer.transport.unsent:
                peer.transport.take(peer.transport.unsent)
                model.read()
            case "leave":
                peer.say_end()
                model.leave()
            case "stop":
                site.server.close()
                model.stop()
        heard += responses(peer.received)
        assert heard == model.heard
        is_over = peer.transport.is_closing() or peer.transport.has_said_end
        assert is_over == model.is_over
    peer.lose()
    await settle()
    assert (site.server.under_way, site.server.unsent) == (0, 0)


def responses(received: str) -> list[str]:
    """Return which queries were answered, and whether each answer says that it is the last."""
    parts = [it for it in received.split("HTTP/1.1 ")[1:] if not it.startswith("100 ")]
    queries = [it.rpartition("\r\n")[2].strip('"') for it in parts]
    return [
        "refused" if it.startswith("400 ") else f"{query} {'connection: close' in it}"
        for it, query in zip(parts, queries, strict=True)
    ]
