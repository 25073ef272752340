"""Who is asking: the access token of a request, and whose it is.

Implements <https://spec.matrix.org/latest/client-server-api/#using-access-tokens>.
Nothing here needs Starlette: the long poll of `/sync` works on bare ASGI.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from lamplighter.errors import MissingToken
from lamplighter.ports import Accounts, Requester

__all__ = ["Authenticator", "access_token"]

_SCHEME: Final = b"bearer "


class Authenticator:
    """Tells whose request it is, by the accounts in *accounts*."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def requester(self, scope: Mapping[str, Any]) -> Requester:
        """Return who sends the request: an ASGI scope, or a Starlette `Request`, which is one too.

        Raises `MissingToken` and `UnknownToken`.
        """
        token = access_token(scope["headers"], scope["query_string"])
        return await self._accounts.authenticate(token)


def access_token(headers: Iterable[tuple[bytes, bytes]], query_string: bytes) -> str:
    """Return the token of an `Authorization: Bearer` header, else of `?access_token=`.

    Takes ASGI's headers (names in lower case) and raw query string. Raises `MissingToken` where
    there is none; a header of another form does not fall back to the query.
    """
    for name, value in headers:
        if name == b"authorization":
            return _from_header(value)
    return _from_query(query_string)


def _from_header(value: bytes) -> str:
    token = value[len(_SCHEME) :].strip()
    if value[: len(_SCHEME)].lower() != _SCHEME or not token:
        raise MissingToken("The Authorization header is not of the form 'Bearer <access token>'")
    return token.decode("latin-1")


def _from_query(query_string: bytes) -> str:
    if b"access_token=" not in query_string:
        raise MissingToken("No access token")
    tokens = parse_qs(query_string.decode("latin-1")).get("access_token", [])
    if len(tokens) != 1:
        raise MissingToken("The query does not hold exactly one access_token")
    return tokens[0]
