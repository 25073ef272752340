"""A turn without a task: a plain function answers, now or later."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import structlog
from starlette.types import Message

from lamplighter.errors import Malformed, NotJson, ShuttingDown
from lamplighter.web.application import JSON_HEADERS, response_to
from lamplighter.web.body import MAX_BODY
from lamplighter.web.http.exchange import Direct
from lamplighter.web.http.request import Headers, Request
from lamplighter.web.http.responses import CONTINUE
from lamplighter.web.http.streaming import Streaming, let_others_run
from lamplighter.web.http.timeouts import Limit
from lamplighter.web.http.turn import Line

__all__ = ["DirectTurn"]

_log = structlog.get_logger(__name__)


class DirectTurn:
    """The exchange that a direct endpoint is given, and the turn of its request."""

    __slots__ = (
        "_direct",
        "_has_left",
        "_line",
        "_request",
        "_sending",
        "authorization",
        "body",
        "method",
        "query",
        "when_gone",
        "when_lost",
    )

    def __init__(self, line: Line, request: Request, direct: Direct) -> None:
        #: None once there is nothing to answer, or nobody.
        self._line: Line | None = line
        self._request = request
        #: None once it was called.
        self._direct: Direct | None = direct
        self._has_left = False
        self.method = request.method
        self.query = request.target.query
        self.authorization = request.authorization
        self.body = b""
        self.when_gone: Callable[[], None] | None = None
        self.when_lost: Callable[[], None] | None = None
        #: What sends an answer in pieces.
        self._sending: asyncio.Task[None] | None = None

    @property
    def path(self) -> str:
        return self._request.target.path

    @property
    def headers(self) -> Headers:
        return self._request.headers

    @property
    def limit(self) -> Limit | None:
        if self._direct is not None:
            return Limit.RECEIVING
        # Who has closed one half of the connection is mostly gone, and will not be told.
        return Limit.CLOSING if self._has_left else None

    def receive(self) -> None:
        request, direct = self._request, self._direct
        if request.body is not None:
            body = request.take_body()
            if direct is not None and self.method == "PUT":
                self.body += body
        if direct is None:
            return
        if not (request.is_complete or request.is_broken or len(self.body) > MAX_BODY):
            return
        self._direct = None
        try:
            if request.is_broken:
                problem = NotJson if self.method == "PUT" else Malformed
                raise problem("The request ended before its body did")
            direct(self)
        except Exception as error:  # noqa: BLE001 - the one table knows what to say
            self._fail(error)
        request.headers = []

    def answer(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        line, self._line = self._line, None
        self.when_gone = self.when_lost = None
        if line is None:
            return
        connection = line.connection_header(self._request)
        heads = line.hub.heads
        if self.method == "HEAD":
            line.write(heads.json(status, body, headers, connection))
        else:
            line.write(heads.with_json(status, body, headers, connection))
        line.finished()

    def answer_in_pieces(self, pieces: Iterator[bytes], ended: Callable[[], None]) -> None:
        line, self._line = self._line, None
        self.when_gone = self.when_lost = None
        if line is None:
            ended()
            return
        self._sending = asyncio.get_running_loop().create_task(self._send(line, pieces))
        self._sending.add_done_callback(lambda _: ended())

    async def _send(self, line: Line, pieces: Iterator[bytes]) -> None:
        response = Streaming(line, self._request)
        try:
            response.take({"type": "http.response.start", "status": 200, "headers": JSON_HEADERS})
            for piece in pieces:
                line.write(response.take(_part(piece, more=True)))
                await let_others_run()
                if line.writable is not None:
                    await line.writable.wait()
            line.write(response.take(_part(b"", more=False)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is broken off
            _log.error("response broken off", path=self.path, exc_info=error)
        line.finished(in_order=response.is_whole)

    def client_left(self) -> None:
        self._has_left = True
        leave, self.when_gone = self.when_gone, None
        if leave is not None:
            leave()
        asyncio.get_running_loop().call_soon(self._look_for_client)

    def _look_for_client(self) -> None:
        """Find out whether somebody waits for an answer that is not at hand (see `asgi.py`)."""
        if self._line is not None and self._direct is None and not self._request.is_http10:
            self._line.write(CONTINUE)

    def give_up(self) -> None:
        """Tell the endpoint that its client is gone; whatever it answers goes nowhere."""
        self._line = None
        if self._sending is not None:
            self._sending.cancel()
        self.client_left()
        lose, self.when_lost = self.when_lost, None
        if lose is not None:
            lose()

    def cut_off(self) -> None:
        leave, self.when_gone = self.when_gone, None
        self._fail(ShuttingDown())
        if leave is not None:  # whoever keeps the exchange must let go of it
            leave()

    def _fail(self, error: Exception) -> None:
        response = response_to(error, self.method, self.path)
        self.answer(response.status, response.body, response.headers)


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
