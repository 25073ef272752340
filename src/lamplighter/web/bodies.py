"""A time limit for bodies.

Without it a client could hold a connection and the beginning of a body for ever, by sending a byte
now and then.
"""

from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamplighter.clock import Clock, Timestamp, after, within
from lamplighter.errors import TooSlow

__all__ = ["BodiesInTime"]

#: A request without either has no body.
_ANNOUNCING: Final = frozenset({b"content-length", b"transfer-encoding"})


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
        if scope["type"] == "http" and any(name in _ANNOUNCING for name, _ in scope["headers"]):
            receive = self._in_time(receive)
        await self._application(scope, receive, send)

    def _in_time(self, receive: Receive) -> Receive:
        deadline: Timestamp | None = None
        has_ended = False

        async def receive_in_time() -> Message:
            nonlocal deadline, has_ended
            if has_ended:
                return await receive()
            now = self._clock.now()
            deadline = deadline or after(now, self._limit)
            try:
                left = timedelta(milliseconds=deadline - now)
                message = await within(self._clock, left, receive())
            except TimeoutError:
                raise TooSlow("The body does not come to its end") from None
            has_ended = not message.get("more_body", False)
            return message

        return receive_in_time
