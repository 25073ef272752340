"""GET /login, POST /login, POST /logout, POST /logout/all.

Implements <https://spec.matrix.org/latest/client-server-api/#login> and
<https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3logout>.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import Forbidden, InvalidParam, LimitExceeded, MissingParam
from lamplighter.homeserver.client.interactive import Identifier, named_user
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import Login
from lamplighter.ids import ServerName
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.auth import Authenticator
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


@dataclass(frozen=True, slots=True)
class LoginEndpoints:
    """Gives out access tokens for passwords, and revokes access tokens."""

    authenticator: Authenticator
    directory: SqlDirectory
    limiter: Limiter
    client_address: ClientAddress
    log: AccessLog

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/login", self.flows),
            ClientRoute("POST", "/login", self.log_in),
            ClientRoute("POST", "/logout", self.log_out),
            ClientRoute("POST", "/logout/all", self.log_out_all),
        ]

    async def flows(self, _request: Request) -> Response:
        """Offer the password, and nothing else."""
        return json_response({"flows": [{"type": "m.login.password"}]})

    async def log_in(self, request: Request) -> Response:
        """Check the password and log a device in; limited per address.

        An account has no limit of its own: anybody could use it up, and lock the owner out.
        """
        try:
            self.limiter.take(("address", self.client_address(request)))
        except LimitExceeded:
            self.log.login_limited(request)
            raise
        body = await read(request, _Body)
        if body.type != "m.login.password":
            raise InvalidParam("type: only m.login.password is known here")
        if body.password is None:
            raise MissingParam("password: missing")
        user_id = named_user(body.identifier, body.user, self.directory.server_name)
        device = device_id(body.device_id)
        name = display_name("initial_device_display_name", body.initial_device_display_name)
        try:
            await self.directory.check_password(user_id, body.password)
        except Forbidden as refusal:
            # The log has the typed name only if it is the ID of an account.
            account = await self.directory.account(user_id)
            known = None if account is None else account.user_id
            self.log.login_refused(known, str(refusal), request)
            raise
        login = await self.directory.log_in(user_id, device_id=device, device_name=name)
        self.log.logged_in(login.user_id, login.device_id, request)
        return json_response(login_content(login, self.directory.server_name))

    async def log_out(self, request: Request) -> Response:
        """Log this device out."""
        requester = await self.authenticator.requester(request)
        await self.directory.log_out(requester)
        return json_response({})

    async def log_out_all(self, request: Request) -> Response:
        """Log all of the requester's devices out, this one too."""
        requester = await self.authenticator.requester(request)
        await self.directory.log_out_all(requester.user_id)
        return json_response({})


def login_content(login: Login, server_name: ServerName) -> dict[str, Any]:
    """Return the content of the answer to a login."""
    return {
        "user_id": login.user_id,
        "access_token": login.access_token,
        "device_id": login.device_id,
        "home_server": server_name,
    }
