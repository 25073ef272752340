"""The modules' database in a SQLite file."""

import sqlite3
from pathlib import Path

import pytest

from lamplighter.modules.sqlite import sqlite_databases
from lamplighter.modules.storage import ModuleTransaction
from tests.modules.test_storage import LABEL, add, make_table, rules


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in *folder*."""
    return {it.name for it in folder.iterdir()}


async def test_file_is_made_at_first_use(tmp_path: Path) -> None:
    """The file is created at the first use, and stays."""
    path = tmp_path / "modules.db"
    first = sqlite_databases(tmp_path).in_use
    assert not path.exists()
    await first.run(LABEL, make_table)
    await first.run(LABEL, add, "a", 1)
    first.close().result()
    second = sqlite_databases(tmp_path).in_use
    assert await second.run(LABEL, rules) == [("a", 1)]
    second.close().result()


async def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """If the file cannot be opened, the transaction raises, and the server goes on."""
    database = sqlite_databases(tmp_path / "no" / "such" / "directory").in_use
    with pytest.raises(sqlite3.OperationalError):
        await database.run(LABEL, make_table)


async def test_the_row_id() -> None:
    """The row ID of an insertion is known."""
    database = sqlite_databases(None).in_use

    def work(txn: ModuleTransaction) -> object:
        make_table(txn)
        add(txn, "a", 1)
        return txn.lastrowid

    assert await database.run(LABEL, work) == 1
    database.close().result()


async def test_the_shadow_has_its_own(tmp_path: Path) -> None:
    """Modules in the shadow have a file of their own."""
    databases = sqlite_databases(tmp_path)
    for database in databases:
        await database.run(LABEL, make_table)
        database.close().result()
    assert names_in(tmp_path) == {"modules.db", "modules-shadow.db"}
