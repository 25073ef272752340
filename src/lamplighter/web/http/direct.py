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

    __slots__ = ("_direct", "_has_left", "_line", "_request", "body", "when_gone")

    def __init__(self, line: Line, request: Request, direct: Direct) -> None:
        #: None once there is nothing to answer, or nobody.
        self._line: Line | None = line
        self._request = request
        #: None once it was called.
        self._direct: Direct | None = direct
        self._has_left = False
        self.body = b""
        self.when_gone: Callable[[], None] | None = None

    @property
    def method(self) -> str:
        return self._request.method

    @property
    def path(self) -> str:
        return self._request.target.path

    @property
    def query(self) -> str:
        return self._request.target.query

    @property
    def headers(self) -> Headers:
        return self._request.headers

    @property
    def authorization(self) -> bytes | None:
        return self._request.authorization

    @property
    def limit(self) -> Limit | None:
        if self._direct is not None:
            return Limit.RECEIVING
        # Who has closed one half of the connection is mostly gone, and will not be told.
        return Limit.CLOSING if self._has_left else None

    @property
    def _wants_body(self) -> bool:
        return self._request.method == "PUT"

    def receive(self) -> None:
        request = self._request
        body = request.take_body()
        if self._direct is None:
            return
        if self._wants_body:
            self.body += body
        if not (request.is_complete or request.is_broken or len(self.body) > MAX_BODY):
            return
        direct, self._direct = self._direct, None
        try:
            if request.is_broken:
                problem = NotJson if self._wants_body else Malformed
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
        head = line.hub.heads.json(status, body, headers, connection)
        line.write(head if self._request.method == "HEAD" else head + body)
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
