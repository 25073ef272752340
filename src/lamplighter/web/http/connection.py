"""The connection to one client: its requests are answered one after the other, in their order."""

import asyncio
from typing import Final, cast

from lamplighter.web.errors import error_response
from lamplighter.web.http.asgi import AsgiTurn
from lamplighter.web.http.direct import DirectTurn
from lamplighter.web.http.hub import Hub
from lamplighter.web.http.reader import Reader
from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import CLOSE, CONTINUE, KEEP_ALIVE
from lamplighter.web.http.timeouts import Limit
from lamplighter.web.http.turn import Turn

__all__ = ["MOST_UNREAD", "MOST_WAITING", "Connection"]

#: How many requests may wait behind the one that is being answered before no more are read.
MOST_WAITING: Final = 8
#: How much of a body may wait for somebody to take it, in bytes, before no more is read.
MOST_UNREAD: Final = 64 * 1024
#: What is read at a time, in bytes, so that these limits are exceeded by no more than that.
_PORTION: Final = 4096
#: How much a client must take of what it is sent, in bytes, before `Limit.SENDING` is over.
_LEAST_TAKEN: Final = 1024
#: How much a client may go on sending that has been told the end, in bytes.
_MOST_IGNORED: Final = 1024 * 1024


class Connection(asyncio.Protocol):
    """Reads requests, gives each its turn, and closes in good order."""

    __slots__ = (
        "_closes",
        "_has_left",
        "_held",
        "_ignored",
        "_is_advancing",
        "_is_closing",
        "_is_reading",
        "_limit",
        "_reader",
        "_request",
        "_turn",
        "_unsent",
        "hub",
        "transport",
        "writable",
    )

    transport: asyncio.Transport

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        #: Clear while the client does not take what it is sent; None if it always has.
        self.writable: asyncio.Event | None = None
        self._reader = Reader()
        #: What has come and is not read yet, while too much waits.
        self._held = b""
        self._is_reading = True
        self._turn: Turn | None = None
        self._request: Request | None = None
        self._is_advancing = False
        #: Whether the connection ends with the answer that is being given.
        self._closes = False
        self._is_closing = False
        #: Whether the client has closed its half.
        self._has_left = False
        #: How much has come since the client was told the end.
        self._ignored = 0
        #: How much was to be sent when somebody last looked.
        self._unsent = 0
        self._limit: Limit | None = None

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # So it is told of every byte that cannot be sent at once.
        self.transport.set_write_buffer_limits(high=1)
        if self.hub.admit(self):
            self._watch()
        else:
            self._is_closing = True
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            self._ignore(data)
        elif self._held:
            self._held += data
        else:
            self._read(data)
            self._watch()

    def eof_received(self) -> bool:
        self._has_left = True
        self._reader.end()
        if self._turn is not None:
            self._turn.receive()
        if self._turn is not None:
            self._turn.client_left()
        # TLS cannot be closed by halves. A plain connection is closed once all is answered.
        is_plain = self.transport.get_extra_info("sslcontext") is None
        stays = is_plain and (self._turn is not None or bool(self._reader.requests))
        self._is_closing = self._is_closing or not stays
        self._watch()
        return stays

    def pause_writing(self) -> None:
        if self.writable is None:
            self.writable = asyncio.Event()
        self.writable.clear()
        self.hub.owes(self, self.transport.get_write_buffer_size())
        self._watch()

    def resume_writing(self) -> None:
        assert self.writable is not None  # it was paused
        self.writable.set()
        self.hub.paid(self)
        self._read_held()
        self._watch()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._is_closing = True
        self._stop_watching()
        self._reader.end()
        self._reader.requests.clear()
        self._held = b""
        if self.writable is not None:
            self.writable.set()
            self.hub.paid(self)
        turn, self._turn = self._turn, None
        if turn is not None:
            self.hub.ended()
            turn.give_up()
        self.hub.dismiss(self)

    # What the hub tells.

    def expire(self) -> None:
        """Close: the client has taken too long; unless it is on the way to take what it is sent."""
        overdue, self._limit = self._limit, None
        unsent, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if overdue in (Limit.IDLE, Limit.RECEIVING):
            self._close()
        elif unsent - self._unsent < min(_LEAST_TAKEN, unsent + 1):
            self.abort()
        self._watch()

    def stop(self) -> None:
        if self._turn is None:
            self._close()

    def cut_off(self) -> None:
        if self._turn is not None:
            self._turn.cut_off()

    def abort(self) -> None:
        self.transport.abort()

    # What the turn tells.

    def connection_header(self, request: Request) -> bytes:
        is_last = self.hub.is_stopping or (self._has_left and not self._reader.requests)
        if is_last or not request.is_complete or not request.keeps_alive:
            return self.closing_header()
        return KEEP_ALIVE if request.is_http10 else b""

    def closing_header(self) -> bytes:
        self._closes = True
        return CLOSE

    def write(self, data: bytes) -> None:
        if not self._is_closing and not self.transport.is_closing():
            self.transport.write(data)

    def read_on(self) -> None:
        if not self._is_reading and not self._is_closing:
            self._read_held()

    def finished(self, *, in_order: bool = True) -> None:
        request, self._request = self._request, None
        self._turn = None
        self.hub.ended()
        self._stop_watching()  # what begins now begins anew
        if not in_order:
            self.abort()
        elif self._closes or (self._has_left and not self._reader.requests):
            self._close(is_heard_out=request is None or request.is_complete)
        elif not self._is_advancing and (self._held or self._reader.requests):
            self._read_held()
        elif not self._is_advancing and not self._is_reading:
            self._resume()
        self._watch()

    # What follows.

    def _read(self, data: bytes) -> None:
        for start in range(0, len(data), _PORTION):
            if (self._turn is not None or self._reader.requests) and self._is_full():
                self._held = data[start:]
                self._pause()
                return
            self._reader.feed(data[start : start + _PORTION])
            self._advance()

    def _is_full(self) -> bool:
        reader = self._reader
        return len(reader.requests) >= MOST_WAITING or reader.unread > MOST_UNREAD

    def _pause(self) -> None:
        # A transport that is closing, since its client is gone, refuses to be paused.
        if self._is_reading and not self.transport.is_closing():
            self._is_reading = False
            self.transport.pause_reading()

    def _read_held(self) -> None:
        """Go on with what was put off."""
        self._advance()
        held, self._held = self._held, b""
        if held:
            self._read(held)
        if not self._held:
            self._resume()

    def _resume(self) -> None:
        if not self._is_reading and not self.transport.is_closing():
            self._is_reading = True
            self.transport.resume_reading()

    def _advance(self) -> None:
        """Give the next requests their turns, until one is not answered at once."""
        if self._turn is not None:
            self._turn.receive()
        if self._is_advancing:
            return
        self._is_advancing = True
        while self._turn is None and self._reader.requests and self._may_begin():
            self._begin(self._reader.requests.pop(0))
        self._is_advancing = False

    def _may_begin(self) -> bool:
        return not self._is_closing and (self.writable is None or self.writable.is_set())

    def _begin(self, request: Request) -> None:
        if request.problem is not None:
            self._refuse(request, request.problem)
            return
        self.hub.begun()
        self._request = request
        direct = self.hub.direct(request)
        if direct is None:
            self._turn = AsgiTurn(self, request, self.hub.application)
        else:
            self._turn = turn = DirectTurn(self, request, direct)
            if request.expects_continue and not request.is_complete:
                self.write(CONTINUE)
            turn.receive()
        if self._has_left and self._turn is not None:
            self._turn.client_left()

    def _refuse(self, request: Request, problem: Exception) -> None:
        response = error_response(problem)
        connection = self.connection_header(request)
        self.write(
            self.hub.heads.with_json(response.status, response.body, response.headers, connection)
        )
        self._close(is_heard_out=False)

    def _close(self, *, is_heard_out: bool = True) -> None:
        """Close once all is sent; read on for a while if the client is not yet *heard out*.

        To close on somebody who is still sending would take from them what they were answered.
        """
        if self._is_closing:
            return
        self._is_closing = True
        self._reader.end()
        self._reader.requests.clear()
        self._held = b""
        if is_heard_out or self._has_left or not self.transport.can_write_eof():
            self.transport.close()
            return
        try:
            self.transport.write_eof()
        except OSError:  # nobody is there
            self.abort()
        self._resume()

    def _ignore(self, data: bytes) -> None:
        self._ignored += len(data)
        if self._ignored > _MOST_IGNORED:
            self.abort()

    def _watch(self) -> None:
        """See to it that the connection is not at what it is at for too long."""
        limit = self._limit_now()
        if limit is self._limit:
            return
        if self._limit is not None:
            self.hub.timeouts.stop(self, self._limit)
        self._limit = limit
        if limit is not None:
            self.hub.timeouts.start(self, limit)
            if limit in (Limit.SENDING, Limit.CLOSING):
                self._unsent = self.transport.get_write_buffer_size()

    def _stop_watching(self) -> None:
        if self._limit is not None:
            self.hub.timeouts.stop(self, self._limit)
            self._limit = None

    def _limit_now(self) -> Limit | None:
        if self._is_closing:
            return Limit.CLOSING
        if self.writable is not None and not self.writable.is_set():
            return Limit.SENDING
        if self._turn is not None:
            return self._turn.limit
        return Limit.RECEIVING if self._reader.is_in_head else Limit.IDLE
