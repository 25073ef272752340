"""The same load over XMPP: presence that contacts subscribe to (RFC 6121).

A watcher has a stream and subscribes to the publishers that it would share a room with in Matrix.
"""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, cast
from xml.parsers import expat

from bench.errors import ConnectionLost, Refused
from bench.ledger import Ledger
from bench.matrix import SERVER_NAME
from bench.shapes import Shape
from bench.stage import Stage
from bench.waiting import pause

__all__ = ["Stanza", "StanzaParser", "Stream", "XmppParty", "XmppWire"]

_PASSWORD: Final = "benchmark"
_HEADER: Final = (
    f"<?xml version='1.0'?><stream:stream to='{SERVER_NAME}' version='1.0' "
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
#: The time-out for all subscriptions, in seconds.
_PATIENCE: Final = 180
_GLANCE: Final = 0.05


class Stanza(NamedTuple):
    """A child of the stream: its name, its attributes, and the text of its `<status/>`."""

    name: str
    attributes: Mapping[str, str]
    status: str


class StanzaParser:
    """Parses stanzas from bytes that arrive in any pieces, and calls back with each."""

    def __init__(self, heard: Callable[[Stanza], None]) -> None:
        self._heard = heard
        self._depth = 0
        self._stanza: tuple[str, Mapping[str, str]] = ("", {})
        self._status = ""
        self._in_status = False
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text

    def feed(self, data: bytes) -> None:
        """Take *data* in."""
        self._expat.Parse(data)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 2:
            self._stanza, self._status = (name, attributes), ""
        self._in_status = name == "status"

    def _text(self, text: str) -> None:
        if self._in_status:
            self._status += text

    def _end(self, _name: str) -> None:
        self._depth -= 1
        self._in_status = False
        if self._depth == 1:
            self._heard(Stanza(*self._stanza, self._status))


class Stream(asyncio.Protocol):
    """A client's connection. It calls `heard` with each stanza."""

    def __init__(self) -> None:
        self.heard: Callable[[Stanza], None] = _ignore
        self.lost: Callable[[ConnectionLost], None] = _ignore
        self._transport: asyncio.Transport | None = None
        self._parser = StanzaParser(self._hear)

    def send(self, text: str) -> None:
        """Send *text* as it is."""
        assert self._transport is not None, "there is no connection"
        self._transport.write(text.encode())

    async def ask(self, text: str, *answers: str) -> None:
        """Send *text*; return once a stanza of that name arrives that is not an error."""
        answered: asyncio.Future[Stanza] = asyncio.get_running_loop().create_future()

        def wait(stanza: Stanza) -> None:
            if stanza.name in (*answers, "failure", "stream:error") and not answered.done():
                answered.set_result(stanza)

        self.heard = wait
        self.send(text)
        stanza = await answered
        self.heard = _ignore
        if stanza.name not in answers or stanza.attributes.get("type") == "error":
            raise Refused(f"{text}: {stanza}")

    async def open(self) -> None:
        """Open the stream, or open it anew after authentication."""
        self._parser = StanzaParser(self._hear)
        await self.ask(_HEADER, "stream:features")

    def abort(self) -> None:
        """Drop the connection."""
        self.heard = self.lost = _ignore
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost(ConnectionLost(f"a stream was lost: {exc or 'the server hung up'}"))

    def _hear(self, stanza: Stanza) -> None:
        self.heard(stanza)


class XmppWire:
    """XMPP: `<presence/>` out, `<presence/>` in."""

    async def gather(self, stage: Stage, shape: Shape, ledger: Ledger) -> "XmppParty":
        before = stage.meter.resident
        advance = stage.progress.step("logging in", shape.users)
        streams: list[Stream] = []
        for number in range(shape.users):
            streams.append(await _log_in(stage, number))
            advance()
        party = XmppParty(streams, ledger, before)
        await party.subscribe(stage, shape)
        return party


class XmppParty:
    """Everybody of a shape, with a stream each."""

    def __init__(self, streams: Sequence[Stream], ledger: Ledger, resident_before: int) -> None:
        self.polls = len(streams)
        self.resident_before = resident_before
        self._streams = streams
        self._ledger = ledger
        self._numbers = {_jid(number): number for number in range(len(streams))}
        self._subscribed: Counter[int] = Counter()
        for number, stream in enumerate(streams):
            stream.heard = self._callback_of(number)
            stream.lost = ledger.fail
            stream.send("<presence/>")

    async def subscribe(self, stage: Stage, shape: Shape) -> None:
        """Let every watcher have the publishers as contacts; return once all have agreed."""
        wanted = 0
        for publisher in shape.publishers:
            for watcher in self._ledger.audiences[publisher]:
                self._streams[watcher].send(_presence("subscribe", publisher))
                wanted += 1
            await pause(_GLANCE)
        advance = stage.progress.step("subscribing", wanted)
        seen = 0
        for _ in range(round(_PATIENCE / _GLANCE)):
            for _ in range(self._subscribed.total() - seen):
                advance()
            seen = self._subscribed.total()
            if seen >= wanted:
                return
            await pause(_GLANCE)
        raise Refused(f"{wanted - seen} of {wanted} subscriptions are not granted")

    def change(self, publisher: int) -> None:
        word = self._ledger.publish(publisher)
        self._streams[publisher].send(f"<presence><status>{word}</status></presence>")

    def leave(self) -> None:
        for stream in self._streams:
            stream.abort()

    def _callback_of(self, number: int) -> Callable[[Stanza], None]:
        """Return the callback for the stanzas that the user of that *number* receives."""

        def hear(stanza: Stanza) -> None:
            if stanza.name != "presence":
                return
            sender = self._numbers[stanza.attributes["from"].partition("/")[0]]
            kind = stanza.attributes.get("type")
            if kind == "subscribe":
                self._streams[number].send(_presence("subscribed", sender))
            elif kind == "subscribed":
                self._subscribed[number] += 1
            elif kind is None and stanza.status:
                self._ledger.receive(number, sender, int(stanza.status))

        return hear


async def _log_in(stage: Stage, number: int) -> Stream:
    """Register the user of that *number*, and open their stream."""
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(Stream, *stage.address)
    await stream.open()
    name = _jid(number).partition("@")[0]
    await stream.ask(
        "<iq type='set' id='register'><query xmlns='jabber:iq:register'>"
        f"<username>{name}</username><password>{_PASSWORD}</password></query></iq>",
        "iq",
    )
    secret = b64encode(f"\0{name}\0{_PASSWORD}".encode()).decode()
    await stream.ask(
        f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>",
        "success",
    )
    await stream.open()
    await stream.ask(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "iq"
    )
    # ejabberd announces subscriptions only to clients that have asked for their roster.
    await stream.ask("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>", "iq")
    return stream


def _presence(kind: str, to: int) -> str:
    return f"<presence type='{kind}' to='{_jid(to)}'/>"


def _jid(number: int) -> str:
    return f"user{number}@{SERVER_NAME}"


def _ignore(_: object) -> None:
    pass
