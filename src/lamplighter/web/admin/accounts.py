"""The admin API that changes accounts: set a password, deactivate an account."""

import structlog
from starlette.requests import Request

from lamplighter.room_ports import BuiltInDirectory
from lamplighter.web.admin.content import Done, NewPassword
from lamplighter.web.admin.operations import Operation
from lamplighter.web.body import read
from lamplighter.web.fields import MAX_PASSWORD, text, user_id

__all__ = ["AdminAccounts"]

_log = structlog.get_logger(__name__)


class AdminAccounts:
    """Changes accounts of the built-in directory."""

    def __init__(self, directory: BuiltInDirectory) -> None:
        self._directory = directory

    def operations(self) -> list[Operation]:
        one = "/users/{user_id}"
        return [
            Operation(
                "POST",
                f"{one}/password",
                "Give an account a new password.",
                self.set_password,
                Done,
                takes=NewPassword,
            ),
            Operation(
                "POST", f"{one}/deactivate", "Close an account for good.", self.deactivate, Done
            ),
        ]

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
