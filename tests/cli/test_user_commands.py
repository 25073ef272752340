"""`lamplighter user`, with and without a server that runs."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from lamplighter.app import Storage
from lamplighter.cli.register_user import register_user
from lamplighter.cli.running import mark_as_running
from lamplighter.cli.serve import serving
from lamplighter.cli.user_commands import Users, list_users
from lamplighter.clock import SystemClock
from lamplighter.config import load_config
from lamplighter.errors import (
    AdminUnavailable,
    Forbidden,
    InvalidParam,
    InvalidUsername,
    NotFound,
    UnknownToken,
)
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId
from lamplighter.web.admin.auth import hash_of
from tests.interop.processes import reserved_port
from tests.web.admin.operator import TOKEN

ALICE = UserId("@alice:example.org")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with alice, whose password is "old"."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: example.org\n")
    register_user(path, "alice", "old")
    return path


def users(config: Path) -> Users:
    """Return the commands of an operator without a running server."""
    return Users(config, None, None)


def in_database(config: Path, work: Callable[[SqlDirectory], Coroutine[None, None, None]]) -> None:
    """Look into the database, as a server would at its next start."""

    async def look() -> None:
        database = Storage.in_directory(load_config(config).data_dir).database
        try:
            directory = SqlDirectory(database, load_config(config).server_name, SystemClock())
            await directory.start()
            await work(directory)
        finally:
            await database.close()

    asyncio.run(look())


def test_a_new_password_without_a_server(config: Path) -> None:
    """The new password is good and the old one is not; devices are logged out."""
    tokens: list[str] = []

    async def log_in(directory: SqlDirectory) -> None:
        tokens.append((await directory.log_in(ALICE)).access_token)

    async def look(directory: SqlDirectory) -> None:
        await directory.check_password(ALICE, "new")
        with pytest.raises(Forbidden):
            await directory.check_password(ALICE, "old")
        with pytest.raises(UnknownToken):
            await directory.authenticate(tokens[0])

    in_database(config, log_in)
    users(config).reset_password(ALICE, "new", log_out=True)
    in_database(config, look)


def test_devices_may_stay(config: Path) -> None:
    """Where the operator wants it, devices stay logged in."""
    tokens: list[str] = []

    async def log_in(directory: SqlDirectory) -> None:
        tokens.append((await directory.log_in(ALICE)).access_token)

    async def look(directory: SqlDirectory) -> None:
        assert (await directory.authenticate(tokens[0])).user_id == ALICE

    in_database(config, log_in)
    users(config).reset_password(ALICE, "new", log_out=False)
    in_database(config, look)


def test_the_list(config: Path) -> None:
    """Each account has a line with its date, and what is special about it."""
    register_user(config, "root", "x", is_admin=True)
    users(config).deactivate(ALICE)
    lines = [line.split() for line in list_users(config)]
    assert [[line[0], *line[2:]] for line in lines] == [
        [ALICE, "deactivated"],
        ["@root:example.org", "admin"],
    ]


def test_no_database_is_no_accounts(tmp_path: Path) -> None:
    """Listing makes no database where there is none."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: example.org\n")
    assert list(list_users(path)) == []
    assert list(tmp_path.iterdir()) == [path]


def test_who_is_meant(config: Path) -> None:
    """A user is named by the localpart or the whole ID; nobody else's user is."""
    assert users(config).find("alice") == users(config).find(ALICE) == ALICE
    with pytest.raises(InvalidUsername):
        users(config).find("@alice:elsewhere.org")
    with pytest.raises(InvalidParam):
        users(config).find("alice with spaces" * 20)
    with pytest.raises(InvalidParam):
        users(config).reset_password(ALICE, "", log_out=True)
    with pytest.raises(NotFound):
        users(config).reset_password(UserId("@nobody:example.org"), "x", log_out=True)


def test_a_running_server_needs_the_token(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command never writes to the database of a running server; the error says what to do."""
    monkeypatch.delenv("LAMPLIGHTER_ADMIN_TOKEN", raising=False)
    refused = pytest.raises(AdminUnavailable, match=r"no admin token.*; or stop the server first$")
    with mark_as_running(load_config(config)), refused:
        users(config).reset_password(ALICE, "new", log_out=True)


def test_the_token_is_missed_before_a_password_is_typed(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a server runs, the command that has no token fails as soon as the user is named."""
    monkeypatch.delenv("LAMPLIGHTER_ADMIN_TOKEN", raising=False)
    refused = pytest.raises(AdminUnavailable, match=r"no admin token.*; or stop the server first$")
    with mark_as_running(load_config(config)), refused:
        users(config).find("alice")


async def test_a_running_server_does_it(tmp_path: Path) -> None:
    """A running server makes the change: its tokens are invalid from that moment on."""
    token_file = tmp_path / "token.txt"
    token_file.write_text(TOKEN)
    path = tmp_path / "lamplighter.yaml"
    with reserved_port() as port:
        path.write_text(
            f"server_name: example.org\nlisten: 127.0.0.1:{port}\n"
            f"admin: {{token_hash: {hash_of(TOKEN)}}}\n"
        )
        config = load_config(path)
        async with serving(config, Storage.in_directory(config.data_dir)) as server:
            login = await server.directory.register("alice", "old")
            await server.directory.authenticate(login.access_token)
            with mark_as_running(config):
                operator = Users(path, None, token_file)
                await asyncio.to_thread(operator.reset_password, ALICE, "new", log_out=True)
                with pytest.raises(UnknownToken):
                    await server.directory.authenticate(login.access_token)
                await server.directory.check_password(ALICE, "new")
                await asyncio.to_thread(operator.deactivate, ALICE)
            account = await server.directory.account(ALICE)
            assert account is not None
            assert account.is_deactivated
