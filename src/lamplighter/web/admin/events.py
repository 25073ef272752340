"""The admin API's stream of published batches, as server-sent events.

Implements <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lamplighter.web.admin.broadcast import Broadcast
from lamplighter.web.admin.operations import Operation
from lamplighter.web.http.exchange import until_gone

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
                "Stream what is published, as events `batch`, `figures` (once a second) and "
                "`lost`; the data of each is JSON.",
                self.stream,
                None,
                media_type="text/event-stream",
            )
        ]

    async def stream(self, _request: Request) -> Response:
        """Begin a stream, which ends when the client leaves or the server stops."""
        return _EventStream(self._broadcast)


class _EventStream(Response):
    """A response without an end, which watches for the client's disconnect itself."""

    media_type = "text/event-stream"

    def __init__(self, broadcast: Broadcast) -> None:
        # A proxy must pass on each event at once, and must not wait for more.
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._broadcast = broadcast
        self._listening = broadcast.listen()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's shape
        leaving = asyncio.ensure_future(until_gone(receive))
        leaving.add_done_callback(lambda _: self._listening.end())
        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            await send({"type": "http.response.start", **start})
            async for event in self._listening.events():
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            leaving.cancel()
            self._broadcast.leave(self._listening)
