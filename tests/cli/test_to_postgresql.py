"""`lamplighter cluster migrate`: everything arrives, or nothing does."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, select

from lamplighter.cli.preflight import check_surroundings, keys_in_database
from lamplighter.cli.running import mark_as_running
from lamplighter.cli.to_postgresql import copy_modules_to_postgresql, copy_to_postgresql
from lamplighter.config import load_config
from lamplighter.database.adapter import Sharing
from lamplighter.database.engine import Database
from lamplighter.database.identity import KnownKeys
from lamplighter.database.migrate import migrate
from lamplighter.database.migrations.versions import v0001_first_tables
from lamplighter.database.postgresql import open_url
from lamplighter.database.sqlite import open_file
from lamplighter.database.tables import metadata
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.errors import ConfigError, DatabaseInUse
from lamplighter.federation.keys import SigningKeys
from lamplighter.ids import ServerName
from lamplighter.modules.background import Label
from lamplighter.modules.postgresql import postgresql_databases
from lamplighter.modules.storage import ModuleTransaction
from tests.database.rooms import add_room
from tests.interop.processes import reserved_port
from tests.postgresql import PostgresServer

pytestmark = pytest.mark.processes

Rows = dict[str, list[tuple[Any, ...]]]

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
ALICE = "INSERT INTO users VALUES ('@alice:x', NULL, 1, 1, 0, ?, NULL)"


async def everything(database: Database) -> Rows:
    """Return all rows of all tables, and close *database*."""
    found: Rows = {}
    async with database.read() as connection:
        for table in metadata.sorted_tables:
            rows = await connection.execute(select(table).order_by(*table.primary_key))
            found[table.name] = [tuple(row) for row in rows]
    await database.close()
    return found


def written(folder: Path, url: str, more: str = "") -> Path:
    """Return the file of a configuration that names the database at *url*."""
    path = folder / "lamplighter.yaml"
    with reserved_port() as port:
        listen = f"listen: 127.0.0.1:{port}\n"
        path.write_text(f"server_name: lamp.test\n{listen}database: {url}\n{more}")
    return path


def migrated(path: Path, data_dir: Path | None = None) -> list[str]:
    """Run the command, outside of any event loop."""
    return list(copy_to_postgresql(path, data_dir))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of a server that has no accounts yet."""
    folder = tmp_path / "data"
    folder.mkdir()

    async def make() -> None:
        database = open_file(folder / "lamplighter.db")
        await migrate(database)
        await add_room(database, "!a")
        await database.close()

    asyncio.run(make())
    return folder


def changed(data: Path, statement: str, *values: object) -> None:
    """Change the SQLite database."""
    with closing(sqlite3.connect(data / "lamplighter.db", isolation_level=None)) as database:
        database.execute(statement, values)


@pytest.fixture
def empty(postgres: PostgresServer) -> Any:
    """The URL of a database with nothing in it."""
    url = postgres.empty_database()
    yield url
    postgres.drop(url)


async def lives(server: InMemoryServer) -> tuple[Any, ...]:
    """Have alice and bob share a room, in which something of everything happens."""
    alice, bob = await server.register("alice"), await server.register("bob")
    room = await server.room(alice, bob)
    await alice.send(room, "hello")
    await alice.call("PUT", f"/user/{alice.user_id}/account_data/x", {"a": "\0"})
    await alice.call("POST", f"/user/{alice.user_id}/filter", {})
    await alice.sync()
    await server.advance(seconds=1)
    await bob.set_status("unavailable", "grüße 🏮")
    await alice.sync(set_presence="offline")
    return alice, bob, room


async def test_everything_arrives_and_clients_go_on(tmp_path: Path, empty: str) -> None:
    """All tables are equal afterwards, and clients go on with their tokens: nothing comes twice."""
    data = tmp_path / "data"
    path = written(tmp_path, empty)
    async with running_server(server_name="lamp.test", data_dir=data) as server:
        alice, bob, room = await lives(server)
        await server.stop()
        before = await everything(open_file(data / "lamplighter.db"))
        lines = await asyncio.to_thread(migrated, path)
        assert await everything(open_url(empty)) == before
        assert sum(map(len, before.values())) > 20
        server.configure(load_config(path))
        await server.start()
        for client in (alice, bob):
            client.reconnect(server.http)
        answer = await alice.sync(set_presence="offline")
        assert (answer.presence, answer.joined) == ({}, {})
        assert (await alice.status_of(bob))["status_msg"] == "grüße 🏮"
        await bob.send(room, "after")
        assert list((await alice.sync()).joined) == [room]
    assert lines[0].endswith(f" rows now, of {data / 'lamplighter.db'}:")
    assert "users 2" in lines[1]
    assert (
        lines[-1] == "Next: start the server with this configuration. Its clients stay logged in."
    )


