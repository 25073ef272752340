"""From bytes to requests. There is no I/O and no time in this module.

Implements <https://www.rfc-editor.org/rfc/rfc9112.html> as far as a server reads. httptools parses,
which is the parser of Node.

An offer to upgrade the connection is not taken: the request is answered as if it had none. But an
offer with a body is refused, since the parser takes what follows such a head for another protocol.
"""

from functools import lru_cache
from typing import Final

import httptools

from lamplighter.errors import HeadTooLarge, Malformed, RequestError, TargetTooLong
from lamplighter.web.http.repeats import Fields, fields_of
from lamplighter.web.http.request import Headers, Request, RequestTarget

__all__ = ["MOST_FIELDS", "MOST_HEAD", "MOST_TARGET", "Reader"]

#: How long the head of a request may be, in bytes. As many bytes may come in which the parser finds
#: the end of nothing.
MOST_HEAD: Final = 64 * 1024
#: How long the path with the query may be, in bytes: filters are sent in it.
MOST_TARGET: Final = 16 * 1024
#: How many header fields a request may have.
MOST_FIELDS: Final = 128

_VERSIONS: Final = ("1.1", "1.0")

#: Most clients send the same header fields, but for `Authorization`. Connections keep their fields
#: (`repeats.py`), so equal ones are one object: otherwise they would be a third of a waiting poll.
_FIELDS_SHARED: Final = 4_000
_USUAL_FIELD: Final = 256


class Reader:
    """Reads what one client sends.

    `requests` are those whose head has come, in their order; the caller removes those that it takes
    up. Bytes that are not HTTP become a last request with a `problem`; in the middle of a body they
    break that request instead (`is_broken`).
    """

    __slots__ = (
        "_authorization",
        "_expects_continue",
        "_headers",
        "_parser",
        "_problem",
        "_receiving",
        "_silent",
        "_size",
        "_target",
        "fields",
        "is_in_head",
        "is_over",
        "requests",
    )

    def __init__(self) -> None:
        self.requests: list[Request] = []
        #: Whether a head has begun and not ended.
        self.is_in_head = False
        #: Whether the reader ignores everything that still comes.
        self.is_over = False
        #: None while there is nothing to parse: a parser takes a kilobyte, and most clients wait.
        self._parser: httptools.HttpRequestParser | None = None
        #: The request whose body is being read.
        self._receiving: Request | None = None
        #: The header fields of the last request, if it came whole and alone, and another one with
        #: these fields needs no parser. None once something else has come.
        self.fields: Fields | None = None
        self._problem: RequestError | None = None
        #: How many bytes the parser has taken since its last callback: it may be keeping them.
        self._silent = 0
        self._size = 0
        self._forget_head()

    @property
    def unread(self) -> int:
        """How many bytes of the body that is being read were not taken yet."""
        return self._receiving.unread if self._receiving is not None else 0

    def feed(self, data: bytes) -> None:
        """Read *data*, which may be any bytes."""
        if self.is_over:
            return
        is_between = not (self.requests or self.is_in_head or self._receiving or self._silent)
        request = None if self.fields is None else self.fields.repeated(data)
        if request is not None:
            self.requests.append(request)
            return
        self._read(data)
        is_alone = is_between and len(self.requests) == 1
        self.fields = fields_of(data, self.requests[0]) if is_alone else None
        if self.fields is not None:
            # Until a request has other fields, none needs the parser. This one shares its target.
            self.requests[0] = self.fields.repeated(data) or self.requests[0]
            self._parser = None

    def _read(self, data: bytes) -> None:
        """Read *data* with the parser."""
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
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
        self.fields = None
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
                if self._parser is not None:  # this one would parse nothing more
                    self._parser = httptools.HttpRequestParser(self)

    def _give_up(self, problem: RequestError) -> None:
        is_between_bodies = self._receiving is None
        self.end()
        if is_between_bodies:
            self.requests.append(Request.of_nonsense(problem))

    def _forget_head(self) -> None:
        """Keep nothing of a request: most wait for minutes, and there are many."""
        self._target = b""
        self._headers: Headers = []
        self._authorization: bytes | None = None
        self._expects_continue = False

    def _fail(self, problem: RequestError) -> None:
        """Stop the parser, from a callback."""
        self._problem = problem
        raise problem

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        self._silent = 0
        self.is_in_head = True
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._silent = 0
        self._target += url
        if len(self._target) > MOST_TARGET:
            self._fail(TargetTooLong(f"The URL is longer than {MOST_TARGET} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._silent = 0
        size = len(name) + len(value)
        self._size += size
        if self._size > MOST_HEAD or len(self._headers) == MOST_FIELDS:
            self._fail(HeadTooLarge("The head of the request is too long"))
        if not self.is_in_head:
            return  # a trailer: none is used
        field = _usual_field(name, value) if size <= _USUAL_FIELD else _field(name, value)
        self._headers.append(field)
        name, value = field
        if name == b"authorization":
            # Of two, each server might believe another one.
            self._authorization = value if self._authorization is None else b""
        elif name == b"transfer-encoding":
            assert self._parser is not None  # it is calling
            # Only of a chunked body two readers see the same end (RFC 9112, section 6.3).
            if value.lower() != b"chunked" or self._parser.get_http_version() == "1.0":
                self._fail(Malformed("The body has a transfer coding other than chunked"))
        elif name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        assert self._parser is not None  # it is calling
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            self._fail(Malformed("The request is of another version of HTTP than 1.1 and 1.0"))
        if self._parser.should_upgrade() and any(map(_is_framing, self._headers)):
            self._fail(Malformed("A request that offers to upgrade the connection has a body"))
        self.is_in_head = False
        self._silent = 0
        method = self._parser.get_method().decode("ascii")
        request = Request(
            method,
            RequestTarget.of(self._target.decode("latin-1")),
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
        self._silent = 0
        if self._receiving is not None:
            self._receiving.is_complete = True
            self.is_over = not self._receiving.keeps_alive
            self._receiving = None
        if self.is_over:
            self._parser = None


def _field(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name.lower(), value.rstrip(b" \t")


_usual_field: Final = lru_cache(_FIELDS_SHARED)(_field)


def _is_framing(field: tuple[bytes, bytes]) -> bool:
    """Tell whether the header *field* announces a body; one that says that there is none is not."""
    name, value = field
    return name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
