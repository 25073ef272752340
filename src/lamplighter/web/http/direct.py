"""A turn without a task: a plain function answers, now or later."""

from collections.abc import Callable, Sequence

from lamplighter.errors import Malformed, NotJson, ShuttingDown
from lamplighter.web.application import response_to
from lamplighter.web.body import MAX_BODY
from lamplighter.web.http.exchange import Direct
from lamplighter.web.http.request import Headers, Request
from lamplighter.web.http.timeouts import Limit
from lamplighter.web.http.turn import Line

__all__ = ["DirectTurn"]


class DirectTurn:
    """The exchange that a direct endpoint is given, and the turn of its request."""

    __slots__ = (
        "_direct",
        "_has_left",
        "_line",
        "_request",
        "authorization",
        "body",
        "method",
        "query",
        "when_gone",
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
        self.when_gone = None
        if line is None:
            return
        connection = line.connection_header(self._request)
        heads = line.hub.heads
        if self.method == "HEAD":
            line.write(heads.json(status, body, headers, connection))
        else:
            line.write(heads.with_json(status, body, headers, connection))
        line.finished()

    def client_left(self) -> None:
        self._has_left = True
        leave, self.when_gone = self.when_gone, None
        if leave is not None:
            leave()

    def give_up(self) -> None:
        """Tell the endpoint that its client is gone; whatever it answers goes nowhere."""
        self._line = None
        self.client_left()

    def cut_off(self) -> None:
        leave, self.when_gone = self.when_gone, None
        self._fail(ShuttingDown())
        if leave is not None:  # whoever keeps the exchange must let go of it
            leave()

    def _fail(self, error: Exception) -> None:
        response = response_to(error, self.method, self.path)
        self.answer(response.status, response.body, response.headers)
