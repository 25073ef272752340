"""GET /account/whoami, POST /account/deactivate, POST /account/password.

Implements <https://spec.matrix.org/latest/client-server-api/#current-account-information> and
<https://spec.matrix.org/latest/client-server-api/#account-management>.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.client.interactive import AuthData, PasswordStage
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import MAX_PASSWORD
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["AccountEndpoints"]


class _Deactivate(msgspec.Struct):
    auth: AuthData | None = None
    id_server: str | None = None
    erase: bool = False


class _NewPassword(msgspec.Struct):
    new_password: str
    logout_devices: bool = True
    auth: AuthData | None = None


class AccountEndpoints:
    """The requester's own account."""

    def __init__(
        self, authenticator: Authenticator, accounts: SqlDirectory, password: PasswordStage
    ) -> None:
        self._authenticator = authenticator
        self._accounts = accounts
        self._password = password

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/account/whoami", self.whoami),
            ClientRoute("POST", "/account/deactivate", self.deactivate),
            ClientRoute("POST", "/account/password", self.set_password),
        ]

    async def whoami(self, request: Request) -> Response:
        """Return the user and the device of the token."""
        requester = await self._authenticator.requester(request)
        return json_response(
            {
                "user_id": requester.user_id,
                "device_id": requester.device_id,
                "is_guest": False,
            }
        )

    async def deactivate(self, request: Request) -> Response:
        """Close the account, once the password was given."""
        requester, body = await self._authenticator.requester_and_optional_body(
            request, _Deactivate
        )
        await self._password.confirm(requester, body.auth, request)
        await self._accounts.deactivate(requester.user_id)
        return json_response({"id_server_unbind_result": "no-support"})

    async def set_password(self, request: Request) -> Response:
        """Replace the password, once the old one was given, and log other devices out.

        Other devices stay logged in if `logout_devices` is false. This device stays in any case.
        """
        requester, body = await self._authenticator.requester_and_body(request, _NewPassword)
        password = text("new_password", body.new_password, MAX_PASSWORD)
        if not password:
            raise InvalidParam("new_password: must not be empty")
        await self._password.confirm(requester, body.auth, request)
        await self._accounts.set_password(
            requester.user_id, password, log_out=body.logout_devices, but=requester.device_id
        )
        return json_response({})
