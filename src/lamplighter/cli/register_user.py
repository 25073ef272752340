"""`lamplighter register-user`: makes an account in the database itself.

The server may run or not: the two write to the database one after the other.
"""

import asyncio
from pathlib import Path

from lamplighter.cli.accounts import stored_accounts
from lamplighter.config import Config, load_config
from lamplighter.errors import InvalidParam, InvalidUsername
from lamplighter.ids import UserId
from lamplighter.ports import Requester

__all__ = ["register_user"]


def register_user(path: Path, username: str, password: str, *, is_admin: bool = False) -> UserId:
    """Create an account of the server whose configuration is at *path*; return its user ID.

    *username* is a localpart or a whole user ID of that server. Raises `ConfigError`,
    `UserInUse`, `InvalidUsername`, `InvalidParam` (an empty password) and `StorageUnavailable`.
    """
    config = load_config(path)
    localpart = _localpart(username, config)
    if not password:
        raise InvalidParam("the password is empty")
    return asyncio.run(_register(config, localpart, password, is_admin=is_admin))


def _localpart(username: str, config: Config) -> str:
    if not username.startswith("@"):
        return username
    localpart, _, server_name = username[1:].partition(":")
    if server_name != config.server_name:
        raise InvalidUsername(f"{username} is not a user of {config.server_name}")
    return localpart


async def _register(config: Config, localpart: str, password: str, *, is_admin: bool) -> UserId:
    async with stored_accounts(config, alone=False) as directory:
        login = await directory.register(localpart, password, is_admin=is_admin)
        # Nobody uses this device: the first log-in makes a real one.
        await directory.log_out(Requester(login.user_id, login.device_id))
    return login.user_id
