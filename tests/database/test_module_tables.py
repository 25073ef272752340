"""Tables that modules have made in SQLite, as tables of PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lamplighter.database.copying import copy_all, unfit_values
from lamplighter.database.module_tables import has_tables, modules_source
from lamplighter.errors import ConfigError
from tests.postgresql import PostgresServer

SCHEMA = "of_modules"


def made(folder: Path, *statements: str) -> Path:
    """Return a SQLite file that these statements have made."""
    path = folder / "modules.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
    return path


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """A database with nothing in it."""
    url = postgres.empty_database()
    yield url
    postgres.drop(url)


def copied(path: Path, url: str, *questions: str) -> list[list[tuple[Any, ...]]]:
    """Copy the file, and return the rows of each question then."""
    source = modules_source(path, SCHEMA)
    assert list(unfit_values(source)) == []
    copy_all(url, [source])
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}", autocommit=True) as connection:
        return [connection.execute(it.encode()).fetchall() for it in questions]


@pytest.mark.processes
def test_values_and_types(tmp_path: Path, url: str) -> None:
    """A column has the type that its declaration means in PostgreSQL; else its values decide."""
    types = (
        "n INTEGER, b BOOLEAN, f REAL, t VARCHAR(2), x BLOB, a, d DECIMAL(5,2), i TIMESTAMP,"
        " y BYTEA, j JSON, k ANY, m DATETIME"
    )
    path = made(
        tmp_path,
        f"CREATE TABLE t ({types})",
        "INSERT INTO t VALUES (1099511627776, 1, 0.5, 'long text', x'00ff', 'any', 1.25,"
        " '2024-01-01 10:00:00', x'01', '{\"a\": 1}', 3, 1700000000)",
        "INSERT INTO t VALUES " + f"({', '.join(['NULL'] * 12)})",
    )
    kinds = (
        "SELECT string_agg(data_type, ',' ORDER BY ordinal_position)"
        f" FROM information_schema.columns WHERE table_schema = '{SCHEMA}'"
    )
    names, rows = copied(path, url, kinds, "SELECT * FROM t ORDER BY n")
    assert names[0][0] == (
        "bigint,boolean,double precision,text,bytea,text,numeric,timestamp without time zone,"
        "bytea,json,numeric,bigint"
    )
    assert [str(it) for it in rows[0][:8]] == [
        "1099511627776", "True", "0.5", "long text", r"b'\x00\xff'", "any", "1.25",
        "2024-01-01 10:00:00",
    ]  # fmt: skip
    assert rows[0][8:] == (b"\1", {"a": 1}, 3, 1_700_000_000)
    assert rows[1] == (None,) * 12


@pytest.mark.processes
def test_keys_and_defaults(tmp_path: Path, url: str) -> None:
    """Primary and foreign keys, uniqueness, defaults and row IDs are as they were."""
    path = made(
        tmp_path,
        "CREATE TABLE Teams (Name TEXT PRIMARY KEY, open BOOLEAN NOT NULL DEFAULT 1)",
        "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, nick TEXT DEFAULT 'it''s:x',"
        " team TEXT REFERENCES Teams (Name) ON DELETE CASCADE, UNIQUE (nick, team))",
        "CREATE UNIQUE INDEX by_team ON people (team)",
        "INSERT INTO Teams (Name) VALUES ('a'), ('b'), ('c')",
        "INSERT INTO people (id, team) VALUES (7, 'a'), (9, 'b')",
        "DELETE FROM people WHERE id = 9",
    )
    questions = (
        "SELECT name, open FROM teams ORDER BY name",
        "INSERT INTO people (team) VALUES ('c') RETURNING id, nick",
        "DELETE FROM teams WHERE name = 'a' RETURNING open",
        "SELECT id FROM people",
        f"SELECT indexname FROM pg_indexes WHERE schemaname = '{SCHEMA}' ORDER BY 1",
    )
    assert copied(path, url, *questions) == [
        [("a", True), ("b", True), ("c", True)],
        [(10, "it's:x")],
        [(True,)],
        [(10,)],
        [("by_team",), ("people_nick_team_key",), ("people_pkey",), ("teams_pkey",)],
    ]


@pytest.mark.processes
def test_names_in_quotes(tmp_path: Path, url: str) -> None:
    """Names in quotes stay as they are; PostgreSQL's own words are names, too."""
    path = made(
        tmp_path,
        'CREATE TABLE "My Table" ("Order" TEXT, Plain TEXT)',
        'INSERT INTO "My Table" VALUES (1, 2)',
    )
    assert copied(path, url, 'SELECT "Order", plain FROM "My Table"') == [[("1", "2")]]


def test_what_is_left_behind(tmp_path: Path) -> None:
    """What PostgreSQL would read in another way is left out, with its name."""
    path = made(
        tmp_path,
        "CREATE TABLE t (a TEXT DEFAULT (lower('A')), b TEXT COLLATE NOCASE CHECK (b > ''))",
        "CREATE INDEX part ON t (a) WHERE b = 'x'",
        "CREATE INDEX lower_b ON t (lower(b))",
        "CREATE INDEX whole ON t (a)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
    )
    assert modules_source(path, SCHEMA).left_behind == (
        "default of t.a: lower('A')",
        "check in t: b > ''",
        "collation NOCASE in t",
        "index part",
        "index lower_b",
        "view v",
        "trigger tr",
    )


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("INTEGER", "'x'", "'x' is no whole number"),
        ("BOOLEAN", "2", "2 is neither true nor false"),
        ("REAL", "'x'", "'x' is no number"),
        ("BLOB", "'x'", "'x' is no BLOB"),
        ("TEXT", "x'00'", r"b'\x00' is no text"),
        ("TEXT", "'a' || char(0)", "text that holds a NUL"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, column: str, value: str, problem: str) -> None:
    """A value that is not of its column's type is named with the key of its row."""
    path = made(
        tmp_path,
        f"CREATE TABLE t (k TEXT PRIMARY KEY, a {column})",
        f"INSERT INTO t VALUES ('one', {value})",
    )
    assert list(unfit_values(modules_source(path, SCHEMA))) == [f"t.a of 'one': {problem}"]


def test_a_virtual_table(tmp_path: Path) -> None:
    """A virtual table is refused."""
    path = made(tmp_path, "CREATE VIRTUAL TABLE words USING fts5 (body)")
    with pytest.raises(ConfigError, match="words is a virtual table"):
        modules_source(path, SCHEMA)


def test_whether_there_are_tables(tmp_path: Path) -> None:
    """A file has tables, or not; what is no database is refused."""
    path = tmp_path / "modules.db"
    found = [has_tables(path)]
    made(tmp_path)
    found.append(has_tables(path))
    made(tmp_path, "CREATE TABLE t (a TEXT)")
    found.append(has_tables(path))
    assert found == [False, False, True]
    path.write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="cannot be used: file is not a database"):
        has_tables(path)
