"""The connection to the homeserver: one request after the other, and their answers.

A poll waits here for half a minute and is then answered, and so do thousands of others: a
connection that waits is this object and a future of the caller. The client has one timer for all
connections, which calls `tick` every five seconds.

httptools parses the heads of answers, and bodies in chunks. A body of known length goes past the
parser, which would copy it. Answers to polls that end in the same second have the same head, to the
byte: such a head is parsed once for all connections.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Final, TypeVar, cast

import httptools
import msgspec

from lamplighter.errors import HomeserverTooSlow, HomeserverUnreachable
from lamplighter.futures import finish
from lamplighter.web.http.request import Headers

__all__ = [
    "MOST_ANSWER_HEAD",
    "MOST_UNTAKEN",
    "UPSTREAM_TICK",
    "AnswerHeads",
    "UpstreamAnswer",
    "UpstreamConnection",
]

T = TypeVar("T")

#: How long the head of an answer may be, in bytes, with all interim answers before it.
MOST_ANSWER_HEAD: Final = 64 * 1024
#: How many bytes of a body may wait for the caller before the connection reads no more. It is
#: exceeded by at most what the event loop reads at a time.
MOST_UNTAKEN: Final = 256 * 1024

#: How often time limits are looked at: each time costs a call for each poll that waits, and the
#: shortest limit is many times as long.
UPSTREAM_TICK: Final = timedelta(seconds=5)

_VERSIONS: Final = ("1.1", "1.0")
_LAST_INTERIM: Final = 199
_LEAST_INTERIM: Final = b"HTTP/1.1 100 \r\n\r\n"
_BODILESS: Final = frozenset({204, 304})
_END_OF_HEAD: Final = b"\r\n\r\n"
#: Heads that are remembered, and how long they may be, in bytes.
_HEADS_KEPT: Final = 64
_LONGEST_KEPT: Final = 2_048

# What a caller waits for. The end of the answer, or of the connection, wakes each of them.
_HEAD: Final = 0
_SOME: Final = 1
_WHOLE: Final = 2


class UpstreamAnswer(msgspec.Struct, frozen=True):
    """A whole answer of the homeserver. The names of the headers are in lower case."""

    status: int
    headers: Headers
    body: bytes

    def content(self, kind: type[T]) -> T:
        """Return the body, which is JSON, as a *kind*; else raise `HomeserverUnreachable`."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise HomeserverUnreachable("The homeserver's answer is not understood") from None


class _KnownHead(msgspec.Struct, frozen=True):
    """What the head of an answer says, whose body has a length."""

    status: int
    headers: Headers
    length: int
    keeps_alive: bool


class AnswerHeads:
    """The heads that came last, as httptools has read them."""

    def __init__(self) -> None:
        self._known: dict[bytes, _KnownHead] = {}
        #: Returns what a head says, if it is known: a method of the dictionary itself.
        self.read = self._known.get

    def put(self, head: bytes, known: _KnownHead) -> None:
        """Remember *head*, unless it is long."""
        if len(head) <= _LONGEST_KEPT:
            if len(self._known) >= _HEADS_KEPT:
                del self._known[next(iter(self._known))]
            self._known[head] = known


