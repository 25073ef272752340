"""Accounts that are made without the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lamplighter.app import Storage
from lamplighter.cli.register_user import register_user
from lamplighter.clock import SystemClock
from lamplighter.config import load_config
from lamplighter.database.migrate import migrate
from lamplighter.errors import ConfigError, Forbidden
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId

BOB = UserId("@bob:example.org")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a configuration whose data_dir is not there yet."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: example.org\ndata_dir: state/of/it\n")
    return path


@asynccontextmanager
async def running(config: Path) -> AsyncIterator[SqlDirectory]:
    """Give the directory as a server with this configuration has it."""
    settings = load_config(config)
    database = Storage.in_directory(settings.data_dir).database
    try:
        await migrate(database)
        directory = SqlDirectory(database, settings.server_name, SystemClock())
        await directory.start()
        yield directory
    finally:
        await database.close()


@pytest.mark.parametrize("is_admin", [False, True])
def test_the_account_is_what_was_asked_for(config: Path, is_admin: bool) -> None:
    """The account has its password and its rank, and no device."""

    async def look() -> None:
        async with running(config) as directory:
            account = await directory.account(BOB)
            assert account is not None
            assert (account.user_id, account.is_admin) == (BOB, is_admin)
            assert await directory.devices(BOB) == []
            await directory.check_password(BOB, "sesame")
            with pytest.raises(Forbidden):
                await directory.check_password(BOB, "Sesame")

    assert register_user(config, "bob", "sesame", is_admin=is_admin) == BOB
    asyncio.run(look())


async def test_beside_a_running_server(config: Path) -> None:
    """A server that runs meanwhile knows the new account at once."""
    async with running(config) as directory:
        before = await directory.account(BOB)
        await asyncio.to_thread(register_user, config, "bob", "sesame")
        assert before is None
        assert (await directory.log_in(BOB)).user_id == BOB


def test_the_data_directory_is_private(config: Path) -> None:
    """The directory with the database is made, and open to its owner alone."""
    register_user(config, "bob", "sesame")
    assert load_config(config).data_dir.stat().st_mode & 0o777 == 0o700


def test_no_place_for_data(config: Path) -> None:
    """Where data_dir cannot be made, the error names the key."""
    (config.parent / "state").write_text("a file")
    with pytest.raises(ConfigError, match=r"^data_dir: .* cannot be made: "):
        register_user(config, "bob", "sesame")
