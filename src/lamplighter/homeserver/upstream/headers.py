"""Which headers go on to the homeserver, and back to the client.

Hop-by-hop headers are about one connection, so they end here
(<https://www.rfc-editor.org/rfc/rfc9110.html#section-7.6.1>).

`X-Forwarded-*` tells the homeserver about the client. A client could write anything there, so the
headers of a client are replaced. The headers of a trusted proxy go on unchanged: this server adds
no address of its own to them, because Synapse takes the first address and other homeservers take
the last.
"""

from collections.abc import Callable
from typing import Final

from lamplighter.web.http.request import Headers

__all__ = ["end_to_end", "forwarded_headers"]

#: Headers about the client that homeservers believe.
_ABOUT_CLIENT: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"forwarded"}
)
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"http2-settings", b"keep-alive", b"te", b"trailer", b"transfer-encoding"}
    | {b"upgrade"}
)
#: `Connection` cannot name them: a client would take away what the proxy before us has written.
_NEVER_HOP_BY_HOP: Final = _ABOUT_CLIENT | {b"host", b"content-length"}
#: The usual values, which name no header.
_NAMES_NOTHING: Final = frozenset({b"close", b"keep-alive"})


def end_to_end(headers: Headers) -> Headers:
    """Return *headers*, whose names are in lower case, without those that end here."""
    dropped = _HOP_BY_HOP
    for name, value in headers:
        if name == b"connection" and (options := value.lower()) not in _NAMES_NOTHING:
            dropped |= {it.strip() for it in options.split(b",")} - _NEVER_HOP_BY_HOP
    return [it for it in headers if it[0] not in dropped and not it[0].startswith(b"proxy-")]


def forwarded_headers(
    headers: Headers, peer: str, scheme: str, trusts: Callable[[str], bool]
) -> Headers:
    """Return the headers for the homeserver of a request with *headers*.

    *peer* is the address that the request came from, *scheme* is http or https, and *trusts* tells
    whether an address is a trusted proxy's. The answer to `Expect: 100-continue` is given here.
    """
    passed = [it for it in end_to_end(headers) if it[0] != b"expect"]
    if not trusts(peer):
        passed = [it for it in passed if it[0] not in _ABOUT_CLIENT]
    host = next((value for name, value in passed if name == b"host"), b"")
    facts = (
        (b"x-forwarded-for", peer.encode()),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host),
    )
    there = {name for name, _ in passed}
    return passed + [fact for fact in facts if fact[1] and fact[0] not in there]
