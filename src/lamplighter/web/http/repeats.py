"""Requests that repeat: a client that polls repeats everything but the request line, to the byte.

To parse the same header fields again would be half of the cost of a poll up to its waiting.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from lamplighter.web.http.request import Headers, Request, RequestTarget

__all__ = ["Fields", "fields_of"]

#: A request line that means the same to every parser.
_LINE: Final = re.compile(rb"GET (/[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*) HTTP/1\.1\r\n")
#: Clients that got the same answer send the same line. A query may hold a filter, as JSON that is
#: percent-encoded: fewer of such lines are remembered.
_LINES_KEPT: Final = 1_000
_USUAL_LINE: Final = 512
_LONG_LINES_KEPT: Final = 200
_LONGEST_LINE: Final = 4096

#: Fields of a request that has a body, or is treated differently.
_SPECIAL: Final = frozenset({b"content-length", b"expect", b"transfer-encoding", b"upgrade"})
_LONGEST_FIELDS: Final = 4096


class Fields(NamedTuple):
    """The header fields of a request that had no body."""

    #: Everything after the request line.
    data: bytes
    headers: Headers
    authorization: bytes | None

    def repeated(self, data: bytes) -> Request | None:
        """Return the request that *data* is, if *data* is a request line and these fields."""
        if not data.endswith(self.data):
            return None
        line = data[: -len(self.data)]
        target_in = _target_in_usual if len(line) <= _USUAL_LINE else _target_in
        target = target_in(line)
        if target is None:
            return None
        return Request("GET", target, self.headers, self.authorization, True, True)


def fields_of(data: bytes, request: Request) -> Fields | None:
    """Return the fields of *request*, which a parser has made of exactly *data*.

    Returns None where another request with the same fields might need a parser.
    """
    line_end = data.find(b"\n") + 1
    is_plain = (
        request.is_complete
        and request.keeps_alive
        and not request.is_http10
        and len(data) - line_end <= _LONGEST_FIELDS
        and data.find(b"\r\n\r\n") == len(data) - 4
        and _SPECIAL.isdisjoint(name for name, _ in request.headers)
        and _target_in(data[:line_end]) is not None
    )
    return Fields(data[line_end:], request.headers, request.authorization) if is_plain else None


def _target_in(line: bytes) -> RequestTarget | None:
    if len(line) <= _USUAL_LINE:
        return _target_in_usual(line)
    return _target_in_long(line) if len(line) <= _LONGEST_LINE else None


def _read_target(line: bytes) -> RequestTarget | None:
    found = _LINE.fullmatch(line)
    return None if found is None else RequestTarget.of(found[1].decode("ascii"))


_target_in_usual: Final = lru_cache(_LINES_KEPT)(_read_target)
_target_in_long: Final = lru_cache(_LONG_LINES_KEPT)(_read_target)
