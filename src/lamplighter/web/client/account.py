"""GET /account/whoami, POST /account/deactivate.

Implements <https://spec.matrix.org/latest/client-server-api/#current-account-information> and
<https://spec.matrix.org/latest/client-server-api/#account-management>.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.ports import Accounts
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.interactive import AuthData, PasswordStage
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["AccountEndpoints"]


class _Deactivate(msgspec.Struct):
    auth: AuthData | None = None
    id_server: str | None = None
    erase: bool = False


class AccountEndpoints:
    """The requester's own account."""

    def __init__(
        self, authenticator: Authenticator, accounts: Accounts, password: PasswordStage
    ) -> None:
        self._authenticator = authenticator
        self._accounts = accounts
        self._password = password

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/account/whoami", self.whoami),
            ClientRoute("POST", "/account/deactivate", self.deactivate),
        ]

    async def whoami(self, request: Request) -> Response:
        """Say whose the token is."""
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
