"""GET /_matrix/key/v2/server, also with a key ID; GET and POST /_matrix/key/v2/query.

Implements <https://spec.matrix.org/latest/server-server-api/#retrieving-server-keys>. Anybody may
ask a notary, without a signature. So the notary passes on keys that this server has fetched for
itself, and fetches none (decision 0046).
"""

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.clock import Clock
from lamplighter.errors import InvalidId, InvalidParam
from lamplighter.federation.keyring import Keyring
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.signing import sign_json
from lamplighter.ids import ServerName, parse_server_name
from lamplighter.ports import Json
from lamplighter.web.body import read
from lamplighter.web.fields import natural
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["ServerKeyEndpoints"]

#: How long other servers may use our keys without asking again.
VALIDITY: Final = timedelta(days=1)
#: The greatest number of servers in one request to the notary.
MAX_SERVERS: Final = 20


class _Criteria(msgspec.Struct):
    #: Only the form of this number is checked. A notary that fetches nothing cannot get newer keys.
    minimum_valid_until_ts: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Query(msgspec.Struct):
    server_keys: dict[str, dict[str, _Criteria]]


class ServerKeyEndpoints:
    """Publishes our keys, and those of other servers if this server is a notary."""

    def __init__(self, keys: SigningKeys, keyring: Keyring, clock: Clock, *, notary: bool) -> None:
        self._keys = keys
        self._keyring = keyring
        self._clock = clock
        self._notary = notary

    def routes(self) -> list[Route]:
        # Older servers name a key. By the specification the answer has all keys all the same.
        own = ("/_matrix/key/v2/server", "/_matrix/key/v2/server/{key_id}")
        routes: list[Route] = [MatrixRoute("GET", path, self.own) for path in own]
        if not self._notary:
            return routes
        return [
            *routes,
            MatrixRoute("GET", "/_matrix/key/v2/query/{server_name}", self.query_one),
            MatrixRoute("POST", "/_matrix/key/v2/query", self.query, is_read=True),
        ]

    async def own(self, _request: Request) -> Response:
        """Return our keys. Each of them has signed the answer."""
        return json_response(self._own())

    async def query_one(self, request: Request) -> Response:
        """Return one server's keys, signed by that server and by us."""
        given = request.query_params.get("minimum_valid_until_ts", "0")
        natural("minimum_valid_until_ts", given)  # see `_Criteria`
        server_name = parse_server_name(request.path_params["server_name"])
        return json_response({"server_keys": self._of(server_name)})

    async def query(self, request: Request) -> Response:
        """Return several servers' keys, except of servers whose keys are not known here."""
        wanted = (await read(request, _Query)).server_keys
        if len(wanted) > MAX_SERVERS:
            raise InvalidParam(f"server_keys: more than {MAX_SERVERS} servers")
        try:
            servers = [parse_server_name(name) for name in wanted]
        except InvalidId as error:
            raise InvalidParam(f"server_keys: {error}") from None
        return json_response({"server_keys": [it for name in servers for it in self._of(name)]})

    def _of(self, server_name: ServerName) -> list[Json]:
        if server_name == self._keys.server_name:
            return [self._own()]
        # `XMatrixAuth` makes the keyring fetch keys only of servers that the operator admits.
        known = self._keyring.known(server_name)
        if known is None:
            return []
        # Signatures of further servers were not verified, so they are not passed on.
        signatures = {server_name: known.content["signatures"][server_name]}
        content = known.content | {"signatures": signatures}
        try:
            return [sign_json(content, self._keys.server_name, self._keys.signing)]
        except ValueError:  # the server has signed numbers that canonical JSON does not have
            return []

    def _own(self) -> Json:
        return self._keys.server_keys(self._clock.now(), VALIDITY)
