"""`lamplighter register-user` and `lamplighter user`, with and without a server that runs."""

import asyncio
from pathlib import Path

import pytest

from lamplighter.app import Storage
from lamplighter.cli.running import mark_as_running
from lamplighter.cli.serve import serving
from lamplighter.cli.users import Users, list_users, register_user, stored_accounts
from lamplighter.config import load_config
from lamplighter.database.adapter import Sharing
from lamplighter.database.postgresql import open_url
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import (
    AdminUnavailable,
    ConfigError,
    Forbidden,
    InvalidParam,
    InvalidUsername,
    NotFound,
    UnknownToken,
    UserInUse,
)
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import UserId
from lamplighter.web.admin.auth import hash_of
from tests.contract.nodes import nodes_on
from tests.database.rooms import add_room
from tests.interop.processes import reserved_port
from tests.web.admin.operator import TOKEN

ALICE = UserId("@alice:example.org")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A configuration whose data_dir is not there yet."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: example.org\ndata_dir: state/of/it\n")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def config(empty: Path, request: pytest.FixtureRequest) -> Path:
    """A configuration with alice, whose password is "old", in each of the databases."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        empty.write_text(f"{empty.read_text()}database: {url}\n")
    register_user(empty, "alice", "old")
    return empty


def users(config: Path) -> Users:
    """Return the commands of an operator without a running server."""
    return Users(config, None, None)


@pytest.mark.parametrize("is_admin", [False, True])
def test_a_new_account(config: Path, is_admin: bool) -> None:
    """The account has its password and its rank, and no device; a name is given once."""
    bob = UserId("@bob:example.org")

    async def look() -> None:
        async with stored_accounts(load_config(config), Sharing.BESIDE) as directory:
            account = await directory.account(bob)
            assert account is not None
            assert (account.user_id, account.is_admin) == (bob, is_admin)
            assert await directory.devices(bob) == []
            await directory.check_password(bob, "sesame")
            with pytest.raises(Forbidden):
                await directory.check_password(bob, "Sesame")

    assert register_user(config, "bob", "sesame", is_admin=is_admin) == bob
    asyncio.run(look())
    with pytest.raises(UserInUse):
        register_user(config, bob, "sesame")


async def test_beside_a_running_server(empty: Path) -> None:
    """A server that runs meanwhile knows the new account at once."""
    async with stored_accounts(load_config(empty), Sharing.BESIDE) as directory:
        before = await directory.account(ALICE)
        await asyncio.to_thread(register_user, empty, "alice", "sesame")
        assert before is None
        assert (await directory.log_in(ALICE)).user_id == ALICE


def test_the_data_directory(empty: Path) -> None:
    """The directory with the database is made for its owner alone; the error names the key."""
    (empty.parent / "state").write_text("a file")
    with pytest.raises(ConfigError, match=r"^data_dir: .* cannot be made: "):
        register_user(empty, "bob", "sesame")
    (empty.parent / "state").unlink()
    register_user(empty, "bob", "sesame")
    assert load_config(empty).data_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("log_out", [True, False])
def test_a_new_password_without_a_server(config: Path, log_out: bool) -> None:
    """The new password is good, the old one is not; the operator says whether devices stay."""
    settings = load_config(config)

    async def log_in() -> str:
        async with stored_accounts(settings, Sharing.BESIDE) as directory:
            return (await directory.log_in(ALICE)).access_token

    async def look() -> bool:
        async with stored_accounts(settings, Sharing.BESIDE) as directory:
            await directory.check_password(ALICE, "new")
            with pytest.raises(Forbidden):
                await directory.check_password(ALICE, "old")
            try:
                return (await directory.authenticate(token)).user_id == ALICE
            except UnknownToken:
                return False

    token = asyncio.run(log_in())
    users(config).reset_password(ALICE, "new", log_out=log_out)
    assert asyncio.run(look()) is not log_out


def test_the_list(config: Path) -> None:
    """Each account has a line with its date, and what is special about it."""
    register_user(config, "root", "x", is_admin=True)
    users(config).deactivate(ALICE)
    lines = [line.split() for line in list_users(config)]
    assert [[line[0], *line[2:]] for line in lines] == [
        [ALICE, "deactivated"],
        ["@root:example.org", "admin"],
    ]
    settings = load_config(config)
    is_file = (settings.data_dir / "lamplighter.db").exists()
    assert is_file is (settings.database is None)


def test_no_database_is_no_accounts(empty: Path) -> None:
    """Listing makes no database where there is none."""
    assert list(list_users(empty)) == []
    assert list(empty.parent.iterdir()) == [empty]


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


def test_a_running_server_needs_the_token(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command never writes to the database of a running server; the error says what to do.

    The error comes as soon as the user is named, before the operator types a password.
    """
    register_user(empty, "alice", "old")
    monkeypatch.delenv("LAMPLIGHTER_ADMIN_TOKEN", raising=False)
    refused = r"no admin token.*; or stop the server first$"
    with mark_as_running(load_config(empty)):
        with pytest.raises(AdminUnavailable, match=refused):
            users(empty).find("alice")
        with pytest.raises(AdminUnavailable, match=refused):
            users(empty).reset_password(ALICE, "new", log_out=True)


@pytest.mark.processes
def test_beside_a_server_elsewhere(empty: Path, postgres_url: str) -> None:
    """An account is made and listed while a server runs; to change one, the server is asked."""
    empty.write_text(f"{empty.read_text()}database: {postgres_url}\n")

    async def beside() -> None:
        database = open_url(postgres_url)
        await add_room(database, "!a")
        try:
            await asyncio.to_thread(register_user, empty, "alice", "old")
            with pytest.raises(AdminUnavailable, match="name it with --url"):
                await asyncio.to_thread(users(empty).deactivate, ALICE)
            lines = await asyncio.to_thread(lambda: list(list_users(empty)))
            assert [it.split()[0] for it in lines] == [ALICE]
        finally:
            await database.close()

    asyncio.run(beside())


@pytest.mark.processes
def test_beside_a_node(empty: Path, postgres_url: str) -> None:
    """Beside a node that has written nothing yet, an account is made, of which the node hears; to
    change one, a node is asked.
    """
    cluster = "cluster: {node: a, bus: 'redis://127.0.0.1:1/0'}"
    empty.write_text(f"{empty.read_text()}database: {postgres_url}\n{cluster}\n")

    async def beside() -> None:
        async with nodes_on([open_url(postgres_url, sharing=Sharing.NODE)], FakeClock()) as nodes:
            [node] = nodes.nodes
            with pytest.raises(AdminUnavailable, match="name it with --url"):
                await asyncio.to_thread(users(empty).deactivate, ALICE)
            await asyncio.to_thread(register_user, empty, "alice", "old")
            for _ in range(2):
                await node.directory.tell_untold()
            assert [it for it, _ in node.recorder.told] == ["devices_gone"]
            await node.directory.create_room(ALICE, NewRoom("public_chat"))

    asyncio.run(beside())


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
