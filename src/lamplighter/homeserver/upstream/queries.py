"""Queries on their way to the homeserver: all that is not ours stays as the client sent it.

Clients send since tokens not only to `/sync`. To load the members of a room as of their last sync,
Element asks `GET /rooms/{id}/members?at=<token>`; `/keys/changes` takes two tokens, and `/messages`
may begin at one. The homeserver knows its own part of such a token only.
"""

import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_plus

from lamplighter.delivery.tokens import OUR_PART

__all__ = [
    "ACTING",
    "acts_for",
    "query_of",
    "query_with",
    "query_without",
    "with_their_tokens",
]

#: The parameters that name the user for whom an application service acts, and the device.
ACTING: Final = frozenset({"user_id", "device_id", "org.matrix.msc3202.device_id"})
#: A since token with our part, which `UpstreamTokens.write` adds.
_WITH_OURS: Final = re.compile(
    rb"((?:^|&)(?:at|from|since|to)=[^&]+?)(?:~|%%7[Ee])%b(?=&|$)" % OUR_PART.encode()
)
#: Only clients have our tokens.
_CLIENT: Final = b"/_matrix/client/"
_ENCODED_NAME: Final = re.compile(r"(?:^|&)[^=&]*%")
#: Many devices have the same token, and the same time-out.
_quoted: Final = lru_cache(1_000)(partial(quote, safe=""))


@lru_cache(1_000)
def query_without(query: str, names: frozenset[str]) -> str:
    """Return *query* without the parameters *names*."""
    pairs = query.split("&")
    return "&".join(it for it in pairs if unquote_plus(it.partition("=")[0]) not in names)


def query_of(query: str, names: frozenset[str]) -> str:
    """Return of *query* the parameters *names* alone."""
    pairs = query.split("&")
    return "&".join(it for it in pairs if unquote_plus(it.partition("=")[0]) in names)


def query_with(query: str, parameters: Mapping[str, object]) -> str:
    """Return *query* with *parameters* at its end."""
    ours = "&".join(f"{name}={_quoted(str(it))}" for name, it in parameters.items())
    return f"{query}&{ours}" if query and ours else query + ours


def with_their_tokens(path: bytes, query: bytes) -> bytes:
    """Return the query of a request that is passed on, with the homeserver's own since tokens."""
    may_have_ours = b"-" in query and path.startswith(_CLIENT)
    return _WITH_OURS.sub(rb"\1", query) if may_have_ours else query


@lru_cache(1_000)
def acts_for(query: str) -> str | None:
    """Return the part of a query that names the user for whom an application service acts.

    It is part of who sends a request, as the access token is; "" for everybody else. It is None
    where servers read *query* differently: for some, a semicolon ends a parameter. With
    `x=1;access_token=a&access_token=b` the sender would be another one for Synapse than here.
    """
    if ";" in query:
        return None
    if "user_id=" not in query and _ENCODED_NAME.search(query) is None:
        return ""
    named = [
        f"{name}={quote(value, safe='')}"
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name in ACTING
    ]
    return "&".join(named)
