"""The admin API's stream of published batches, as server-sent events.

Implements <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
"""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lamplighter.web.admin.broadcast import Broadcast
from lamplighter.web.admin.operations import Operation

__all__ = ["AdminEvents"]


class AdminEvents:
    """Streams to operators which states are delivered to whom."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/events",
                "Stream the published batches, as events `batch`, `figures` (once a second) and "
                "`lost`; the data of each is JSON.",
                self.stream,
                None,
                media_type="text/event-stream",
            )
        ]

    async def stream(self, _request: Request) -> Response:
        """Begin a stream, which ends when the client leaves or the server stops."""
        return _EventStream(self._broadcast)


class _EventStream(StreamingResponse):
    """Sends what *broadcast* tells until the client leaves, or the server stops."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._listening = broadcast.listen()
        # A proxy between the server and the operator must not collect events before it sends them.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(self._listening.events(), headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._broadcast.leave(self._listening)
