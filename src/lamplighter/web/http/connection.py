"""The connection to one client: it follows the table in `phases.py`, on an asyncio transport."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from lamplighter.web.http.asgi import AsgiCycle
from lamplighter.web.http.exchange import Exchange
from lamplighter.web.http.phases import Action, Event, Phase, next_step
from lamplighter.web.http.reader import Reader
from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import CLOSE, CONTINUE, KEEP_ALIVE
from lamplighter.web.http.timeouts import TimeLimit

if TYPE_CHECKING:
    from lamplighter.web.http.server import HttpServer

__all__ = ["MOST_QUEUED", "MOST_UNREAD", "Connection"]

#: How many requests may wait behind the one that is being answered before no more are read.
MOST_QUEUED: Final = 8
#: How much of a body may wait for the application to take it, in bytes, before no more is read.
MOST_UNREAD: Final = 64 * 1024
#: How much is read at a time, in bytes. The two limits above are exceeded by at most this.
_PORTION: Final = 4096
#: How many bytes a client must read within a time limit to get the same time again.
_LEAST_READ: Final = 1024
#: How many bytes a client may send after the last answer.
_MOST_DROPPED: Final = 1024 * 1024

Cycle: TypeAlias = Exchange | AsgiCycle

# Module-level names: to look up a member of an enumeration calls a Python function.
_READING: Final = Phase.READING
_ANSWERING: Final = Phase.ANSWERING
_ANSWERED: Final = Event.ANSWERED
_GO_ON: Final = Action.GO_ON

#: The phases that begin with a request.
_ANOTHER_MAY_FOLLOW, _ = next_step(_READING, Event.REQUEST)
_NONE_FOLLOWS, _ = next_step(_READING, Event.LAST_REQUEST)

_BEING_ANSWERED: Final = (Phase.ANSWERING, Phase.ANSWERING_LAST)
#: In these a client that has closed its half can still get an answer.
_OPEN_FOR_ANSWERS: Final = (*_BEING_ANSWERED, Phase.BLOCKED)
#: In these nothing is read any more, and nothing written.
_ALL_SAID: Final = (Phase.LINGERING, Phase.CLOSING, Phase.CLOSED)
#: In these the client has still to send something; in the others, to read something.
_FOR_REQUESTS: Final = (TimeLimit.IDLE, TimeLimit.RECEIVING)
#: In the other phases the time limit depends on what has come of a request.
_TIME_LIMITS: Final = {
    Phase.BLOCKED: TimeLimit.SENDING,
    Phase.LINGERING: TimeLimit.CLOSING,
    Phase.CLOSING: TimeLimit.CLOSING,
    Phase.CLOSED: None,
}


class Connection(asyncio.Protocol):
    """Reads requests, begins a request-response cycle for each, and closes in good order."""

    __slots__ = (
        "_cycle",
        "_dropped",
        "_has_left",
        "_held",
        "_phase",
        "_reader",
        "_time_limit",
        "_unsent",
        "server",
        "transport",
        "writable",
    )

    transport: asyncio.Transport

    def __init__(self, server: "HttpServer") -> None:
        self.server = server
        #: Clear while the client does not read what it is sent; None if the client always has.
        self.writable: asyncio.Event | None = None
        self._phase = _READING
        self._reader = Reader()
        #: The cycle of the current request; None also while its endpoint is being called.
        self._cycle: Cycle | None = None
        #: The bytes that wait to be read; while there are any, the transport is paused.
        self._held = b""
        #: Whether the client has closed its half.
        self._has_left = False
        #: The time limit that runs, as of the last tick.
        self._time_limit: TimeLimit | None = None
        #: How much the client had still to read when it came to wait for that.
        self._unsent = 0
        #: How many bytes have come after the last answer.
        self._dropped = 0

    # For the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # So the transport reports every byte that cannot be sent at once.
        self.transport.set_write_buffer_limits(high=1)
        if self.server.admit(self):
            self.server.timeouts.changed.add(self)
        else:
            self._happens(Event.TOO_LATE)

    def data_received(self, data: bytes) -> None:
        fields = self._reader.fields if self._phase is _READING else None
        request = None if fields is None else fields.repeated(data)
        if request is not None:  # the next poll of a client, like nearly all that comes
            self._begin(request)
        elif self._held:
            self._held += data
        elif self._phase in _ALL_SAID:
            self._dropped += len(data)
            if self._dropped > _MOST_DROPPED:
                self._happens(Event.STUCK)
        else:
            self._read(data)
        self.server.timeouts.changed.add(self)

    def eof_received(self) -> bool:
        self._has_left = True
        self._reader.end()
        if not self._reader.requests:
            self._happens(Event.CLIENT_DONE)
        if self._cycle is not None:
            self._cycle.receive()
        if self._cycle is not None:
            self._cycle.client_left()
        if not self.transport.can_write_eof():  # TLS has no halves
            self._happens(Event.CLIENT_GONE)
        self.server.timeouts.changed.add(self)
        return self._phase in _OPEN_FOR_ANSWERS

    def pause_writing(self) -> None:
        if self.writable is None:
            self.writable = asyncio.Event()
        self.writable.clear()
        self._unsent = self.transport.get_write_buffer_size()
        self.server.blocked(self, self._unsent)
        self.server.timeouts.changed.add(self)

    def resume_writing(self) -> None:
        assert self.writable is not None  # writing was paused
        self.writable.set()
        self.server.unblocked(self)
        if self._time_limit is not None:  # that of the next time begins anew
            self._end_time_limit()
        self._happens(Event.READ)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._happens(Event.LOST)
        self._read_no_more()
        if self.writable is not None:
            self.writable.set()
            self.server.unblocked(self)
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            self.server.answered_last()
            cycle.give_up()
        if self._time_limit is not None:
            self._end_time_limit()
        self.server.forget(self)

    # For the server.

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered."""
        return self._cycle is not None

    def begin_time_limit(self) -> None:
        """Start, switch or stop the time limit for what this connection now waits for."""
        limit: TimeLimit | None
        if self._phase is _READING:
            limit = TimeLimit.RECEIVING if self._reader.is_in_head else TimeLimit.IDLE
        elif self._phase not in _BEING_ANSWERED:
            limit = _TIME_LIMITS[self._phase]
        elif self.writable is not None and not self.writable.is_set():
            limit = TimeLimit.SENDING
        else:
            limit = None if self._cycle is None else self._cycle.time_limit
        if limit is self._time_limit:
            return
        if self._time_limit is not None:
            self._end_time_limit()
        self._time_limit = limit
        if limit is not None:
            self.server.timeouts.start(self, limit)
            if limit is TimeLimit.CLOSING:
                self._unsent = self.transport.get_write_buffer_size()

    def expire(self) -> None:
        """Close: a time limit is over. A client that reads its answer gets the same time again."""
        limit, self._time_limit = self._time_limit, None
        unsent, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if limit in _FOR_REQUESTS:
            self._happens(Event.SLOW)
        elif unsent - self._unsent < min(_LEAST_READ, unsent + 1):
            self._happens(Event.STUCK)
        else:
            self.begin_time_limit()

    def stop(self) -> None:
        """Close: at once if no request is being answered, else with the answer."""
        self._happens(Event.STOP)

    def cut_off(self) -> None:
        """Answer a pending request at once, if a direct endpoint has it."""
        if isinstance(self._cycle, Exchange):
            self._cycle.cut_off()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    # For the request-response cycle.

    def respond(
        self,
        request: Request,
        status: int,
        body: bytes,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Send a whole response to *request*, whose *body* is JSON."""
        connection = self.connection_header(request)
        heads = self.server.heads
        if request.method == "HEAD":
            response = heads.json(status, body, headers, connection)
        else:
            response = heads.with_json(status, body, headers, connection)
        if not self.transport.is_closing():
            try:  # noqa: SIM105 - as `write` does: to call it would be one call more for each poll
                self.transport.write(response)
            except RuntimeError:
                pass

    def refuse(self, request: Request, error: Exception, path: str) -> None:
        """Send the response to *request* for *path*, which failed with *error*."""
        response = self.server.settings.error_response(error, request.method, path)
        self.respond(request, response.status, response.body, response.headers)

    def connection_header(self, request: Request) -> bytes:
        """Return the header line, if any, that says what becomes of the connection.

        The response to *request* begins with it, and what it says happens.
        """
        if self._phase is _ANSWERING and request.is_complete:
            return KEEP_ALIVE if request.is_http10 else b""
        return self.closing_header()

    def closing_header(self) -> bytes:
        """Return the header line that says that the connection ends with the response; it does."""
        self._phase, _ = next_step(self._phase, Event.END_ANNOUNCED)
        return CLOSE

    def write(self, data: bytes) -> None:
        """Send *data*.

        While a process stops, uvloop has been seen to close a transport that does not say so.
        """
        if not self.transport.is_closing():
            try:  # noqa: SIM105 - calls of `suppress` cost more
                self.transport.write(data)
            except RuntimeError:
                pass

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """Send *parts*, without joining them where the event loop can do that."""
        if len(parts) == 1:
            self.write(parts[0])
        elif not self.transport.is_closing():
            try:  # noqa: SIM105 - calls of `suppress` cost more
                self.transport.writelines(parts)
            except RuntimeError:
                pass

    def read_on(self) -> None:
        """Read on, if reading was paused: some of the body was taken."""
        if self._held:
            self._go_on()

    def ended(self, request: Request, *, is_whole: bool = True) -> None:
        """End the cycle of *request*: the response is complete, or broken off.

        Also called while the endpoint that answers is being called, before `_cycle` is set.
        """
        if not is_whole:
            event = Event.BROKEN_OFF
        elif not request.is_complete:
            event = Event.ANSWERED_EARLY
        elif self.writable is not None and not self.writable.is_set():
            event = Event.ANSWERED_UNREAD
        else:
            event = _ANSWERED
        cycle, self._cycle = self._cycle, None
        if self._time_limit is not None:  # that of what comes next begins anew
            self._end_time_limit()
        self._phase, action = next_step(self._phase, event)
        if action is not _GO_ON:
            self._do(action)
            self.server.answered_last()
        elif cycle is not None and (self._held or self._reader.requests):
            self._go_on()
        self.server.timeouts.changed.add(self)

    # Events and actions.

    def _happens(self, event: Event) -> None:
        self._phase, action = next_step(self._phase, event)
        self._do(action)
        self.server.timeouts.changed.add(self)

    def _do(self, action: Action) -> None:
        if action is _GO_ON:
            self._go_on()
        elif action is Action.CLOSE:
            self._read_no_more()
            self.transport.close()
        elif action is Action.LINGER:
            self._linger()
        elif action is Action.ABORT:
            self.transport.abort()

    def _go_on(self) -> None:
        """Take up what is queued, then what has come meanwhile, and let more come."""
        self._advance()
        held, self._held = self._held, b""
        if held:
            self._read(held)
            if not self._held:
                self._resume()

    def _read(self, data: bytes) -> None:
        reader = self._reader
        for start in range(0, len(data), _PORTION):
            is_busy = self._cycle is not None or bool(reader.requests)
            if is_busy and (len(reader.requests) >= MOST_QUEUED or reader.unread > MOST_UNREAD):
                self._held = data[start:]
                # A transport that closes, since its client is gone, refuses to be paused.
                if not self.transport.is_closing():
                    self.transport.pause_reading()
                return
            reader.feed(data[start : start + _PORTION])
            self._advance()

    def _resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _advance(self) -> None:
        """Begin cycles for the next requests, until one is not answered at once."""
        if self._cycle is not None:
            self._cycle.receive()
        while self._phase is _READING and self._reader.requests:
            self._begin(self._reader.requests.pop(0))

    def _begin(self, request: Request) -> None:
        if request.problem is not None:
            self._phase, _ = next_step(_READING, Event.UNREADABLE)
            self.refuse(request, request.problem, "")
            self._linger()
            return
        is_last = not request.keeps_alive or (self._has_left and not self._reader.requests)
        self._phase = _NONE_FOLLOWS if is_last else _ANOTHER_MAY_FOLLOW
        direct = self.server.find_direct(request)
        if direct is None:
            self._cycle = AsgiCycle(self, request)
        else:
            exchange = Exchange(self, request, direct)
            if request.expects_continue and not request.is_complete:
                self.write(CONTINUE)
            exchange.receive()
            if self._phase in _BEING_ANSWERED:  # else it is answered already
                self._cycle = exchange
        if self._has_left and self._cycle is not None:
            self._cycle.client_left()

    def _read_no_more(self) -> bool:
        """Drop what was read; return whether the transport is paused."""
        self._reader.end()
        self._reader.requests.clear()
        held, self._held = self._held, b""
        return bool(held)

    def _linger(self) -> None:
        is_paused = self._read_no_more()
        if self._has_left or not self.transport.can_write_eof():
            self.transport.close()
            return
        try:
            self.transport.write_eof()
        except OSError:  # the client is gone
            self.abort()
        if is_paused:
            self._resume()

    def _end_time_limit(self) -> None:
        assert self._time_limit is not None  # it runs
        self.server.timeouts.stop(self, self._time_limit)
        self._time_limit = None
