"""The admin API that changes accounts of the built-in homeserver."""

import structlog
from starlette.requests import Request

from lamplighter.errors import NotFound
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import MAX_PASSWORD
from lamplighter.ids import DeviceId, UserId
from lamplighter.web.admin.content import Done, NewPassword
from lamplighter.web.admin.operations import Operation
from lamplighter.web.admin.queries import user_named
from lamplighter.web.body import read
from lamplighter.web.fields import text, user_id

__all__ = ["AdminAccounts"]

_log = structlog.get_logger(__name__)


class AdminAccounts:
    """Logs accounts out, gives them passwords, and closes them."""

    def __init__(self, directory: SqlDirectory) -> None:
        self._directory = directory

    def operations(self) -> list[Operation]:
        """Return what operators can do."""
        one, device = "/users/{user_id}", "/users/{user_id}/devices/{device_id}"
        new_password = "Give an account a new password."
        close = "Deactivate an account for good."
        return [
            Operation("POST", f"{one}/logout", "Log all devices out.", self.log_out_all, Done),
            Operation("POST", f"{device}/logout", "Log one device out.", self.log_out, Done),
            Operation(
                "POST", f"{one}/password", new_password, self.set_password, Done, takes=NewPassword
            ),
            Operation("POST", f"{one}/deactivate", close, self.deactivate, Done),
        ]

    async def log_out_all(self, request: Request) -> Done:
        """Log out all devices of a user. Raises `NotFound`."""
        user = await self._user(request)
        await self._directory.log_out_all(user)
        _log.info("the operator has logged a user out", user=user)
        return Done()

    async def log_out(self, request: Request) -> Done:
        """Log out one device of a user. Raises `NotFound`."""
        user = await self._user(request)
        device_id = DeviceId(request.path_params["device_id"])
        await self._directory.device(user, device_id)
        await self._directory.delete_devices(user, [device_id])
        _log.info("the operator has logged a device out", user=user, device=device_id)
        return Done()

    async def set_password(self, request: Request) -> Done:
        """Set the password. Raises `NotFound`, `UserDeactivated` and `InvalidParam`."""
        user, body = user_id(request), await read(request, NewPassword)
        password = text("password", body.password, MAX_PASSWORD)
        await self._directory.set_password(user, password, log_out=body.logout_devices)
        _log.info("the operator has set a new password", user=user)
        return Done()

    async def deactivate(self, request: Request) -> Done:
        """Deactivate the account. Raises `NotFound` and `UserDeactivated`."""
        user = user_id(request)
        await self._directory.deactivate(user)
        _log.info("the operator has deactivated a user", user=user)
        return Done()

    async def _user(self, request: Request) -> UserId:
        user = user_named(request.path_params["user_id"], self._directory.server_name)
        if await self._directory.account(user) is None:
            raise NotFound("There is no such user")
        return user
