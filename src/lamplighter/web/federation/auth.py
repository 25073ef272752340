"""Verify the signatures of other servers' requests.

The order of the steps keeps the work small that a stranger can cause: the header is parsed, the
operator's lists are checked, and a key is found, before the body is read.

**Price.** Parsing a body and verifying its signature takes time for each byte and, far more, for
each JSON value: 4 MiB of `[[],[],…]` take a second, 4 MiB of text a few milliseconds. So the price
of a request counts the bytes and the values of its body.

**Budgets.** A price is paid twice. The network that sent the request pays before the body is
parsed, because the signature is not verified yet and anybody can claim any origin. The domain of
the origin pays once the signature is verified, because one domain may send from many networks.
Each has 8 MiB to spend, and gets back 256 KiB a second.

Example: a transaction of 5,000 presence entries has 700 KB and 40,000 values. It costs
700 KB + 40,000 x 20 bytes = 1.5 MB, so a domain may send five at once, and one every six seconds
from then on.

Implements <https://spec.matrix.org/latest/server-server-api/#request-authentication>.
"""

from typing import Final

from signedjson.types import VerifyKey
from starlette.requests import Request

from lamplighter.clock import Clock
from lamplighter.domains import registrable_domain
from lamplighter.errors import (
    FederationError,
    Forbidden,
    KeysUnavailable,
    TooLarge,
    Unauthorized,
)
from lamplighter.federation.keyring import Keyring
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.signing import (
    XMatrix,
    parse_authorization,
    request_object,
    verify_request,
)
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from lamplighter.web.address import ClientAddress
from lamplighter.web.body import decode, read_bytes
from lamplighter.web.limits import RateLimiter

__all__ = ["XMatrixAuth"]

#: Enough for 50 events of the largest size and 100 EDUs.
MAX_BODY: Final = 5 * 1024 * 1024
#: The greatest number of JSON values in a body.
MAX_VALUES: Final = 150_000
#: The prices of a request without a body and of a JSON value, in bytes.
_REQUEST: Final = 1024
_VALUE: Final = 20
#: How much may be spent at once (one body of the largest size), and how much comes back a second.
_BURST: Final = 8 * 1024 * 1024
_PER_SECOND: Final = 256 * 1024


class XMatrixAuth:
    """Verifies signatures with the keys that servers publish."""

    def __init__(
        self,
        server_name: ServerName,
        keyring: Keyring,
        policy: ServerPolicy,
        network: ClientAddress,
        clock: Clock,
    ) -> None:
        """*network* returns the network that sent a request."""
        self._server_name = server_name
        self._keyring = keyring
        self._policy = policy
        self._network = network
        self._clock = clock
        self._of_networks = RateLimiter(_PER_SECOND, _BURST, clock)
        self._of_domains = RateLimiter(_PER_SECOND, _BURST, clock)

    async def origin(self, request: Request) -> ServerName:
        """Return the server that sent a request without a body.

        Raises `Unauthorized`, `Forbidden`, `LimitExceeded`, and `KeysUnavailable` if the origin
        cannot be asked for its keys.
        """
        claim, key = await self._claim(request)
        price = self._pay_unverified(request, b"")
        self._verify(request, claim, key, None, price)
        return claim.origin

    async def origin_and_content(self, request: Request) -> tuple[ServerName, Json]:
        """Return the server that sent a request, and the JSON object in its body.

        Raises what `origin` raises, and `NotJson`, `BadJson` and `TooLarge`.
        """
        claim, key = await self._claim(request)
        body = await read_bytes(request, MAX_BODY)
        price = self._pay_unverified(request, body)
        content = decode(body, Json)
        self._verify(request, claim, key, content, price)
        return claim.origin, content

    async def _claim(self, request: Request) -> tuple[XMatrix, VerifyKey]:
        """Return the claim in the request's header, and the key that must verify it."""
        try:
            given = parse_authorization(request.headers.get("authorization", ""))
            if given.destination not in (None, self._server_name):
                raise Unauthorized(f"The request is for {given.destination}")
            if given.origin == self._server_name or not self._policy.admits(given.origin):
                raise Forbidden(f"This server accepts no requests from {given.origin}")
            key = await self._keyring.verify_key(
                given.origin, given.key_id, self._clock.now(), self._network(request)
            )
        except KeysUnavailable:
            raise  # answered with 503: a server that gets a 401 does not try again
        except FederationError as error:
            raise Unauthorized(str(error)) from None
        return given, key

    def _pay_unverified(self, request: Request, body: bytes) -> int:
        """Charge the network that sent the request; return the price."""
        values = body.count(b",") + body.count(b"[") + body.count(b"{")
        if values > MAX_VALUES:
            raise TooLarge(f"The body holds more than {MAX_VALUES} values")
        price = _REQUEST + len(body) + _VALUE * values
        self._of_networks.take(self._network(request), price)
        return price

    def _verify(
        self, request: Request, claim: XMatrix, key: VerifyKey, content: Json | None, price: int
    ) -> None:
        """Verify the signature, and charge the domain of the origin."""
        # Path and query are signed in the encoding in which they were sent.
        path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        query: bytes = request.scope["query_string"]
        uri = path.partition(b"?")[0] + (b"?" + query if query else b"")
        signed = request_object(
            origin=claim.origin,
            destination=self._server_name,
            method=request.method,
            uri=uri.decode("latin-1"),
            content=content,
        )
        try:
            verify_request(signed, claim, key)
        except FederationError as error:
            raise Unauthorized(str(error)) from None
        self._of_domains.take(registrable_domain(claim.origin), price)
