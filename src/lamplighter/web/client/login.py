"""GET /login, POST /login.

Implements <https://spec.matrix.org/latest/client-server-api/#login>.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam, MissingParam
from lamplighter.ids import ServerName
from lamplighter.ports import Accounts
from lamplighter.ports import Login as LoggedIn
from lamplighter.web.address import ClientAddress
from lamplighter.web.body import read
from lamplighter.web.client.interactive import Identifier, named_user
from lamplighter.web.fields import device_id, display_name
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["Login", "login_content"]


class _Body(msgspec.Struct):
    type: str
    identifier: Identifier | None = None
    user: str | None = None
    password: str | None = None
    device_id: str | None = None
    initial_device_display_name: str | None = None


class Login:
    """Gives out access tokens for passwords."""

    def __init__(
        self,
        accounts: Accounts,
        server_name: ServerName,
        limiter: Limiter,
        client_address: ClientAddress,
    ) -> None:
        self._accounts = accounts
        self._server_name = server_name
        self._limiter = limiter
        self._client_address = client_address

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/login", self.flows),
            ClientRoute("POST", "/login", self.log_in),
        ]

    async def flows(self, _request: Request) -> Response:
        """Say that there is the password, and nothing else."""
        return json_response({"flows": [{"type": "m.login.password"}]})

    async def log_in(self, request: Request) -> Response:
        """Check the password and log a device in; limited per address.

        An account has no limit of its own: anybody could use it up, and lock the owner out.
        """
        self._limiter.take(("address", self._client_address(request)))
        body = await read(request, _Body)
        if body.type != "m.login.password":
            raise InvalidParam("type: only m.login.password is known here")
        if body.password is None:
            raise MissingParam("password: missing")
        user_id = named_user(body.identifier, body.user, self._server_name)
        device = device_id(body.device_id)
        name = display_name("initial_device_display_name", body.initial_device_display_name)
        await self._accounts.check_password(user_id, body.password)
        login = await self._accounts.log_in(user_id, device_id=device, device_name=name)
        return json_response(login_content(login, self._server_name))


def login_content(login: LoggedIn, server_name: ServerName) -> dict[str, Any]:
    """Return what a client is told of a login of its own."""
    return {
        "user_id": login.user_id,
        "access_token": login.access_token,
        "device_id": login.device_id,
        "home_server": server_name,
    }
