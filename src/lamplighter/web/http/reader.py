"""From bytes to requests. No I/O and no time is in here.

Implements <https://www.rfc-editor.org/rfc/rfc9112.html> as far as a server reads; the grammar is
httptools' work, which is Node's parser.
"""

from typing import Final

import httptools

from lamplighter.errors import HeadTooLarge, Malformed, RequestError, TargetTooLong
from lamplighter.web.http.repeats import Fields, fields_of, repeated
from lamplighter.web.http.request import Headers, Request, Target

__all__ = ["MOST_FIELDS", "MOST_HEAD", "MOST_TARGET", "Reader"]

#: How long the head of a request may be, in bytes; so much again may come without an end of
#: anything in sight before it is refused.
MOST_HEAD: Final = 64 * 1024
#: How long the path with the query may be, in bytes: filters are sent in it.
MOST_TARGET: Final = 16 * 1024
#: How many header fields a request may have.
MOST_FIELDS: Final = 128

_VERSIONS: Final = ("1.1", "1.0")
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class Reader:
    """Reads what one client sends.

    `requests` are those whose head is there, in their order; who takes one up removes it. Bytes
    that are no HTTP become a last request which has a `problem`, unless they come in the middle
    of a body: then that request `is_broken`.
    """

    __slots__ = (
        "_authorization",
        "_expects_continue",
        "_fields",
        "_headers",
        "_is_replaying",
        "_parser",
        "_problem",
        "_receiving",
        "_silent",
        "_size",
        "_target",
        "is_in_head",
        "is_over",
        "requests",
    )

    def __init__(self) -> None:
        self.requests: list[Request] = []
        #: Whether a head has begun and not ended.
        self.is_in_head = False
        #: Whether nothing that still comes will be read.
        self.is_over = False
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        #: The request whose body is being read.
        self._receiving: Request | None = None
        #: Those of the last request, if another like it needs no parser.
        self._fields: Fields | None = None
        self._problem: RequestError | None = None
        #: How many bytes the parser has taken without telling anything: it may be keeping them.
        self._silent = 0
        self._is_replaying = False
        self._size = 0
        self._forget_head()

    @property
    def unread(self) -> int:
        """How many bytes of the body that is being read nobody has taken yet."""
        return self._receiving.unread if self._receiving is not None else 0

    def feed(self, data: bytes) -> None:
        """Read *data*, whatever it is."""
        if self.is_over:
            return
        if self.requests or self.is_in_head or self._receiving is not None or self._silent:
            self._read(data)
            return
        request = None if self._fields is None else repeated(data, self._fields)
        if request is not None:
            self.requests.append(request)
            return
        self._read(data)
        self._fields = fields_of(data, self.requests[0]) if len(self.requests) == 1 else None

    def _read(self, data: bytes) -> None:
        """Read *data* by the parser."""
        self._silent += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            if not self.is_over:  # it complains of what comes after `Connection: close`
                self._give_up(self._problem or Malformed("The request is not HTTP"))
        else:
            if self._silent > MOST_HEAD:
                self._give_up(HeadTooLarge("The head of the request is too long"))

    def end(self) -> None:
        """Learn that the client sends nothing more."""
        self.is_over = True
        self.is_in_head = False
        self._parser = None  # it refers to this object, which refers to it
        if self._receiving is not None:
            self._receiving.is_broken = True
            self._receiving.keeps_alive = False
            self._receiving = None

    def _parse(self, data: bytes) -> None:
        while data and self._parser is not None:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                [end_of_head] = upgrade.args
                data = data[end_of_head:]
                self._decline_upgrade()

    def _decline_upgrade(self) -> None:
        """Go on as if no upgrade had been asked for.

        httptools takes what follows the head, a body for instance, for something that is not
        HTTP. So a new parser is told of the same body, and reads on from there.
        """
        headers = self._receiving.headers if self._receiving is not None else []
        framing = [b"%b: %b\r\n" % field for field in headers if field[0] in _FRAMING]
        self._parser = httptools.HttpRequestParser(self)
        self._is_replaying = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))

    def _give_up(self, problem: RequestError) -> None:
        is_between_bodies = self._receiving is None
        self.end()
        if is_between_bodies:
            self.requests.append(Request.of_nonsense(problem))

    def _forget_head(self) -> None:
        """Keep nothing that a request has: most wait for minutes, and are many."""
        self._target = b""
        self._headers: Headers = []
        self._authorization: bytes | None = None
        self._expects_continue = False

    def _fail(self, problem: RequestError) -> None:
        """Stop the parser from within."""
        self._problem = problem
        raise problem

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        self._silent = 0
        if not self._is_replaying:
            self.is_in_head = True
            self._size = 0

    def on_url(self, url: bytes) -> None:
        if self._is_replaying:
            return
        self._silent = 0
        self._target += url
        if len(self._target) > MOST_TARGET:
            self._fail(TargetTooLong(f"The URL is longer than {MOST_TARGET} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_replaying:
            return
        self._silent = 0
        self._size += len(name) + len(value)
        if self._size > MOST_HEAD or len(self._headers) == MOST_FIELDS:
            self._fail(HeadTooLarge("The head of the request is too long"))
        if not self.is_in_head:
            return  # a trailer: nobody wants them
        name, value = name.lower(), value.rstrip(b" \t")
        self._headers.append((name, value))
        if name == b"authorization" and self._authorization is None:
            self._authorization = value
        elif name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        if self._is_replaying:
            return
        assert self._parser is not None  # it is calling
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            self._fail(Malformed("The request is of another version of HTTP than 1.1 and 1.0"))
        self.is_in_head = False
        self._silent = 0
        method = self._parser.get_method().decode("ascii")
        request = Request(
            method,
            Target.of(self._target.decode("latin-1")),
            self._headers,
            self._authorization,
            keeps_alive=self._parser.should_keep_alive() and method != "CONNECT",
            expects_continue=self._expects_continue and version != "1.0",
            is_http10=version == "1.0",
        )
        self._receiving = request
        self._forget_head()
        self.requests.append(request)

    def on_body(self, body: bytes) -> None:
        self._silent = 0
        request = self._receiving
        assert request is not None  # bodies come after heads
        if request.body is None:
            request.body = bytearray(body)
        else:
            request.body += body

    def on_message_complete(self) -> None:
        assert self._parser is not None  # it is calling
        if self._parser.should_upgrade():
            return  # the body, if there is any, is still to come
        self._is_replaying = False
        self._silent = 0
        if self._receiving is not None:
            self._receiving.is_complete = True
            self.is_over = not self._receiving.keeps_alive
            self._receiving = None
        if self.is_over:
            self._parser = None