def of_the_first_version(file: Path) -> None:
    """Make the database that the first version made."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            v0001_first_tables.upgrade()
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
    engine.dispose()


def test_an_older_version(tmp_path: Path, empty: str) -> None:
    """The database of an older version is brought up to date in a copy; the file stays as it is."""
    data = tmp_path / "data"
    data.mkdir()
    of_the_first_version(data / "lamplighter.db")
    changed(data, ALICE, "Alice")
    was = (data / "lamplighter.db").read_bytes()
    migrated(written(tmp_path, empty))
    found = asyncio.run(everything(open_url(empty)))
    assert (len(found["users"]), found["known_members"]) == (1, [])
    assert (data / "lamplighter.db").read_bytes() == was


def test_a_newer_version(tmp_path: Path, data: Path, empty: str, postgres: PostgresServer) -> None:
    """The database of a newer version is refused, with its revision."""
    changed(data, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="'9999', which this version does not know"):
        migrated(written(tmp_path, empty))
    assert postgres.tell(empty, TABLES).strip() == "0"


@pytest.mark.parametrize(
    ("statement", "value", "said"),
    [
        (ALICE, "a\0b", "users.displayname of '@alice:x': text that holds a NUL"),
        (
            ALICE.replace("?", "CAST(? AS TEXT)"),
            b"\xed\xa0\x80",
            "users.displayname of '@alice:x': text that is not valid Unicode",
        ),
        (ALICE, b"x", "users.displayname of '@alice:x': b'x' is no text"),
        ("UPDATE rooms SET last_position = ?", "x", "is no whole number"),
        (ALICE.replace("1, 1, 0", "1, ?, 0").replace("0, ?", "0, NULL"), 7, "neither true nor"),
        (
            "INSERT INTO filters VALUES ('@nobody:x', ?, '{}')",
            "0",
            "filters: the row 1 refers to a row that users does not have",
        ),
    ],
)
def test_what_postgresql_cannot_store(
    tmp_path: Path,
    data: Path,
    empty: str,
    postgres: PostgresServer,
    statement: str,
    value: object,
    said: str,
) -> None:
    """A value that PostgreSQL cannot store is named with its row, and nothing is written."""
    changed(data, statement, value)
    with pytest.raises(ConfigError, match="nothing is copied") as refused:
        migrated(written(tmp_path, empty))
    assert said in str(refused.value)
    assert postgres.tell(empty, TABLES).strip() == "0"


def test_many_values_that_do_not_fit(tmp_path: Path, data: Path, empty: str) -> None:
    """Ten values are named, and the others counted."""
    for number in range(13):
        changed(data, ALICE.replace("alice", str(number)), "\0")
    with pytest.raises(ConfigError) as refused:
        migrated(written(tmp_path, empty))
    assert len(str(refused.value).splitlines()) == 12
    assert str(refused.value).endswith("and 3 more")


def test_a_database_with_data(tmp_path: Path, data: Path, empty: str) -> None:
    """A second copy is refused, with the tables that have data."""
    path = written(tmp_path, empty)
    migrated(path)
    with pytest.raises(ConfigError, match=r"there is data already, in .*rooms"):
        migrated(path)


def test_a_copy_that_fails(
    tmp_path: Path, data: Path, postgres: PostgresServer, empty: str
) -> None:
    """A copy that PostgreSQL breaks off leaves nothing behind, no tables either."""
    changed(data, ALICE, None)
    changed(data, "UPDATE users SET user_id = ?", "".join(map(chr, range(300, 3300))))
    path = written(tmp_path, empty)
    with pytest.raises(Exception, match="nothing is copied: index row size"):
        migrated(path)
    assert postgres.tell(empty, TABLES).strip() == "0"
    assert [it.name for it in data.iterdir() if it.name.startswith(".")] == []


def test_a_server_runs_on_the_files(tmp_path: Path, data: Path, empty: str) -> None:
    """While a server runs on the files, nothing is copied."""
    path = written(tmp_path, empty)
    with (
        mark_as_running(load_config(path)),
        pytest.raises(ConfigError, match="is in use by the server that runs as process"),
    ):
        migrated(path)


@pytest.mark.parametrize("sharing", [Sharing.ALONE, Sharing.NODE])
def test_a_server_runs_on_postgresql(
    tmp_path: Path, data: Path, empty: str, sharing: Sharing
) -> None:
    """While a server, or a node of a cluster, uses the PostgreSQL database, nothing is copied."""
    path = written(tmp_path, empty)

    async def beside() -> None:
        database = open_url(empty, sharing=sharing)
        await migrate(database)  # it has the connection that writes from now on
        try:
            with pytest.raises(DatabaseInUse):
                await asyncio.to_thread(migrated, path)
        finally:
            await database.close()

    asyncio.run(beside())


def test_from_elsewhere(tmp_path: Path, data: Path, empty: str) -> None:
    """The files may be in another directory; the signing key has to move with them. Until it has,
    no server starts, even if the files are of a version that kept no keys.
    """
    old = data.rename(tmp_path / "old")
    keys = SigningKeys.load_or_create(old / "signing.key", ServerName("lamp.test"))
    path = written(tmp_path, empty, "federation: {enabled: true, listen: '127.0.0.1:8448'}\n")
    lines = migrated(path, old)
    moves = f"Copy {old / 'signing.key'} to {data / 'signing.key'}"
    assert lines[-2] == f"{moves}: other servers know this server by it."
    assert keys_in_database(load_config(path)) == KnownKeys(keys.public, is_in_use=True)


def of_modules(data: Path, *statements: str, file: str = "modules.db") -> None:
    """Change the database of modules."""
    data.mkdir(exist_ok=True)
    with closing(sqlite3.connect(data / file, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def rules(txn: ModuleTransaction) -> list[tuple[Any, ...]]:
    """Return what a module has."""
    txn.execute("SELECT name, weight FROM rules ORDER BY name")
    return txn.fetchall()


RULES = (
    "CREATE TABLE rules (name TEXT PRIMARY KEY, weight INTEGER)",
    "INSERT INTO rules VALUES ('a', 1)",
)


def test_the_data_of_modules(tmp_path: Path, data: Path, empty: str) -> None:
    """What modules have comes along, those in the shadow too; what stays behind is said."""
    of_modules(data, *RULES, "CREATE VIEW v AS SELECT 1")
    of_modules(data, *RULES, "UPDATE rules SET weight = 2", file="modules-shadow.db")
    lines = migrated(written(tmp_path, empty))
    assert "lamplighter_modules.rules 1, lamplighter_modules_shadow.rules 1" in lines[1]
    assert lines[2] == "Not copied, for the module to make again: view v"
    databases = postgresql_databases(empty)
    found = [it.run(Label("M", "d"), rules).result() for it in databases]
    assert found == [[("a", 1)], [("a", 2)]]
    for database in databases:
        database.close().result()


def test_a_server_that_has_postgresql_already(
    tmp_path: Path, data: Path, postgres: PostgresServer, empty: str
) -> None:
    """A server with data of modules in a file does not start until they are copied."""
    path = written(tmp_path, empty)
    migrated(path)
    of_modules(data, *RULES)
    with pytest.raises(ConfigError, match=r"modules\.db has data of modules, .*migrate-modules"):
        check_surroundings(load_config(path))
    assert "lamplighter_modules.rules 1" in list(copy_modules_to_postgresql(path, None))[1]
    check_surroundings(load_config(path))
    with pytest.raises(ConfigError, match=r"already, in lamplighter_modules\.rules"):
        list(copy_modules_to_postgresql(path, None))
    assert postgres.tell(empty, "SELECT count(*) FROM rooms").strip() == "1"


def test_data_of_modules_that_do_not_fit(
    tmp_path: Path, data: Path, postgres: PostgresServer, empty: str
) -> None:
    """If the data of modules cannot be copied, nothing is."""
    of_modules(data, *RULES, "INSERT INTO rules VALUES ('b', 'heavy')")
    with pytest.raises(ConfigError, match=r"rules\.weight of 'b': 'heavy' is no whole number"):
        migrated(written(tmp_path, empty))
    assert postgres.tell(empty, TABLES).strip() == "0"


def test_no_data_of_modules(tmp_path: Path, data: Path, empty: str) -> None:
    """Where modules have no data, there is nothing to copy."""
    of_modules(data)
    with pytest.raises(ConfigError, match="has no data of modules"):
        list(copy_modules_to_postgresql(written(tmp_path, empty), None))


def test_what_cannot_be_copied(tmp_path: Path) -> None:
    """A configuration without PostgreSQL, and a directory without a database, are refused."""
    with pytest.raises(ConfigError, match="has no database: nothing to copy"):
        migrated(written(tmp_path, "postgresql://me@localhost/x"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lamplighter.db").touch()
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: lamp.test\n")
    with pytest.raises(ConfigError, match="it names no PostgreSQL database"):
        migrated(path)
