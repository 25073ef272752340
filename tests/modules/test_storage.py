"""The modules' own database."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamplighter.modules.background import Label
from lamplighter.modules.storage import ModuleDatabase, ModuleTransaction

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


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModuleDatabase]:
    """A database with a table, in a file or in memory."""
    database = ModuleDatabase(tmp_path / "modules.db" if request.param == "file" else None)
    database.run(LABEL, make_table).result()
    yield database
    database.close().result()


async def test_commit(database: ModuleDatabase) -> None:
    """The transaction of a function that returns is committed."""
    assert await database.run(LABEL, add, "a", weight=1) == 1
    assert await database.run(LABEL, rules) == [("a", 1)]


async def test_rollback(database: ModuleDatabase, logged: list[Any]) -> None:
    """The transaction of a function that raises is rolled back, and logged with the module."""

    def fail(txn: ModuleTransaction) -> None:
        add(txn, "a", 1)
        add(txn, "a", 2)

    with pytest.raises(sqlite3.IntegrityError):
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
        seen: list[object] = [txn.lastrowid]
        txn.execute("SELECT name FROM rules ORDER BY name")
        seen += [txn.description[0][0], txn.fetchone(), txn.fetchmany(1), list(txn), txn.fetchone()]
        txn.close()
        return seen

    expected: list[object] = [4, "name", ("a",), [("b",)], [("c",), ("d",)], None]
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


async def test_file_is_made_at_first_use(tmp_path: Path) -> None:
    """The file is created at the first use, and stays."""
    path = tmp_path / "modules.db"
    first = ModuleDatabase(path)
    assert not path.exists()
    await first.run(LABEL, make_table)
    await first.run(LABEL, add, "a", 1)
    first.close().result()
    second = ModuleDatabase(path)
    assert await second.run(LABEL, rules) == [("a", 1)]
    second.close().result()


async def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """If the file cannot be opened, the transaction raises, and the server goes on."""
    database = ModuleDatabase(tmp_path / "no" / "such" / "directory" / "modules.db")
    with pytest.raises(sqlite3.OperationalError):
        await database.run(LABEL, make_table)
