"""Signed requests to other servers.

Implements <https://spec.matrix.org/latest/server-server-api/#request-authentication> from the
sender's side.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from lamplighter.clock import Clock, within
from lamplighter.errors import RemoteRefused, RemoteUnreachable
from lamplighter.federation.discovery import Discovery
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.signing import authorization_header, canonical_json, request_object
from lamplighter.federation.transport import Answer, Transport
from lamplighter.ids import ServerName
from lamplighter.ports import Json

__all__ = ["FederationClient"]

#: The time-out of a request, if the caller gives none.
TIMEOUT: Final = timedelta(seconds=30)
#: The longest answer that is read. Usual answers have a few hundred bytes.
MAX_BYTES: Final = 256 * 1024
MAX_KEYS_BYTES: Final = 32 * 1024
_ERRCODE: Final = re.compile(r"[A-Za-z0-9_.]{1,100}")


class FederationClient:
    """Finds other servers and sends requests to them."""

    def __init__(
        self, keys: SigningKeys, discovery: Discovery, transport: Transport, clock: Clock
    ) -> None:
        self._keys = keys
        self._discovery = discovery
        self._transport = transport
        self._clock = clock

    async def request(
        self,
        destination: ServerName,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        *,
        timeout: timedelta = TIMEOUT,
    ) -> Json:
        """Send a signed request to *destination*, and return the JSON object of the answer.

        *path* begins with a slash, is percent-encoded, and may have a query. The *timeout* includes
        the time to find the server. Raises `RemoteUnreachable` if there is no usable answer,
        `RemoteRefused` if the status is not 2xx, and `ValueError` if *content* has no canonical
        form.
        """
        request = request_object(
            origin=self._keys.server_name,
            destination=destination,
            method=method,
            uri=path,
            content=content,
        )
        headers = {"Authorization": authorization_header(request, self._keys.signing)}
        body = None
        if content is not None:
            headers["Content-Type"] = "application/json"
            body = canonical_json(content)
        return await self._ask(destination, method, path, headers, body, MAX_BYTES, timeout)

    async def server_keys(self, server: ServerName) -> Json:
        """Return the keys that *server* publishes, unchecked. Raises what `request` raises.

        The request is not signed, as the specification has it.
        """
        path = "/_matrix/key/v2/server"
        return await self._ask(server, "GET", path, {}, None, MAX_KEYS_BYTES, TIMEOUT)

    async def _ask(
        self,
        server: ServerName,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: int,
        timeout: timedelta,
    ) -> Json:
        async def exchange() -> Answer:
            target = await self._discovery.find(server, self._clock.now())
            return await self._transport.exchange(
                target, method, path, headers=headers, body=body, limit=limit
            )

        try:
            answer = await within(self._clock, timeout, exchange())
        except TimeoutError:
            self._discovery.forget(server)
            raise RemoteUnreachable(f"{server} does not answer in time") from None
        except RemoteUnreachable:
            self._discovery.forget(server)
            raise
        content: Json | None
        try:
            content = msgspec.json.decode(answer.body, type=Json)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            content = None
        if not 200 <= answer.status < 300:
            errcode = content.get("errcode") if content else None
            known = isinstance(errcode, str) and _ERRCODE.fullmatch(errcode)
            raise RemoteRefused(server, answer.status, errcode if known else None)
        if content is None:
            raise RemoteUnreachable(f"{server} answers something that is not a JSON object")
        return content
