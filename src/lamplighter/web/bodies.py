"""A time limit for bodies.

Without it a client could hold a connection and the beginning of a body for ever, by sending a byte
now and then.
"""

from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamplighter.clock import Clock, Timestamp, after, within
from lamplighter.errors import TooSlow

__all__ = ["EACH_PART_IN_TIME", "BodiesInTime"]

#: The key in a scope of a function. An application that takes bodies of any length calls it: then
#: a body has the time limit not for all of it, but for each kilobyte.
EACH_PART_IN_TIME: Final = "lamplighter.each_part_in_time"

#: A request without either has no body.
_ANNOUNCING: Final = frozenset({b"content-length", b"transfer-encoding"})
#: How many bytes must come within the time limit, in a body of any length.
_LEAST: Final = 1024


class BodiesInTime:
    """Passes requests on to *application*, whose `receive` raises `TooSlow` for a slow body.

    The body has to come within *limit*, from the first call of `receive` on. After the body, the
    application may wait for the end of the connection for as long as it likes.
    """

    def __init__(self, application: ASGIApp, clock: Clock, limit: timedelta) -> None:
        self._application = application
        self._clock = clock
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _ANNOUNCING.isdisjoint(dict(scope["headers"])):
            body = _BodyInTime(receive, self._clock, self._limit)
            scope[EACH_PART_IN_TIME] = body.take_any_length
            receive = body.receive
        await self._application(scope, receive, send)


class _BodyInTime:
    def __init__(self, receive: Receive, clock: Clock, limit: timedelta) -> None:
        self._receive = receive
        self._clock = clock
        self._limit = limit
        #: None until the body is waited for.
        self._deadline: Timestamp | None = None
        self._has_ended = False
        self._has_any_length = False
        #: How many bytes have come since the time limit began.
        self._came = 0

    def take_any_length(self) -> None:
        self._has_any_length = True

    async def receive(self) -> Message:
        if self._has_ended:
            return await self._receive()
        now = self._clock.now()
        deadline = self._deadline = self._deadline or after(now, self._limit)
        try:
            left = timedelta(milliseconds=deadline - now)
            message = await within(self._clock, left, self._receive())
        except TimeoutError:
            raise TooSlow("The body does not come to its end") from None
        self._has_ended = not message.get("more_body", False)
        self._came += len(message.get("body", b""))
        if self._has_any_length and self._came >= _LEAST:
            self._deadline, self._came = None, 0
        return message
