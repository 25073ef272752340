"""Commands on the accounts of a PostgreSQL database, beside a server and without one."""

import asyncio
from pathlib import Path

import pytest

from lamplighter.cli.backup import backup
from lamplighter.cli.register_user import register_user
from lamplighter.cli.user_commands import Users, list_users
from lamplighter.config import load_config
from lamplighter.database.postgresql import open_url
from lamplighter.errors import AdminUnavailable, ConfigError, UserInUse
from lamplighter.ids import UserId
from tests.database.rooms import add_room

ALICE = UserId("@alice:example.org")


@pytest.fixture
def config(tmp_path: Path, postgres_url: str) -> Path:
    """A configuration with a PostgreSQL database."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text(f"server_name: example.org\ndatabase: {postgres_url}\n")
    return path


def test_all_of_them(config: Path) -> None:
    """Accounts are made, listed, given a password and closed; nothing is kept in a file."""
    assert list(list_users(config)) == []
    assert register_user(config, "alice", "old", is_admin=True) == ALICE
    with pytest.raises(UserInUse):
        register_user(config, "alice", "old")
    users = Users(config, None, None)
    users.reset_password(users.find("alice"), "new", log_out=True)
    users.deactivate(ALICE)
    [line] = list_users(config)
    assert line.startswith(ALICE)
    assert line.endswith("admin deactivated")
    assert not (load_config(config).data_dir / "lamplighter.db").exists()


def test_beside_a_server_elsewhere(config: Path, postgres_url: str) -> None:
    """An account is made and listed while a server runs; to change one, the server is asked."""

    async def beside() -> None:
        database = open_url(postgres_url)
        await add_room(database, "!a")
        try:
            await asyncio.to_thread(register_user, config, "alice", "old")
            users = Users(config, None, None)
            with pytest.raises(AdminUnavailable, match="name it with --url"):
                await asyncio.to_thread(users.deactivate, ALICE)
            lines = await asyncio.to_thread(lambda: list(list_users(config)))
            assert [it.split()[0] for it in lines] == [ALICE]
        finally:
            await database.close()

    asyncio.run(beside())


def test_no_backup(config: Path, tmp_path: Path) -> None:
    """A backup of PostgreSQL is refused, and the error names what makes one."""
    with pytest.raises(ConfigError, match="PostgreSQL is backed up by pg_dump"):
        list(backup(config, tmp_path / "backup.tar.gz"))
    assert not (tmp_path / "backup.tar.gz").exists()