class UpstreamConnection(asyncio.Protocol):
    """Sends requests and reads their answers.

    After `begin`, one caller waits for the answer: for its head (`answered`) and then for each part
    of its body (`read`), or for all of it (`whole`). These raise `HomeserverUnreachable` where no
    answer comes or it breaks off, and `HomeserverTooSlow` after a time limit. Beside that caller,
    another one may send the body of the request.
    """

    __slots__ = (
        "_drained", "_ends_with_connection", "_heads", "_is_in_head", "_is_paused", "_keeps_alive",
        "_left", "_limit", "_lost", "_method", "_parser", "_parts", "_refusal", "_silent", "_size",
        "_ticks_to_answer", "_ticks_to_read", "_transport", "_untaken", "_waiter", "_waits_for",
        "has_begun", "headers", "is_busy", "is_complete", "is_sent", "problem", "status",
    )  # fmt: skip

    def __init__(self, lost: Callable[["UpstreamConnection"], None], heads: AnswerHeads) -> None:
        """*lost* is called once, when the connection is gone. Connections share *heads*."""
        self._lost = lost
        self._heads = heads
        #: None until the connection is made.
        self._transport: asyncio.Transport | None = None
        #: Why the connection cannot be used any more.
        self.problem: Exception | None = None
        #: Why a callback of the parser has stopped it.
        self._refusal: HomeserverUnreachable | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._waits_for = _HEAD
        #: While the homeserver does not read: what those wait for who send. Else None.
        self._drained: asyncio.Future[None] | None = None
        #: After how many ticks the answer, the next request, or reading comes too late; 0 is never.
        self._ticks_to_answer = 0
        self._ticks_to_read = 0
        self._is_paused = False
        #: Whether a request was sent whose answer nobody has taken yet.
        self.is_busy = False
        self._method = ""
        self._forget_answer()

    def _forget_answer(self) -> None:
        #: Whether any byte has come since the request was sent.
        self.has_begun = False
        self.is_sent = False
        self.is_complete = False
        self.status = 0
        self.headers: Headers = []
        self._parts: list[bytes | memoryview] = []
        #: How much of a body of known length is still to come.
        self._left = 0
        self._untaken = 0
        self._is_in_head = True
        self._keeps_alive = False
        self._ends_with_connection = False
        self._limit: int | None = None
        #: None until a part of the answer needs it.
        self._parser: httptools.HttpResponseParser | None = None
        #: How many bytes the parser has taken since its last callback: it may be keeping them.
        self._silent = 0
        self._size = 0

    # For the client.

    @property
    def can_be_reused(self) -> bool:
        """Whether another request may be sent: the last one and its answer are complete."""
        return self.is_complete and self.is_sent and self._keeps_alive and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether anything can be sent."""
        transport = self._transport
        return self.problem is None and transport is not None and not transport.is_closing()

    def begin(self, method: str, data: bytes, *, is_whole: bool) -> None:
        """Send *data*, which begins with the head of a request."""
        self._ticks_to_answer = 0
        self._method = method
        self.is_busy = True
        self.is_sent = is_whole
        self.write(data)

    def end(self, limit: timedelta) -> None:
        """Forget the answer: the caller has it. Close, unless another request comes in time."""
        self.is_busy = False
        self._forget_answer()
        self._ticks_to_answer = _ticks(limit)
        if self._is_paused:
            self._read_on()

    def write(self, data: bytes) -> None:
        """Send *data*. What cannot be sent goes nowhere: the caller that reads gets the error."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    async def drained(self, limit: timedelta) -> None:
        """Return once the homeserver reads what is sent; raise if nothing can be sent any more."""
        if self._drained is not None:
            self._ticks_to_read = _ticks(limit)
            await self._drained
        if self.problem is not None:
            raise self.problem

    async def answered(self, limit: timedelta) -> None:
        """Return once the head of the answer has come."""
        if self._is_in_head:
            await self._wait(_HEAD, limit)

    def tick(self) -> None:
        """Close if a time limit is over. It is exact to `UPSTREAM_TICK`."""
        if self._ticks_to_answer:
            self._ticks_to_answer -= 1
            if not self._ticks_to_answer:
                self.fail(HomeserverTooSlow("it does not answer in time"))
        if self._ticks_to_read:
            self._ticks_to_read -= 1
            if not self._ticks_to_read:
                self.fail(HomeserverTooSlow("it does not read the body of a request"))

    async def read(self, limit: timedelta) -> tuple[bytes | memoryview, bool]:
        """Return what has come of the body since the last call, and whether the rest is empty."""
        if not self._parts and not self.is_complete:
            await self._wait(_SOME, limit)
        parts, self._parts, is_last = self._parts, [], self.is_complete
        self._untaken = 0
        if self._is_paused:
            self._read_on()
        return parts[0] if len(parts) == 1 else b"".join(parts), is_last

    async def whole(self, limit: timedelta, most: int) -> UpstreamAnswer:
        """Return the answer once all of it has come. A body of more than *most* bytes fails."""
        self._limit = most
        if not self.is_complete:
            await self._wait(_WHOLE, limit)
        if self._untaken > most:
            raise self._too_long()
        return UpstreamAnswer(self.status, self.headers, b"".join(self._parts))

    def fail(self, problem: Exception) -> None:
        """Close the connection at once; who waits gets *problem*."""
        if self.problem is None:
            self.problem = problem
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    async def _wait(self, what: int, limit: timedelta) -> None:
        if self.problem is None:
            self._waits_for = what
            self._ticks_to_answer = _ticks(limit)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._ticks_to_answer = 0
        has_come = self.is_complete or (
            bool(self._parts) if what is _SOME else what is _HEAD and not self._is_in_head
        )
        if not has_come:
            assert self.problem is not None  # else nothing has woken the caller
            raise self.problem

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            finish(waiter)

    def _read_on(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._is_paused = False
            transport.resume_reading()

    def _too_long(self) -> HomeserverUnreachable:
        return HomeserverUnreachable("its answer is longer than it may be")

    # For the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.problem is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.problem is not None:
            return
        if not self.is_busy:
            self.fail(HomeserverUnreachable("it has answered without a request"))
            return
        self.has_begun = True
        start = 0
        while start < len(data) and self.problem is None:
            start = self._take(data, start)
        if self._silent > MOST_ANSWER_HEAD:
            self.fail(HomeserverUnreachable("the head of its answer is too long"))
        elif self._limit is not None:
            if self._untaken > self._limit:
                self.fail(self._too_long())
        elif self._untaken > MOST_UNTAKEN and self._transport is not None:
            self._is_paused = True
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def _take(self, data: bytes, start: int) -> int:
        """Take *data* from *start* on, as far as it is of one kind; return where the rest begins.

        The end of a head is found here, so that the parser gets none of a body of known length.
        Where it comes in two pieces, the parser gets the beginning of the body.
        """
        if self._left:
            is_all = not start and len(data) <= self._left
            part = data if is_all else memoryview(data)[start : start + self._left]
            self.on_body(part)
            if not self._left:
                self._parser = None  # it waits for the body
                self._complete()
            return start + len(part)
        end = data.find(_END_OF_HEAD, start) if self._is_in_head else -1
        is_whole_head = end >= 0 and self._parser is None and self._method != "HEAD"
        end = len(data) if end < 0 else end + len(_END_OF_HEAD)
        part = data[start:end]
        known = self._heads.read(part) if is_whole_head else None
        if known is not None:
            self._begin_body(known)
        else:
            self._parse(part, is_whole_head=is_whole_head)
        return end

    def _parse(self, part: bytes, *, is_whole_head: bool) -> None:
        self._silent += len(part)
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(part)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.fail(self._refusal or HomeserverUnreachable("its answer is not HTTP"))
        if is_whole_head and self._left:
            head = _KnownHead(self.status, self.headers, self._left, self._keeps_alive)
            self._heads.put(part, head)

    def _begin_body(self, head: _KnownHead) -> None:
        self.status = head.status
        self.headers = head.headers
        self._left = head.length
        self._is_in_head = False
        self._keeps_alive = head.keeps_alive
        if self._waits_for is _HEAD:
            self._wake()

    def eof_received(self) -> None:
        if self._ends_with_connection and self.problem is None:
            self._complete()

    def connection_lost(self, _exc: Exception | None) -> None:
        if self.problem is None:
            self.problem = HomeserverUnreachable("it has closed the connection")
        self._parser = None  # it refers to this object, which refers to it
        self._wake()
        self.resume_writing()
        self._lost(self)

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        self._ticks_to_read = 0
        if drained is not None:
            finish(drained)

    def _refuse(self, why: str) -> None:
        """Stop the parser, from a callback."""
        self._refusal = HomeserverUnreachable(why)
        raise self._refusal

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        self._silent = 0
        if self.is_complete:
            self._refuse("it has answered twice")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._silent = 0
        self._size += len(name) + len(value)
        if self._size > MOST_ANSWER_HEAD:
            self._refuse("the head of its answer is too long")
        if self._is_in_head:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None  # it is calling
        self._silent = 0
        status = parser.get_status_code()
        if status < 100 or parser.get_http_version() not in _VERSIONS:
            self._refuse("its answer is of an unknown version of HTTP")
        if status <= _LAST_INTERIM:
            self.on_header(b"", _LEAST_INTERIM)
            self.headers = []
            return
        named = dict(self.headers)
        is_chunked = b"transfer-encoding" in named
        if is_chunked and any(
            name == b"transfer-encoding" and value.lower() != b"chunked"
            for name, value in self.headers
        ):
            self._refuse("its answer has an unknown transfer coding")
        length = named.get(b"content-length")
        self._ends_with_connection = length is None and not is_chunked
        if length is not None and status not in _BODILESS:
            self._left = int(length)
        self.status = status
        self._is_in_head = False
        self._keeps_alive = parser.should_keep_alive()
        if self._method == "HEAD":  # the parser would wait for a body
            self._left = 0
            self._keeps_alive = False
            self._complete()
        elif self._waits_for is _HEAD:
            self._wake()

    def on_body(self, body: bytes | memoryview) -> None:
        self._silent = 0
        if self._method != "HEAD":
            self._parts.append(body)
            self._untaken += len(body)
            self._left -= min(self._left, len(body))
            if self._waits_for is _SOME:
                self._wake()

    def on_message_complete(self) -> None:
        self._silent = 0
        if not self._is_in_head:
            self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self._wake()


@lru_cache(64)  # there are few limits, and each request has some
def _ticks(limit: timedelta) -> int:
    """Return after how many ticks *limit* has passed, the one under way not counted."""
    return -(-limit // UPSTREAM_TICK) + 1
