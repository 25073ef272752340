"""The access token of a request, and the device that it belongs to.

Implements <https://spec.matrix.org/latest/client-server-api/#using-access-tokens>.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

from starlette.requests import Request

from lamplighter.clock import Timestamp
from lamplighter.errors import GuestForbidden, MissingToken
from lamplighter.ports import Identity, Requester, RequestHead
from lamplighter.web.body import read
from lamplighter.web.http.exchange import Exchange

__all__ = ["Authenticator", "access_token"]

T = TypeVar("T")

_SCHEME: Final = b"bearer"
_TWO: Final = "There is more than one access token"
#: The longest header that is cached: strangers send headers, too.
_USUAL_LENGTH: Final = 200


class Authenticator:
    """Finds the device that sends a request."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def requester(self, scope: Mapping[str, Any]) -> Requester:
        """Return the requester of a Starlette `Request`; raise `MissingToken` and `UnknownToken`.

        The token is valid at the moment of the return. A caller that does not await anything acts
        before it can hear of a log-out.
        """
        query: bytes = scope["query_string"]
        token = access_token(scope["headers"], query)
        client = scope["client"]
        head = RequestHead(scope["headers"], lambda: client[0] if client else "")
        return await self._identity.authenticate(token, query.decode("latin-1"), head)

    def requester_in_use(self, exchange: Exchange, now: Timestamp) -> Requester | None:
        """Return the requester of a direct request that came *now*.

        Returns None where that must be looked up. Raises `MissingToken`.
        """
        return self._identity.requester_in_use(_token_of(exchange), now, exchange.query)

    async def requester_of(self, exchange: Exchange, head: RequestHead) -> Requester:
        """Return the requester of a direct request; raise `MissingToken` and `UnknownToken`.

        *head* is what the exchange had when it began.
        """
        return await self._identity.authenticate(_token_of(exchange), exchange.query, head)

    def refuse_guest(self, requester: Requester) -> None:
        """Raise `GuestForbidden` for a guest.

        <https://spec.matrix.org/latest/client-server-api/#guest-access> lists what guests may use.
        """
        if self._identity.is_guest(requester.user_id):
            raise GuestForbidden("Guests may not use this")

    async def requester_and_body(
        self, request: Request, shape: type[T], *, may_be_empty: bool = False
    ) -> tuple[Requester, T]:
        """Return the requester, and the body as a *shape*; raise as `requester` and `read` do.

        The device may be logged out while its body is on the way. So the token is checked before
        the body is read, and again after.
        """
        await self.requester(request)
        body = await read(request, shape, may_be_empty=may_be_empty)
        return await self.requester(request), body

    async def requester_and_optional_body(
        self, request: Request, shape: type[T]
    ) -> tuple[Requester, T]:
        """Do as `requester_and_body`, but take an empty body for an empty object."""
        return await self.requester_and_body(request, shape, may_be_empty=True)


def _token_of(exchange: Exchange) -> str:
    value = exchange.authorization
    if value is None:
        return _from_query(exchange.query.encode("latin-1"))
    if "access_token=" in exchange.query:
        raise MissingToken(_TWO)
    return _from_usual_header(value) if len(value) <= _USUAL_LENGTH else _from_header(value)


def access_token(headers: Iterable[tuple[bytes, bytes]], query_string: bytes) -> str:
    """Return the token of an `Authorization: Bearer` header, else of `?access_token=`.

    Takes ASGI's headers (names in lower case) and raw query string. Raises `MissingToken` where
    there is none, or more than one: two servers might believe different ones. A header of another
    form does not fall back to the query.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        return _from_query(query_string)
    if len(values) > 1 or b"access_token=" in query_string:
        raise MissingToken(_TWO)
    return _from_header(values[0])


def _from_header(value: bytes) -> str:
    scheme, _, token = value.partition(b" ")
    token = token.strip()
    if scheme.lower() != _SCHEME or not token:
        raise MissingToken("The Authorization header is not of the form 'Bearer <access token>'")
    return token.decode("latin-1")


#: A client that polls sends the same header with each poll.
_from_usual_header = lru_cache(50_000)(_from_header)


def _from_query(query_string: bytes) -> str:
    if b"access_token=" not in query_string:
        raise MissingToken("No access token")
    tokens = parse_qs(query_string.decode("latin-1")).get("access_token", [])
    if len(tokens) != 1:
        raise MissingToken("The query does not hold exactly one access_token")
    return tokens[0]
