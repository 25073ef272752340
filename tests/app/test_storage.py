"""Which database and directory a configuration names."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lamplighter.app.storage import Storage
from lamplighter.config import parse_config_text
from lamplighter.errors import ConfigError
from lamplighter.modules.background import Label
from tests.postgresql import PostgresServer


def storage(folder: Path, lines: str = "") -> Storage:
    """Return the storage of a configuration in *folder*."""
    return Storage.of(parse_config_text(f"server_name: x.org\n{lines}", folder / "x.yaml"))


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in *folder*."""
    return {it.name for it in folder.iterdir()}


def test_a_directory_is_made_either_way(tmp_path: Path) -> None:
    """Keys are in `data_dir`, also beside a PostgreSQL database."""
    for name, lines in (("one", ""), ("two", "database: postgresql://me@localhost/x")):
        made = storage(tmp_path / name, lines)
        assert made.data_dir == tmp_path / name / "data"
        assert made.data_dir.stat().st_mode & 0o777 == 0o700


async def test_the_modules_database_in_files(tmp_path: Path) -> None:
    """Modules have files of their own beside the server's."""
    made = storage(tmp_path)
    for database in made.module_databases():
        await database.run(Label("M", "d"), lambda txn: txn.execute("CREATE TABLE t (a TEXT)"))
        database.close().result()
    assert names_in(tmp_path / "data") == {"modules.db", "modules-shadow.db"}
    await made.database.close()


@pytest.mark.processes
async def test_the_modules_database_in_postgresql(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    """With PostgreSQL, modules have schemas of their own in it, and no file."""
    made = storage(tmp_path, f"database: {postgres_url}")
    for database in made.module_databases():
        await database.run(Label("M", "d"), lambda txn: txn.execute("CREATE TABLE t (a TEXT)"))
        database.close().result()
    schemas = "SELECT schemaname FROM pg_tables WHERE tablename = 't' ORDER BY 1"
    found = postgres.tell(postgres_url, schemas).split()
    assert found == ["lamplighter_modules", "lamplighter_modules_shadow"]
    assert names_in(tmp_path / "data") == set()
    await made.database.close()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    """If a driver is not installed, the error names it, and the extra that brings it."""
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ConfigError, match=rf"driver {driver}; install lamplighter\[postgresql\]"):
        storage(tmp_path, "database: postgresql://me@localhost/x")


def blocked_by_a_file(folder: Path) -> Path:
    """Return a path at which there is a file."""
    (folder / "data").write_text("")
    return folder / "data"


def below_a_file(folder: Path) -> Path:
    """Return a path that leads through a file."""
    return blocked_by_a_file(folder) / "data"


@pytest.mark.parametrize(
    ("place", "problem"),
    [(blocked_by_a_file, "File exists"), (below_a_file, "Not a directory")],
)
def test_storage_that_cannot_be_made(
    tmp_path: Path, place: Callable[[Path], Path], problem: str
) -> None:
    """A directory that cannot be made is an error of the configuration that names key and path."""
    data = place(tmp_path)
    with pytest.raises(ConfigError) as refused:
        Storage.in_directory(data)
    assert str(refused.value) == f"data_dir: {data} cannot be made: {problem}"


async def test_storage_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory there are no files, for modules neither."""
    monkeypatch.chdir(tmp_path)
    storage = Storage.in_memory()
    for database in storage.module_databases():
        await database.run(Label("M", "d"), lambda txn: txn.execute("CREATE TABLE t (a TEXT)"))
        database.close().result()
    assert names_in(tmp_path) == set()
    await storage.database.close()
