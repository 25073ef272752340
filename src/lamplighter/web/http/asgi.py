"""A request-response cycle in a task: an ASGI application answers.

Implements <https://asgi.readthedocs.io/en/latest/specs/www.html>, HTTP only.
"""

import asyncio
from asyncio import BaseTransport
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from lamplighter.errors import LamplighterError, ShuttingDown
from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import CONTINUE
from lamplighter.web.http.streaming import Streaming, let_others_run
from lamplighter.web.http.timeouts import TimeLimit

if TYPE_CHECKING:
    from lamplighter.web.http.connection import Connection

__all__ = ["ENDS_WITH_CLIENT", "HAS_QUERY", "AsgiCycle"]

#: The key in a scope of a function. A task that only reads calls it, and is cancelled when its
#: client is gone. An ASGI server that is not this one has no such key.
ENDS_WITH_CLIENT: Final = "lamplighter.ends_with_client"
#: The key in the scope of whether a question mark was sent, if only with an empty query.
HAS_QUERY: Final = "lamplighter.has_query"

#: By later versions, `send` raises where the client is gone; here it does nothing.
_VERSIONS: Final = {"version": "3.0", "spec_version": "2.3"}

_log = structlog.get_logger(__name__)


class AsgiCycle:
    """One request, and the task in which the application answers it, or raises an error.

    `receive` tells the application when its client goes. A task that has called `ENDS_WITH_CLIENT`,
    since it only reads, is cancelled then. A task that writes goes on to its end.
    """

    __slots__ = (
        "_connection",
        "_has_left",
        "_has_told_end",
        "_is_cut_off",
        "_is_finished",
        "_is_read",
        "_news",
        "_request",
        "_response",
        "task",
    )

    def __init__(self, connection: "Connection", request: Request) -> None:
        self._connection = connection
        self._request = request
        self._response = Streaming(connection, request)
        self._has_told_end = False
        self._has_left = False
        self._is_finished = False
        self._is_read = False
        self._is_cut_off = False
        self._news = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(self._scope()))

    @property
    def time_limit(self) -> TimeLimit | None:
        """What the client keeps the server waiting for.

        How long it waits for a body is the application's business. A client that has closed one
        half of the connection is mostly gone, without a notice.
        """
        return TimeLimit.CLOSING if self._has_left else None

    def receive(self) -> None:
        """More of the body may have come."""
        self._news.set()

    def client_left(self) -> None:
        """The client has closed its half of the connection, or both."""
        self._has_left = True
        self._news.set()
        self._look_for_client()

    def give_up(self) -> None:
        """The connection is lost."""
        self._is_finished = self._has_left = True
        self._news.set()
        if self._is_read:
            self.task.cancel()

    def cut_off(self) -> None:
        """End the task; a client that still waits gets 503."""
        self._is_cut_off = True
        self.task.cancel()

    def _end_with_client(self) -> None:
        self._is_read = True
        if self._is_finished:
            self.task.cancel()
        else:
            self._look_for_client()

    def _look_for_client(self) -> None:
        """Send an interim response to a client that sends nothing more and may be gone.

        A client that has closed both halves of its connection looks like one that has closed one
        half, until something is sent: then the client's machine says that there is no connection.
        A client that still reads passes over the interim response
        (<https://www.rfc-editor.org/rfc/rfc9110.html#section-15.2>).
        """
        may_be_gone = self._has_left and self._is_read and not self._response.has_begun
        if may_be_gone and not self._request.is_http10:
            self._connection.write(CONTINUE)

    async def _run(self, scope: Scope) -> None:
        server, is_whole = self._connection.server, False
        server.running.add(self)
        try:
            await server.application(scope, self._receive, self._send)
            if not self._is_finished:
                if not self._has_left:
                    raise RuntimeError("the application has returned without a whole answer")
                is_whole = self._response.is_whole
        except Exception as error:  # noqa: BLE001 - the client is told, and a defect is logged
            is_whole = self._fail(scope["path"], error)
        except asyncio.CancelledError:
            if not self._is_cut_off:
                raise
            is_whole = self._is_finished or self._fail(scope["path"], ShuttingDown())
        finally:
            server.running.discard(self)
            if not self._is_finished:
                self._finish(is_whole=is_whole)

    def _fail(self, path: str, error: Exception) -> bool:
        """Answer that the request failed, if the answer has not begun; return whether it is so."""
        if self._response.has_begun:
            if isinstance(error, LamplighterError | ClientDisconnect):  # no defect
                _log.warning("response broken off", path=path, problem=str(error))
            else:
                _log.error("response broken off", path=path, exc_info=error)
            return False
        self._connection.refuse(self._request, error, path)
        return True

    def _finish(self, *, is_whole: bool) -> None:
        self._is_finished = True
        self._news.set()
        self._connection.ended(self._request, is_whole=is_whole)

    def _scope(self) -> Scope:
        request, transport = self._request, self._connection.transport
        is_tls = transport.get_extra_info("sslcontext") is not None
        return {
            "type": "http",
            "asgi": _VERSIONS,
            "http_version": "1.0" if request.is_http10 else "1.1",
            "method": request.method,
            "scheme": "https" if is_tls else "http",
            "path": request.target.path,
            "raw_path": request.target.raw_path.encode("latin-1"),
            "query_string": request.target.query.encode("latin-1"),
            "root_path": "",
            "headers": list(request.headers),
            "client": _address(transport, "peername"),
            "server": _address(transport, "sockname"),
            HAS_QUERY: request.target.has_query,
            ENDS_WITH_CLIENT: self._end_with_client,
        }

    async def _receive(self) -> Message:
        request = self._request
        if request.expects_continue and not request.is_complete:
            request.expects_continue = False
            if not self._response.has_begun:
                self._connection.write(CONTINUE)
        while not self._is_finished:
            if not self._has_told_end and (request.unread or request.is_complete):
                return self._body()
            if request.is_broken or self._has_left:
                break
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    def _body(self) -> Message:
        body = self._request.take_body()
        self._has_told_end = self._request.is_complete
        self._connection.read_on()
        return {"type": "http.request", "body": body, "more_body": not self._has_told_end}

    async def _send(self, message: Message) -> None:
        if self._is_finished:
            await let_others_run()
            return
        parts = self._response.take(message)
        if not parts:
            return
        self._connection.write_parts(parts)
        if self._response.is_over:
            self._finish(is_whole=self._response.is_whole)
            return
        await let_others_run()
        if self._connection.writable is not None:
            await self._connection.writable.wait()


def _address(transport: BaseTransport, name: str) -> tuple[str, int] | None:
    place: tuple[Any, ...] | None = transport.get_extra_info(name)
    return place[:2] if place else None  # a client may have gone at once
