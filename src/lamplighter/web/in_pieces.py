"""Answers that are made while they are sent, as fast as the client reads them."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lamplighter.pieces import PORTION, written

__all__ = ["HeldResponse", "JsonInPieces"]


class JsonInPieces(Response):
    """JSON that is made in portions, each once the client has taken the portion before it."""

    media_type = "application/json"

    def __init__(self, content: Any) -> None:
        """*content* is what `pieces.written` writes; it is gone through while it is sent."""
        super().__init__()
        self._content = content

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        del self.headers["content-length"]
        waiting, size, has_begun = list[bytes](), 0, False
        async for piece in written(self._content):
            waiting.append(piece)
            size += len(piece)
            if size < PORTION:
                continue
            if not has_begun:
                await self._begin(send)
                has_begun = True
            await send(_body(waiting, more=True))
            waiting, size = [], 0
        if not has_begun:  # a small answer says how long it is
            self.headers["content-length"] = str(size)
            await self._begin(send)
        await send(_body(waiting, more=False))

    async def _begin(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})


class HeldResponse(Response):
    """Sends *response*, and calls *ended* once it is sent or its client is gone."""

    def __init__(self, response: Response, ended: Callable[[], None]) -> None:
        super().__init__()
        self._response = response
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._response(scope, receive, send)
        finally:
            self._ended()


def _body(pieces: list[bytes], *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"".join(pieces), "more_body": more}
