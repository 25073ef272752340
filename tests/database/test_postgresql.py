"""PostgreSQL: one server at a time, a server that goes away and returns, and time-outs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import asyncpg
import pytest

from lamplighter.database.adapter import Sharing, Statement
from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.database.postgresql import PostgresqlTimeouts, open_url
from lamplighter.database.presence import SqlPresenceStore
from lamplighter.errors import DatabaseInUse, StorageUnavailable
from tests.database.rooms import add_room, adding, count_rooms
from tests.database.test_presence import load, saved, uncounted
from tests.postgresql import PostgresServer

#: For tests in which a lock is not released.
SHORT = PostgresqlTimeouts(lock=timedelta(milliseconds=100))
COUNT = Statement("SELECT count(*) FROM rooms")


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """A new, migrated database, where nobody waits long for a lock."""
    opened = open_url(postgres_url, SHORT)
    yield opened
    await opened.close()


async def test_two_servers(postgres_url: str) -> None:
    """A second process on the same database cannot write until the first has closed it."""
    first, second = open_url(postgres_url, SHORT), open_url(postgres_url, SHORT)
    await add_room(first, "!a")
    for work in (add_room(second, "!b"), second.commit(adding("!c"))):
        with pytest.raises(DatabaseInUse, match="Another Lamplighter"):
            await work
    await first.close()
    await add_room(second, "!d")
    assert await count_rooms(second) == 2
    await second.close()


async def test_a_command_beside_a_server(postgres_url: str) -> None:
    """A command that is not to be alone writes while a server runs; both see what is written."""
    server, command = open_url(postgres_url), open_url(postgres_url, sharing=Sharing.BESIDE)
    await add_room(server, "!a")
    await add_room(command, "!b")
    await server.commit(adding("!c"))
    assert [await count_rooms(server), await count_rooms(command)] == [3, 3]
    await server.close()
    await command.close()


async def test_the_lock_moves(
    database: Database, postgres: PostgresServer, postgres_url: str
) -> None:
    """A server whose connection was lost writes no more once another has taken its place."""
    await add_room(database, "!a")
    end_connections(postgres, postgres_url)
    other = open_url(postgres_url, SHORT)
    await add_room(other, "!b")
    with pytest.raises(StorageUnavailable):
        await add_room(database, "!c")
    with pytest.raises(DatabaseInUse):
        await add_room(database, "!c")
    assert await count_rooms(other) == 2
    await other.close()


def end_connections(postgres: PostgresServer, url: str) -> None:
    """End all connections to the database, as an administrator can."""
    postgres.tell(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
    )


async def test_a_server_that_is_restarted(postgres: PostgresServer, database: Database) -> None:
    """While PostgreSQL is stopped all fails at once; after its start all works, with no loss.

    A status that could not be written is kept, and goes with the next commit.
    """
    store = SqlPresenceStore(database, uncounted)
    await store.save([saved("alice", 1, "before")])
    with postgres.stopped():
        saving = store.save([saved("alice", 2, "during"), saved("bob", 3)])
        reads = [count_rooms(database) for _ in range(50)]
        writes = [add_room(database, f"!{n}") for n in range(50)]
        outcomes = await asyncio.gather(saving, *reads, *writes, return_exceptions=True)
        could_write = [database.can_write]
    await store.save([])
    could_write.append(database.can_write)
    assert {isinstance(it, StorageUnavailable) for it in outcomes} == {True}
    assert (could_write, await count_rooms(database)) == ([False, True], 0)
    assert await load(database) == [saved("alice", 2, "during"), saved("bob", 3)]


@pytest.mark.parametrize(
    "use",
    [
        count_rooms,
        lambda it: it.commit(adding("!b")),
        lambda it: it.fetch(COUNT),
    ],
)
async def test_connections_that_were_ended(
    postgres: PostgresServer,
    postgres_url: str,
    database: Database,
    use: Callable[[Database], asyncio.Future[object]],
) -> None:
    """After at most one failure a connection that PostgreSQL has ended is replaced."""
    await add_room(database, "!a")
    await count_rooms(database)
    await database.fetch(COUNT)
    end_connections(postgres, postgres_url)
    for attempt in range(2):
        try:
            await use(database)
        except StorageUnavailable:
            assert attempt == 0
    assert await count_rooms(database) >= 1


async def use_often(url: str, timeouts: PostgresqlTimeouts) -> set[str]:
    """Read and write many times at once; return what all of them say that fail as they should."""
    database = open_url(url, timeouts)
    reads = [count_rooms(database) for _ in range(40)]
    writes = [database.commit(adding("!a")) for _ in range(40)]
    outcomes = await asyncio.gather(*reads, *writes, return_exceptions=True)
    await database.close()
    assert [it for it in outcomes if not isinstance(it, StorageUnavailable)] == []
    return {str(it) for it in outcomes}


async def test_nobody_listens() -> None:
    """Where nobody listens, the error says that the connection failed, without the password."""
    [said] = await use_often("postgresql://lamplighter:s3cret@127.0.0.1:1/none", SHORT)
    assert said.startswith("The connection to PostgreSQL has failed")
    assert "s3cret" not in said


async def test_silence() -> None:
    """A server that does not answer is asked once over each connection, for all who wait."""
    asked: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: asked.append(writer), "127.0.0.1", 0)
    url = f"postgresql://lamplighter@127.0.0.1:{silent.sockets[0].getsockname()[1]}/none"
    said = await use_often(url, PostgresqlTimeouts(connection=timedelta(milliseconds=200)))
    silent.close()
    for writer in asked:
        writer.close()
        await writer.wait_closed()
    assert (said, len(asked)) == ({"PostgreSQL has not answered in time"}, 4)


async def test_a_statement_that_takes_too_long(database: Database) -> None:
    """A statement that is not answered in time fails, and the connection is usable again."""

    async def sleep() -> None:
        async with database.read() as connection:
            limit = await connection.exec_driver_sql("SHOW statement_timeout")
            assert limit.scalar_one() == "20s"
            await connection.exec_driver_sql("SET LOCAL statement_timeout = 1")
            await connection.exec_driver_sql("SELECT pg_sleep(60)")

    with pytest.raises(StorageUnavailable, match="PostgreSQL has not answered in time"):
        await sleep()
    assert await count_rooms(database) == 0


async def test_a_lock_that_somebody_keeps(database: Database, postgres_url: str) -> None:
    """A lock that another session does not release is told as such, and reads work."""
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute("LOCK TABLE rooms IN SHARE MODE")
        for work in (add_room(database, "!a"), database.commit(adding("!a"))):
            with pytest.raises(
                StorageUnavailable, match="Another process keeps the database locked"
            ):
                await work
        assert await count_rooms(database) == 0
    await other.close()
    await add_room(database, "!a")


@pytest.mark.parametrize(
    ("name", "user", "problem"),
    [
        ("no_such", "admin", "There is no such database"),
        ("postgres", "secretive", "refuses the user or the password"),
        ("postgres", "nobody_here", "refuses the user or the password"),
    ],
)
async def test_what_postgresql_refuses(
    postgres: PostgresServer, name: str, user: str, problem: str
) -> None:
    """A database that is not there, and a user or password that is wrong, are told as such."""
    database = open_url(postgres.url(name, f"{user}:wr0ng" if user == "secretive" else user))
    with pytest.raises(StorageUnavailable, match=problem) as caught:
        await count_rooms(database)
    assert "wr0ng" not in str(caught.value)
    await database.close()


async def test_a_database_that_is_read_only(postgres: PostgresServer, postgres_url: str) -> None:
    """A database that must not be written is told as such, and can be read."""
    name = postgres_url.partition("@/")[2].partition("?")[0]
    postgres.tell(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = open_url(postgres_url)
    with pytest.raises(StorageUnavailable, match="The database is read-only"):
        await add_room(database, "!a")
    assert await count_rooms(database) == 0
    await database.close()


async def test_two_that_migrate(postgres: PostgresServer) -> None:
    """Two processes that find no tables make them once."""
    url = postgres.empty_database()
    both = [open_url(url, sharing=Sharing.BESIDE), open_url(url, sharing=Sharing.BESIDE)]
    await asyncio.gather(*map(migrate, both))
    assert [await count_rooms(it) for it in both] == [0, 0]
    for database in both:
        await database.close()
    postgres.drop(url)
