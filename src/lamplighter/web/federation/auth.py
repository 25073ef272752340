"""Which server is asking: signed requests, verified.

Implements <https://spec.matrix.org/latest/server-server-api/#request-authentication>.
"""

from typing import Final

from starlette.requests import Request

from lamplighter.clock import Clock
from lamplighter.errors import (
    FederationError,
    Forbidden,
    KeysUnavailable,
    Unauthorized,
)
from lamplighter.federation.keyring import Keyring
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.signing import parse_authorization, request_object, verify_request
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from lamplighter.web.body import read

__all__ = ["XMatrixAuth"]

#: A transaction of 50 events of the largest size, and 100 EDUs.
MAX_BODY: Final = 5 * 1024 * 1024


class XMatrixAuth:
    """Verifies signatures by the keys that servers publish."""

    def __init__(
        self, server_name: ServerName, keyring: Keyring, policy: ServerPolicy, clock: Clock
    ) -> None:
        self._server_name = server_name
        self._keyring = keyring
        self._policy = policy
        self._clock = clock

    async def origin(self, request: Request) -> ServerName:
        """Return who sends a request without a body.

        Raises `Unauthorized`, `Forbidden`, and `KeysUnavailable` where the origin cannot be asked
        for its keys.
        """
        return await self._verified(request, None)

    async def origin_and_content(self, request: Request) -> tuple[ServerName, Json]:
        """Return who sends a request, and its body, a JSON object.

        Raises what `origin` raises, `NotJson`, `BadJson` and `TooLarge`.
        """
        content = await read(request, Json, limit=MAX_BODY)
        return await self._verified(request, content), content

    async def _verified(self, request: Request, content: Json | None) -> ServerName:
        try:
            authorization = parse_authorization(request.headers.get("authorization", ""))
            if authorization.destination not in (None, self._server_name):
                raise Unauthorized(f"The request is for {authorization.destination}")
            origin = authorization.origin
            if origin == self._server_name or not self._policy.admits(origin):
                raise Forbidden(f"{origin} is not spoken with here")
            key = await self._keyring.verify_key(origin, authorization.key_id, self._clock.now())
            signed = request_object(
                origin=origin,
                destination=self._server_name,
                method=request.method,
                uri=_uri(request),
                content=content,
            )
            verify_request(signed, authorization, key)
        except KeysUnavailable:
            raise  # whoever is told 401 does not come again
        except FederationError as error:
            raise Unauthorized(str(error)) from None
        return origin


def _uri(request: Request) -> str:
    """Return path and query as they were sent."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    uri = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return uri.decode("latin-1")
