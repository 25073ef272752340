"""The modules' databases in SQLite: files that are created at the first use, or memory."""

import sqlite3
from pathlib import Path

from lamplighter.modules.storage import Cursor, ModuleDatabase, ModuleDatabases, ModulePlace

__all__ = ["SqliteEngine", "sqlite_databases"]


class SqliteEngine:
    """A `ModuleEngine` on a SQLite file; in memory if *path* is None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def begin(self) -> Cursor:
        if self._connection is None:
            # None: the statements here begin and end each transaction, and not the sqlite3 module.
            self._connection = sqlite3.connect(self._path or ":memory:", isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection.cursor()

    def commit(self) -> None:
        if self._connection is not None:
            self._connection.commit()

    def rollback(self) -> None:
        if self._connection is not None:
            self._connection.rollback()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def sqlite_databases(folder: Path | None) -> ModuleDatabases:
    """Return the databases of a set of modules: files in *folder*, or memory if it is None."""

    def database(place: ModulePlace) -> ModuleDatabase:
        return ModuleDatabase(SqliteEngine(folder and folder / place.file))

    return ModuleDatabases(database(ModulePlace.IN_USE), database(ModulePlace.SHADOW))
