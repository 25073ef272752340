"""The modules' database in PostgreSQL: what no module, and no failure, does to the others."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from lamplighter.modules.background import Job
from lamplighter.modules.postgresql import postgresql_databases
from lamplighter.modules.storage import ModuleDatabase, ModuleTransaction
from tests.modules.test_storage import LABEL, add, make_table, rules
from tests.postgresql import PostgresServer

#: How many transactions wait for another one.
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

pytestmark = pytest.mark.processes


@pytest.fixture
def nodes(postgres_url: str) -> Iterator[tuple[ModuleDatabase, ModuleDatabase]]:
    """The database with a table, of each of two nodes."""
    one, two = (postgresql_databases(postgres_url).in_use for _ in range(2))
    one.run(LABEL, make_table).result()
    yield one, two
    for database in (one, two):
        database.close().result()


@pytest.fixture
def database(nodes: tuple[ModuleDatabase, ModuleDatabase]) -> ModuleDatabase:
    """That of one node."""
    return nodes[0]


def one_value(txn: ModuleTransaction, sql: str) -> object:
    """Return what *sql* finds."""
    txn.execute(sql)
    return (txn.fetchone() or (None,))[0]


async def test_nodes_share_it(nodes: tuple[ModuleDatabase, ModuleDatabase]) -> None:
    """What one node writes the other one reads."""
    one, two = nodes
    await one.run(LABEL, add, "a", 1)
    assert await two.run(LABEL, rules) == [("a", 1)]


async def test_one_transaction_at_a_time(nodes: tuple[ModuleDatabase, ModuleDatabase]) -> None:
    """A function that reads a number and writes a larger one loses nothing to another node."""
    others: list[Job[None]] = []

    def increase(txn: ModuleTransaction, *, meanwhile: bool) -> None:
        weight: Any = one_value(txn, "SELECT weight FROM rules WHERE name = 'n'")
        if meanwhile:
            others.append(nodes[1].run(LABEL, increase, meanwhile=False))
            while not others[0].done() and not one_value(txn, WAITING):
                pass
        txn.execute("UPDATE rules SET weight = ? WHERE name = 'n'", (weight + 1,))

    await nodes[0].run(LABEL, add, "n", 0)
    await nodes[0].run(LABEL, increase, meanwhile=True)
    await others[0]
    assert await nodes[0].run(LABEL, rules) == [("n", 2)]


async def test_at_the_same_time_for_the_first_time(postgres_url: str) -> None:
    """Several nodes may find the schema lacking at once."""
    databases = [postgresql_databases(postgres_url).in_use for _ in range(5)]
    jobs = [it.run(LABEL, one_value, "SELECT 1") for it in databases]
    assert [job.result() for job in jobs] == [1] * 5
    for database in databases:
        database.close().result()


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path = public",
        "SET statement_timeout = 1",
        "CREATE TEMPORARY TABLE rules (name TEXT, weight INTEGER)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET ROLE secretive",
        "SELECT pg_advisory_lock(hashtext('lamplighter_modules'))",
        "COMMIT",
        "ROLLBACK",
        "LISTEN x",
    ],
)
async def test_a_module_leaves_nothing_behind(database: ModuleDatabase, statement: str) -> None:
    """What a module sets in the session holds until its transaction ends, and no longer."""
    await database.run(LABEL, add, "a", 1)
    await database.run(LABEL, lambda txn: txn.execute(statement))
    await database.run(LABEL, add, "b", 2)
    assert await database.run(LABEL, rules) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    "statement", ["COPY rules TO STDOUT", "SELECT 1/0", "nonsense", "SELECT ?"]
)
async def test_a_statement_that_fails(database: ModuleDatabase, statement: str) -> None:
    """A function whose statement fails gets psycopg's error, and the next function works."""
    with pytest.raises(psycopg.Error):
        await database.run(LABEL, lambda txn: txn.execute(statement))
    await database.run(LABEL, add, "a", 1)
    assert await database.run(LABEL, rules) == [("a", 1)]


async def test_a_failure_that_is_not_passed_on(database: ModuleDatabase) -> None:
    """A function that catches an error of a statement, and returns, gets an error: PostgreSQL
    stores nothing of its transaction.
    """

    def work(txn: ModuleTransaction) -> None:
        add(txn, "a", 1)
        with pytest.raises(psycopg.IntegrityError):
            add(txn, "a", 2)

    with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="nothing of it can be stored"):
        await database.run(LABEL, work)
    assert await database.run(LABEL, rules) == []


async def test_text_that_it_cannot_store(database: ModuleDatabase) -> None:
    """Text with a NUL, or with half of a surrogate pair, is an error for the module."""
    for name, error in (("a\0", psycopg.DataError), ("\ud800", UnicodeEncodeError)):
        with pytest.raises(error):
            await database.run(LABEL, add, name, 1)
    assert await database.run(LABEL, rules) == []


async def test_a_restart(postgres: PostgresServer, database: ModuleDatabase) -> None:
    """PostgreSQL may restart between two transactions; while it is away, functions get an error."""
    await database.run(LABEL, add, "a", 1)
    with postgres.stopped(), pytest.raises(psycopg.OperationalError):
        await database.run(LABEL, rules)
    assert await database.run(LABEL, rules) == [("a", 1)]
    postgres.stop()
    postgres.start()
    assert await database.run(LABEL, rules) == [("a", 1)]


async def test_a_restart_in_the_middle(postgres: PostgresServer, database: ModuleDatabase) -> None:
    """If the connection fails in a transaction, the function gets an error, and nothing stays."""

    def work(txn: ModuleTransaction) -> None:
        add(txn, "a", 1)
        postgres.stop()
        postgres.start()
        add(txn, "b", 1)

    with pytest.raises(psycopg.OperationalError):
        await database.run(LABEL, work)
    assert await database.run(LABEL, rules) == []


async def test_nothing_hangs(database: ModuleDatabase) -> None:
    """A statement, and the pause between two statements of a transaction, have a time-out."""
    shown = [
        await database.run(LABEL, one_value, f"SHOW {it}")
        for it in ("statement_timeout", "idle_in_transaction_session_timeout")
    ]
    assert shown == ["1min", "30s"]


async def test_an_idle_transaction(nodes: tuple[ModuleDatabase, ModuleDatabase]) -> None:
    """A transaction that waits for too long is ended, and the other nodes go on."""

    def work(txn: ModuleTransaction) -> None:
        txn.execute("SET LOCAL idle_in_transaction_session_timeout = 10")
        add(txn, "a", 1)
        nodes[1].run(LABEL, add, "b", 1).result()
        add(txn, "c", 1)

    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        await nodes[0].run(LABEL, work)
    assert await nodes[0].run(LABEL, rules) == [("b", 1)]


async def test_row_ids(database: ModuleDatabase) -> None:
    """PostgreSQL has no row IDs: `lastrowid` is None."""

    def work(txn: ModuleTransaction) -> int | None:
        add(txn, "a", 1)
        return txn.lastrowid

    assert await database.run(LABEL, work) is None


async def test_a_role_that_may_not_create_schemas(
    postgres: PostgresServer, postgres_url: str
) -> None:
    """Where the user may not make the schema, the module learns it; one that is there is used."""
    url = postgres_url.replace("admin@", "secretive:wonder%2Fland%405%25@")
    database = postgresql_databases(url).in_use
    for _ in range(2):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await database.run(LABEL, make_table)
    postgres.tell(postgres_url, "CREATE SCHEMA lamplighter_modules AUTHORIZATION secretive")
    await database.run(LABEL, make_table)
    assert await database.run(LABEL, rules) == []
    database.close().result()
