"""Which headers go on to the homeserver, and back to the client.

Hop-by-hop headers are about one connection, so they end here
(<https://www.rfc-editor.org/rfc/rfc9110.html#section-7.6.1>).

`X-Forwarded-*` tells the homeserver about the client. A client could write anything there, so the
headers of a client are replaced. The headers of a trusted proxy go on unchanged: this server adds
no address of its own to them, because Synapse takes the first address and other homeservers take
the last.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from lamplighter.ports import RequestHead
from lamplighter.web.http.request import Headers

__all__ = ["ABOUT_CLIENT", "ForwardedHeaders", "end_to_end", "forwarded_headers"]

#: Returns the headers of a client's request as they are passed on.
ForwardedHeaders: TypeAlias = Callable[[RequestHead], Headers]

#: Headers about the client's address that homeservers believe.
_ADDRESSES: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"forwarded"}
)
#: The client's address, and its program.
ABOUT_CLIENT: Final = _ADDRESSES | {b"user-agent"}
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"http2-settings", b"keep-alive", b"te", b"trailer", b"transfer-encoding"}
    | {b"upgrade"}
)
#: Fields for proxies begin with this.
_PROXY: Final = b"proxy-"
#: What ends here of a request: `Expect: 100-continue` is answered by this server.
_OF_TRUSTED: Final = _HOP_BY_HOP | {b"expect"}
_OF_CLIENT: Final = _OF_TRUSTED | _ADDRESSES
#: `Connection` cannot name them: a client would take away what the proxy before us has written, or
#: be one user to us and, by a token in the query, another one to the homeserver.
_NEVER_HOP_BY_HOP: Final = _ADDRESSES | {b"authorization", b"host", b"content-length"}
#: The usual values, which name no header.
_NAMES_NOTHING: Final = frozenset({b"close", b"keep-alive"})


def end_to_end(headers: Headers, dropped: frozenset[bytes] = _HOP_BY_HOP) -> Headers:
    """Return *headers*, whose names are in lower case, without those that end here.

    *dropped* are the names of those that always end here.
    """
    names = dict(headers)
    if names.keys().isdisjoint(dropped) and _PROXY not in b" ".join(names):
        return list(headers)  # as nearly all answers
    for name, value in headers:
        if name == b"connection" and (options := value.lower()) not in _NAMES_NOTHING:
            dropped |= {it.strip() for it in options.split(b",")} - _NEVER_HOP_BY_HOP
    return [it for it in headers if it[0] not in dropped and it[0][:6] != _PROXY]


def forwarded_headers(
    headers: Headers, peer: str, scheme: str, trusts: Callable[[str], bool]
) -> Headers:
    """Return the headers for the homeserver of a request with *headers*.

    *peer* is the address that the request came from, *scheme* is http or https, and *trusts* tells
    whether an address is a trusted proxy's.
    """
    passed = end_to_end(headers, _OF_TRUSTED if trusts(peer) else _OF_CLIENT)
    there = dict(passed)
    host = there.get(b"host", b"")
    if peer and b"x-forwarded-for" not in there:
        passed.append((b"x-forwarded-for", peer.encode()))
    if b"x-forwarded-proto" not in there:
        passed.append((b"x-forwarded-proto", scheme.encode()))
    if host and b"x-forwarded-host" not in there:
        passed.append((b"x-forwarded-host", host))
    return passed
