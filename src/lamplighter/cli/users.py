"""`lamplighter register-user` and `lamplighter user`: the accounts of a server.

A new account and the list of accounts need only the database, whether a server runs or not. A
running server makes all other changes, asked by its admin API, because it knows who is logged in.
If no server runs, the command writes to the database itself. Nodes of a cluster that run on the
database hear of what a command writes, a second or two later.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from lamplighter.app import Storage
from lamplighter.cli.admin_client import AdminClient, read_token
from lamplighter.cli.running import find_running_server
from lamplighter.clock import SystemClock
from lamplighter.config import Config, load_config
from lamplighter.database.adapter import Sharing
from lamplighter.database.identity import keep_server_name
from lamplighter.database.migrate import migrate
from lamplighter.errors import AdminUnavailable, DatabaseInUse, InvalidParam, InvalidUsername
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId, parse_user_id
from lamplighter.ports import Account, Requester

__all__ = ["Users", "list_users", "register_user", "stored_accounts"]

T = TypeVar("T")

#: How many accounts are read at a time.
_PAGE = 500


def register_user(path: Path, username: str, password: str, *, is_admin: bool = False) -> UserId:
    """Create an account of the server whose configuration is at *path*; return its user ID.

    *username* is a localpart or a whole user ID of that server. Raises `ConfigError`,
    `UserInUse`, `InvalidUsername`, `InvalidParam` (an empty password) and `StorageUnavailable`.
    """
    config = load_config(path)
    user_id = _whole_id(username, config)
    localpart = user_id.removeprefix("@").removesuffix(f":{config.server_name}")
    if not password:
        raise InvalidParam("the password is empty")

    async def register(directory: SqlDirectory) -> UserId:
        login = await directory.register(localpart, password, is_admin=is_admin)
        # Nobody uses this device: the first log-in makes a real one.
        await directory.log_out(Requester(login.user_id, login.device_id))
        return login.user_id

    return _run(config, register, Sharing.BESIDE)


class Users:
    """Changes accounts of the server whose configuration is at a path."""

    def __init__(self, path: Path, url: str | None, token_file: Path | None) -> None:
        """*url* and *token_file* are for a server that runs; raises `ConfigError`."""
        self._config = load_config(path)
        self._url = url
        self._token_file = token_file

    def find(self, name: str) -> UserId:
        """Return the user with a localpart or a user ID of this server.

        Raises `InvalidUsername` or `InvalidId` for an impossible name. Raises `AdminUnavailable` if
        a server runs and there is no token for it, so that the operator is told before typing a
        password.
        """
        user_id = parse_user_id(_whole_id(name, self._config))
        if self._is_running():
            self._client()
        return user_id

    def reset_password(self, user_id: UserId, password: str, *, log_out: bool) -> None:
        """Give an account a new password, and with *log_out* log all its devices out.

        Raises `NotFound`, `UserDeactivated`, `InvalidParam`, and `AdminUnavailable` where the
        running server cannot be asked.
        """
        if not password:
            raise InvalidParam("the password is empty")
        if self._is_running():
            body = {"password": password, "logout_devices": log_out}
            self._client().post(f"/users/{quote(user_id, safe='@:')}/password", body)
        else:
            _run(self._config, lambda it: it.set_password(user_id, password, log_out=log_out))

    def deactivate(self, user_id: UserId) -> None:
        """Close an account for good; raises as `reset_password` does."""
        if self._is_running():
            self._client().post(f"/users/{quote(user_id, safe='@:')}/deactivate", {})
        else:
            _run(self._config, lambda it: it.deactivate(user_id))

    def _is_running(self) -> bool:
        return self._url is not None or find_running_server(self._config.data_dir) is not None

    def _client(self) -> AdminClient:
        url = self._url or f"http://{self._config.listen[0]}"
        try:
            return AdminClient(url, read_token(self._token_file))
        except AdminUnavailable as error:
            raise AdminUnavailable(
                f"the server runs, so it has to do this by its admin API: {error}; "
                "or stop the server first"
            ) from None


def list_users(path: Path) -> Iterator[str]:
    """Return a line for each account: user ID, date, and whether it is an admin's or deactivated.

    Raises `ConfigError`. The server may be running.
    """
    config = load_config(path)
    if config.database is None and not (config.data_dir / "lamplighter.db").exists():
        return

    async def all_of_them(directory: SqlDirectory) -> list[Account]:
        found: list[Account] = []
        while page := await directory.accounts(found[-1].user_id if found else None, _PAGE):
            found += page
        return found

    accounts = _run(config, all_of_them, Sharing.BESIDE)
    width = max((len(it.user_id) for it in accounts), default=0)
    for account in accounts:
        made = datetime.fromtimestamp(account.created_ts / 1000, UTC).date().isoformat()
        special = " admin" * account.is_admin + " deactivated" * account.is_deactivated
        yield f"{account.user_id:{width}}  {made} {special}".rstrip()


@asynccontextmanager
async def stored_accounts(config: Config, sharing: Sharing) -> AsyncIterator[SqlDirectory]:
    """Give the directory in the database, which is closed when the block ends.

    Raises `DatabaseInUse` where a server runs on the same PostgreSQL database, unless *sharing* is
    `BESIDE`.
    """
    database = Storage.of(config, sharing).database
    try:
        await migrate(database)
        await keep_server_name(database, config.server_name)
        directory = SqlDirectory(database, config.server_name, SystemClock())
        if config.cluster is not None:
            directory.leave_news()
        await directory.start()
        yield directory
    finally:
        await database.close()


def _run(
    config: Config, work: Callable[[SqlDirectory], Awaitable[T]], sharing: Sharing = Sharing.ALONE
) -> T:
    """Do *work* with the accounts in the database."""

    async def run() -> T:
        async with stored_accounts(config, sharing) as directory:
            return await work(directory)

    try:
        return asyncio.run(run())
    except DatabaseInUse:
        raise AdminUnavailable(
            "a server runs on this database, perhaps on another machine, so it has to do this by "
            "its admin API: name it with --url; or stop the server first"
        ) from None


def _whole_id(name: str, config: Config) -> str:
    """Return *name*, a localpart or a user ID, as a user ID of this server, perhaps malformed."""
    if not name.startswith("@"):
        return f"@{name}:{config.server_name}"
    if name.partition(":")[2] != config.server_name:
        raise InvalidUsername(f"{name} is not a user of {config.server_name}")
    return name
