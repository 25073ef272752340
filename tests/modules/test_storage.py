"""The modules' own database."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamplighter.modules.background import Label
from lamplighter.modules.sqlite import sqlite_databases
from lamplighter.modules.storage import ModuleDatabase, ModuleTransaction
from tests.engines import ENGINES

LABEL = Label("MyModule", "my interaction")
SCHEMA = "CREATE TABLE IF NOT EXISTS rules (name TEXT PRIMARY KEY, weight INTEGER)"


def make_table(txn: ModuleTransaction) -> None:
    """Make a table."""
    txn.execute(SCHEMA)


def add(txn: ModuleTransaction, name: str, weight: int) -> int:
    """Add a rule; return how many rows that were."""
    txn.execute("INSERT INTO rules VALUES (?, ?)", (name, weight))
    return txn.rowcount


def rules(txn: ModuleTransaction) -> list[tuple[object, ...]]:
    """Return all rules."""
    txn.execute("SELECT name, weight FROM rules ORDER BY name")
    return txn.fetchall()


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModuleDatabase]:
    """A database with a table: on each engine once."""
    database = opened(request, tmp_path)
    database.run(LABEL, make_table).result()
    yield database
    database.close().result()


def opened(request: pytest.FixtureRequest, tmp_path: Path) -> ModuleDatabase:
    """Return a new database on the engine of the test's parameter."""
    if request.param == "postgresql":
        from lamplighter.modules.postgresql import postgresql_databases

        url: str = request.getfixturevalue("postgres_url")
        return postgresql_databases(url).in_use
    return sqlite_databases(None if request.param == "sqlite-memory" else tmp_path).in_use


async def test_commit(database: ModuleDatabase) -> None:
    """The transaction of a function that returns is committed."""
    assert await database.run(LABEL, add, "a", weight=1) == 1
    assert await database.run(LABEL, rules) == [("a", 1)]


async def test_rollback(database: ModuleDatabase, logged: list[Any]) -> None:
    """The transaction of a function that raises is rolled back, and logged with the module."""

    def fail(txn: ModuleTransaction) -> None:
        add(txn, "a", 1)
        add(txn, "a", 2)

    with pytest.raises(Exception, match=r"(?i)unique"):
        await database.run(LABEL, fail)
    assert await database.run(LABEL, rules) == []
    assert [(line["event"], line["module"], line["desc"]) for line in logged] == [
        ("transaction undone", "MyModule", "my interaction")
    ]


async def test_cursor(database: ModuleDatabase) -> None:
    """The cursor has the methods of DB-API, and those that Synapse adds."""

    def work(txn: ModuleTransaction) -> list[object]:
        txn.executemany("INSERT INTO rules VALUES (?, ?)", [("a", 1), ("b", 2)])
        txn.execute_batch("INSERT INTO rules VALUES (?, ?)", [("c", 3)])
        txn.execute("INSERT INTO rules VALUES ('d', 4)")
        seen: list[object] = [txn.rowcount, txn.fetchall(), txn.fetchone(), txn.fetchmany(3)]
        txn.execute("SELECT name FROM rules ORDER BY name")
        seen += [txn.description[0][0], txn.fetchone(), txn.fetchmany(1), list(txn), txn.fetchone()]
        txn.close()
        return seen

    expected: list[object] = [1, [], None, [], "name", ("a",), [("b",)], [("c",), ("d",)], None]
    assert await database.run(LABEL, work) == expected


async def test_after_the_transaction(database: ModuleDatabase) -> None:
    """call_after is called after a commit, call_on_exception after a rollback."""
    told: list[str] = []

    def work(txn: ModuleTransaction, number: str) -> int:
        txn.call_after(told.append, "committed")
        txn.call_on_exception(told.append, "undone")
        return int(number)

    await database.run(LABEL, work, "1")
    with pytest.raises(ValueError):
        await database.run(LABEL, work, "x")
    assert told == ["committed", "undone"]


async def test_interactions_follow_one_another(database: ModuleDatabase) -> None:
    """Transactions from many threads at once all run, one after the other."""

    def increase(txn: ModuleTransaction) -> None:
        txn.execute("SELECT weight FROM rules WHERE name = 'n'")
        [(weight,)] = txn.fetchall()
        txn.execute("UPDATE rules SET weight = ? WHERE name = 'n'", (weight + 1,))

    await database.run(LABEL, add, "n", 0)
    threads = [
        threading.Thread(target=lambda: database.run(LABEL, increase).result()) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert await database.run(LABEL, rules) == [("n", 20)]


async def test_parameters(database: ModuleDatabase) -> None:
    """Parameters are written `?` or `:name`; in strings, names and comments neither is one, and a
    percent sign means nothing.
    """

    def work(txn: ModuleTransaction) -> list[object]:
        sql = """SELECT 'it''s 100% :a?' AS "a?", CAST(? AS TEXT) -- ? %s
              WHERE 'a%b' LIKE '%\\%_' ESCAPE '\\' OR ? = 1 /* ? :b */"""
        txn.execute(sql, ("x", 1))
        by_position = [txn.description[0][0], *txn.fetchall()]
        txn.execute("SELECT CAST(:b AS TEXT), ':b', :a + 1", {"a": 1, "b": "y", "c": 2})
        return [*by_position, *txn.fetchall()]

    expected: list[object] = ["a?", ("it's 100% :a?", "x"), ("y", ":b", 2)]
    assert await database.run(LABEL, work) == expected


async def test_values(database: ModuleDatabase) -> None:
    """Numbers, text, bytes and null come back as they went in."""
    values = (2**40, 0.5, "grüße %s ? 🏮 \\ '", b"\0\xff", None)

    def work(txn: ModuleTransaction) -> object:
        blob = "BLOB" if txn.lastrowid is not None else "BYTEA"
        txn.execute(f"CREATE TABLE v (a BIGINT, b DOUBLE PRECISION, c TEXT, d {blob}, e TEXT)")
        txn.execute("INSERT INTO v VALUES (?, ?, ?, ?, ?)", values)
        txn.execute("SELECT * FROM v")
        return txn.fetchone()

    assert await database.run(LABEL, work) == values


async def test_an_upsert(database: ModuleDatabase) -> None:
    """What both engines understand is the same in both: upserts, and `RETURNING`."""

    def work(txn: ModuleTransaction, weight: int) -> object:
        txn.execute(
            "INSERT INTO rules VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
            " SET weight = excluded.weight + rules.weight RETURNING weight",
            ("a", weight),
        )
        return txn.fetchone()

    assert [await database.run(LABEL, work, it) for it in (3, 4)] == [(3,), (7,)]


async def test_a_cursor_that_is_kept(database: ModuleDatabase) -> None:
    """After its transaction, a cursor cannot be used: a module cannot write into another's."""
    kept = await database.run(LABEL, lambda txn: txn)

    def use_it(_: ModuleTransaction) -> None:
        kept.execute("INSERT INTO rules VALUES ('a', 1)")

    with pytest.raises(Exception, match="closed"):
        await database.run(LABEL, use_it)
    assert await database.run(LABEL, rules) == []
