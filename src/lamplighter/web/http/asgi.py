"""A turn in a task: an ASGI application answers.

Implements <https://asgi.readthedocs.io/en/latest/specs/www.html>, HTTP only.
"""

import asyncio
from asyncio import BaseTransport
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Scope

from lamplighter.web.application import ENDS_WITH_CLIENT, send_error
from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import CONTINUE
from lamplighter.web.http.streaming import Streaming, let_others_run
from lamplighter.web.http.timeouts import Limit
from lamplighter.web.http.turn import Line

__all__ = ["AsgiTurn"]

#: By later versions, `send` raises where the client is gone; here it does nothing.
_VERSIONS: Final = {"version": "3.0", "spec_version": "2.3"}

_log = structlog.get_logger(__name__)


class AsgiTurn:
    """One request, and the task in which the application answers it.

    `receive` tells it when its client goes. A task that only reads says so by calling what
    `ENDS_WITH_CLIENT` in its scope is: it is cancelled then. What writes goes on to its end.
    """

    __slots__ = (
        "_has_left",
        "_has_told_end",
        "_is_finished",
        "_is_read",
        "_line",
        "_news",
        "_request",
        "_response",
        "_task",
    )

    def __init__(self, line: Line, request: Request, application: ASGIApp) -> None:
        self._line = line
        self._request = request
        self._response = Streaming(line, request)
        self._has_told_end = False
        self._has_left = False
        self._is_finished = False
        self._is_read = False
        self._news = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(application, self._scope()))

    @property
    def limit(self) -> Limit | None:
        # How long it waits for a body is the application's business. Who has closed one half of
        # the connection is mostly gone, and may not be told.
        return Limit.CLOSING if self._has_left else None

    def receive(self) -> None:
        self._news.set()

    def client_left(self) -> None:
        self._has_left = True
        self._news.set()
        self._look_for_client()

    def give_up(self) -> None:
        self._is_finished = self._has_left = True
        self._news.set()
        if self._is_read:
            self._task.cancel()

    def _end_with_client(self) -> None:
        self._is_read = True
        if self._is_finished:
            self._task.cancel()
        else:
            self._look_for_client()

    def _look_for_client(self) -> None:
        """Send a line to a client that sends nothing more, if nobody but it needs the answer.

        A client that has closed both halves of its connection looks like one that has closed one
        half, until something is sent: then its machine says that nobody is there. A client that
        still listens passes over the line, as over every interim response
        (<https://www.rfc-editor.org/rfc/rfc9110.html#section-15.2>).
        """
        may_be_gone = self._has_left and self._is_read and not self._response.has_begun
        if may_be_gone and not self._request.is_http10:
            self._line.write(CONTINUE)

    def cut_off(self) -> None:
        """Do nothing: the task is ended by who counts them (`web/under_way.py`)."""

    async def _run(self, application: ASGIApp, scope: Scope) -> None:
        try:
            await application(scope, self._receive, self._send)
            if not self._is_finished and not self._has_left:
                raise RuntimeError("the application has returned without a whole answer")
        except Exception as error:  # noqa: BLE001 - the one table knows what to say
            await self._fail(scope, error)
        finally:
            self._finish()

    async def _fail(self, scope: Scope, error: Exception) -> None:
        if self._response.has_begun:
            _log.error("response broken off", path=scope["path"], exc_info=error)
            return
        self._response.restart()
        await send_error(scope, self._send, error)

    def _finish(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            self._news.set()
            self._line.finished(in_order=self._response.is_whole)

    def _scope(self) -> Scope:
        request, transport = self._request, self._line.transport
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
            ENDS_WITH_CLIENT: self._end_with_client,
        }

    async def _receive(self) -> Message:
        request = self._request
        if request.expects_continue and not request.is_complete:
            request.expects_continue = False
            if not self._response.has_begun:
                self._line.write(CONTINUE)
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
        self._line.read_on()
        return {"type": "http.request", "body": body, "more_body": not self._has_told_end}

    async def _send(self, message: Message) -> None:
        if self._is_finished:
            await let_others_run()
            return
        data = self._response.take(message)
        if data:
            self._line.write(data)
        if self._response.is_over:
            self._finish()
            return
        await let_others_run()
        if self._line.writable is not None:
            await self._line.writable.wait()


def _address(transport: BaseTransport, name: str) -> tuple[str, int] | None:
    place: tuple[Any, ...] | None = transport.get_extra_info(name)
    return place[:2] if place else None  # somebody may have gone at once
