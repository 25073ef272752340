"""A request-response cycle without a task: a plain function answers, now or later.

The function is called with the exchange, and may keep it and answer from anywhere. So no task
waits while nothing happens, and a hundred thousand clients may wait for news.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import structlog
from starlette.types import Message

from lamplighter.errors import Malformed, NotJson, ShuttingDown
from lamplighter.web.http.request import Headers, Request
from lamplighter.web.http.responses import CONTINUE
from lamplighter.web.http.streaming import Streaming, let_others_run
from lamplighter.web.http.timeouts import TimeLimit

if TYPE_CHECKING:
    from lamplighter.web.http.connection import Connection

__all__ = ["Direct", "Exchange", "FindDirect", "Waiter"]

_log = structlog.get_logger(__name__)

#: In the place of headers that are not needed any more: one list for all.
_DROPPED: Final[Headers] = []


class Waiter(Protocol):
    """The work for an exchange that is answered later."""

    def end(self) -> None:
        """Learn that the client may be gone: it has closed its half of the connection.

        The client may still take an answer. Also called after the answer when the server stops.
        """

    def give_up(self) -> None:
        """Learn that the client takes no answer any more."""


class Exchange:
    """One request that a direct endpoint answers, and its answer.

    `query` is as it was sent, percent-encoded and without the `?`. `headers`, with names in lower
    case, are there only until the endpoint returns: hundreds of thousands of requests may wait.
    """

    __slots__ = (
        "_connection",
        "_direct",
        "_has_left",
        "_request",
        "_sending",
        "_server",
        "authorization",
        "body",
        "method",
        "query",
        "waiter",
    )

    def __init__(self, connection: "Connection", request: Request, direct: "Direct") -> None:
        self._server = connection.server
        #: None once the request is answered, or its client gone.
        self._connection: Connection | None = connection
        self._request = request
        #: The endpoint; None once it was called.
        self._direct: Direct | None = direct
        self._has_left = False
        self.method = request.method
        self.query = request.target.query
        #: The value of the header of that name.
        self.authorization = request.authorization
        #: The body of a PUT; where it exceeds `HttpSettings.most_body`, a part that exceeds it too.
        self.body = b""
        #: Set by an endpoint that answers later, to learn that the client goes before the answer.
        self.waiter: Waiter | None = None
        #: The task that sends an answer in pieces.
        self._sending: asyncio.Task[None] | None = None

    # For the endpoint.

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return self._request.target.path

    @property
    def headers(self) -> Headers:
        """The headers of the request."""
        return self._request.headers

    def is_over(self) -> bool:
        """Tell whether the request is answered, or its client gone."""
        return self._connection is None

    def peer(self) -> str:
        """Return the IP address at the other end of the connection; "" if that has ended."""
        if self._connection is None:
            return ""
        address = self._connection.transport.get_extra_info("peername")
        return str(address[0]) if address else ""

    def answer(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Send *body*, which is JSON. A second answer, or one without a client, is dropped."""
        connection, self._connection = self._connection, None
        self.waiter = None
        if connection is not None:
            connection.respond(self._request, status, body, headers)
            connection.ended(self._request)

    def answer_in_pieces(
        self, pieces: Iterator[bytes], ended: Callable[[], None] | None = None
    ) -> None:
        """Send a 200 whose JSON is made of *pieces*, each once the client has read the one before.

        *ended* is called when all are sent, or the client is gone.
        """
        connection, self._connection = self._connection, None
        self.waiter = None
        if connection is not None:
            self._sending = asyncio.get_running_loop().create_task(self._send(connection, pieces))
            if ended is not None:
                self._sending.add_done_callback(lambda _: ended())
        elif ended is not None:
            ended()

    def refuse(self, error: Exception) -> None:
        """Answer that the request failed with *error*; a defect of the server is logged."""
        response = self._server.settings.error_response(error, self.method, self.path)
        self.answer(response.status, response.body, response.headers)

    # For the connection.

    @property
    def time_limit(self) -> TimeLimit | None:
        """What the client keeps the server waiting for; None while the client waits."""
        if self._direct is not None:
            return TimeLimit.RECEIVING
        # A client that has closed one half of the connection is mostly gone, without a notice.
        return TimeLimit.CLOSING if self._has_left else None

    def receive(self) -> None:
        """Take what has come of the body, and call the endpoint once all of it is there."""
        request, direct = self._request, self._direct
        if request.body is not None:
            body = request.take_body()
            if direct is not None and self.method == "PUT":
                self.body += body
        if direct is None:
            return
        is_ready = request.is_complete or request.is_broken
        if not is_ready and len(self.body) <= self._server.settings.most_body:
            return
        self._direct = None
        try:
            if request.is_broken:
                problem = NotJson if self.method == "PUT" else Malformed
                raise problem("The request ended before its body did")
            direct(self)
        except Exception as error:  # noqa: BLE001 - the client is told, and a defect is logged
            self.refuse(error)
        request.headers = _DROPPED

    def client_left(self) -> None:
        """The client has closed its half of the connection, or both."""
        if self.waiter is not None and not self._has_left:
            self.waiter.end()
        self._has_left = True
        asyncio.get_running_loop().call_soon(self._look_for_client)

    def _look_for_client(self) -> None:
        """Find out whether the client still waits for an answer that is not at hand.

        `AsgiCycle` says why an interim response tells that.
        """
        connection = self._connection
        if connection is not None and self._direct is None and not self._request.is_http10:
            connection.write(CONTINUE)

    def give_up(self) -> None:
        """The connection is lost: tell the endpoint, whose answer goes nowhere from now on."""
        self._connection = None
        if self._sending is not None:
            self._sending.cancel()
        self.client_left()
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.give_up()

    def cut_off(self) -> None:
        """Answer at once that the server shuts down, and have the endpoint forget the exchange."""
        waiter = self.waiter
        self.refuse(ShuttingDown())
        if waiter is not None:
            waiter.end()

    async def _send(self, connection: "Connection", pieces: Iterator[bytes]) -> None:
        response = Streaming(connection, self._request)
        headers = self._server.settings.json_headers
        try:
            response.take({"type": "http.response.start", "status": 200, "headers": headers})
            for piece in pieces:
                connection.write_parts(response.take(_part(piece, more=True)))
                await let_others_run()
                if connection.writable is not None:
                    await connection.writable.wait()
            connection.write_parts(response.take(_part(b"", more=False)))
        except Exception as error:  # noqa: BLE001 - the answer is broken off, and the error logged
            _log.error("response broken off", path=self.path, exc_info=error)
        connection.ended(self._request, is_whole=response.is_whole)


#: A direct endpoint: called with each request once all of it has come. It does not raise.
Direct: TypeAlias = Callable[[Exchange], None]
#: Returns the direct endpoint of a request, or None if the ASGI application answers it.
FindDirect: TypeAlias = Callable[[Request], Direct | None]


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
