"""POST /register, GET /register/available.

Implements
<https://spec.matrix.org/latest/client-server-api/#account-registration-and-management>.
"""

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import GuestForbidden, InvalidParam, MissingParam, RegistrationClosed
from lamplighter.homeserver.client.interactive import AuthData, require_dummy
from lamplighter.homeserver.client.login import login_content
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import MAX_PASSWORD
from lamplighter.ports import Requester
from lamplighter.web.address import ClientAddress
from lamplighter.web.body import read
from lamplighter.web.fields import device_id, display_name, query, text
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["Register"]


class _Body(msgspec.Struct):
    auth: AuthData | None = None
    username: str | None = None
    password: str | None = None
    device_id: str | None = None
    initial_device_display_name: str | None = None
    inhibit_login: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """Creates accounts after the stage `m.login.dummy`, limited per address, if it *is_open*."""

    directory: SqlDirectory
    limiter: Limiter
    client_address: ClientAddress
    is_open: bool

    def routes(self) -> list[Route]:
        return [
            ClientRoute("POST", "/register", self.register),
            ClientRoute("GET", "/register/available", self.available),
        ]

    async def register(self, request: Request) -> Response:
        """Create an account and, unless it is inhibited, log its first device in."""
        self._check_open()
        kind = request.query_params.get("kind", "user")
        if kind == "guest":
            raise GuestForbidden("There are no guest accounts on this server")
        if kind != "user":
            raise InvalidParam("kind: must be user or guest")
        body = await read(request, _Body)
        require_dummy(body.auth)
        if body.password is None:
            raise MissingParam("password: missing")
        password = text("password", body.password, MAX_PASSWORD)
        device = device_id(body.device_id)
        name = display_name("initial_device_display_name", body.initial_device_display_name)
        self.limiter.take(self.client_address(request))
        login = await self.directory.register(
            body.username, password, device_id=device, device_name=name
        )
        content = login_content(login, self.directory.server_name)
        if body.inhibit_login:
            await self.directory.log_out(Requester(login.user_id, login.device_id))
            del content["access_token"], content["device_id"]
        return json_response(content)

    async def available(self, request: Request) -> Response:
        """Say whether a username can still be had."""
        self._check_open()
        self.limiter.take(self.client_address(request))
        await self.directory.check_available(query(request, "username"))
        return json_response({"available": True})

    def _check_open(self) -> None:
        if not self.is_open:
            raise RegistrationClosed("This server registers nobody over the network")
