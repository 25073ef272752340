"""GET /login, POST /login.

Implements <https://spec.matrix.org/latest/client-server-api/#login>.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import (
    Forbidden,
    InvalidParam,
    LimitExceeded,
    MissingParam,
    UserDeactivated,
)
from lamplighter.homeserver.client.interactive import Identifier, named_user
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import Login
from lamplighter.ids import ServerName, UserId
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.body import read
from lamplighter.web.fields import device_id, display_name
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["LoginEndpoints", "login_content"]


class _Body(msgspec.Struct):
    type: str
    identifier: Identifier | None = None
    user: str | None = None
    password: str | None = None
    device_id: str | None = None
    initial_device_display_name: str | None = None


class LoginEndpoints:
    """Gives out access tokens for passwords."""

    def __init__(
        self,
        accounts: SqlDirectory,
        server_name: ServerName,
        limiter: Limiter,
        client_address: ClientAddress,
        log: AccessLog,
    ) -> None:
        self._accounts = accounts
        self._server_name = server_name
        self._limiter = limiter
        self._client_address = client_address
        self._log = log

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/login", self.flows),
            ClientRoute("POST", "/login", self.log_in),
        ]

    async def flows(self, _request: Request) -> Response:
        """Offer the password, and nothing else."""
        return json_response({"flows": [{"type": "m.login.password"}]})

    async def log_in(self, request: Request) -> Response:
        """Check the password and log a device in; limited per address.

        An account has no limit of its own: anybody could use it up, and lock the owner out.
        """
        self._take(request)
        body = await read(request, _Body)
        if body.type != "m.login.password":
            raise InvalidParam("type: only m.login.password is known here")
        if body.password is None:
            raise MissingParam("password: missing")
        user_id = named_user(body.identifier, body.user, self._server_name)
        device = device_id(body.device_id)
        name = display_name("initial_device_display_name", body.initial_device_display_name)
        await self._check_password(user_id, body.password, request)
        login = await self._accounts.log_in(user_id, device_id=device, device_name=name)
        self._log.logged_in(login.user_id, login.device_id, request)
        return json_response(login_content(login, self._server_name))

    def _take(self, request: Request) -> None:
        try:
            self._limiter.take(("address", self._client_address(request)))
        except LimitExceeded:
            self._log.login_limited(request)
            raise

    async def _check_password(self, user_id: UserId, password: str, request: Request) -> None:
        try:
            await self._accounts.check_password(user_id, password)
        except (Forbidden, UserDeactivated) as refusal:
            # The log has the typed name only if it is the ID of an account.
            account = await self._accounts.account(user_id)
            known = None if account is None else account.user_id
            self._log.login_refused(known, str(refusal), request)
            raise


def login_content(login: Login, server_name: ServerName) -> dict[str, Any]:
    """Return the content of the answer to a login."""
    return {
        "user_id": login.user_id,
        "access_token": login.access_token,
        "device_id": login.device_id,
        "home_server": server_name,
    }
