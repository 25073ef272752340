"""`lamplighter cluster migrate`: from a single node's SQLite files to PostgreSQL.

The files are copied first, so they stay as they are, whatever happens.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from lamplighter.app.signing_keys import signing_key_path
from lamplighter.app.storage import open_postgresql
from lamplighter.cli.backup import copy_database
from lamplighter.cli.preflight import check_database
from lamplighter.cli.running import mark_as_running
from lamplighter.config import Config, DatabaseUrl, load_config
from lamplighter.database.adapter import Sharing
from lamplighter.database.identity import begin_keys
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.modules.storage import ModulePlace

if TYPE_CHECKING:
    from lamplighter.database.copying import SqliteSource

__all__ = ["copy_modules_to_postgresql", "copy_to_postgresql"]

#: The database of the server itself.
_OURS: Final = "lamplighter.db"
#: How many values that do not fit are named.
_NAMED: Final = 10


def copy_to_postgresql(path: Path, data_dir: Path | None) -> Iterator[str]:
    """Copy what is in *data_dir*, by default that of the configuration; say what was done.

    Raises:
        ConfigError: there is nothing to copy, a server runs on the files, PostgreSQL has data, or
            cannot store all values, or a file of keys has none; nothing is written then.
        DatabaseInUse: a server uses the PostgreSQL database.
        StorageUnavailable: PostgreSQL fails; nothing is written then, either.
    """
    config = load_config(path)
    place = data_dir or config.data_dir
    if not (place / _OURS).is_file():
        raise ConfigError(f"data_dir: {place} has no database: nothing to copy")
    keys = _keys_beside(config, place / "signing.key")
    yield from _copy(config, place, [_OURS])
    if keys is not None and config.database is not None:
        # The files of an older version do not say the keys.
        asyncio.run(_begin_keys(config.database, keys))
        key = signing_key_path(config, config.data_dir)
        if not key.exists():
            yield f"Copy {keys.path} to {key}: other servers know this server by it."
    yield "Next: start the server with this configuration. Its clients stay logged in."


def _keys_beside(config: Config, path: Path) -> SigningKeys | None:
    """Return the keys with which the server has signed so far; None where there are none."""
    if not config.federation.enabled or config.homeserver is not None or not path.is_file():
        return None
    return SigningKeys.load(path, config.server_name)


async def _begin_keys(url: DatabaseUrl, keys: SigningKeys) -> None:
    database = open_postgresql(url, Sharing.BESIDE)
    try:
        await begin_keys(database, keys.public)
    finally:
        await database.close()


def copy_modules_to_postgresql(path: Path, data_dir: Path | None) -> Iterator[str]:
    """Copy only the modules' databases, of a server whose own database is PostgreSQL.

    Raises the same errors.
    """
    config = load_config(path)
    yield from _copy(config, data_dir or config.data_dir, [])


def _copy(config: Config, place: Path, files: list[str]) -> Iterator[str]:
    """Copy *files* of the directory *place*, and those of modules; say what was done."""
    if config.database is None:
        raise ConfigError("database: it names no PostgreSQL database to copy into")
    with mark_as_running(replace(config, data_dir=place)):
        check_database(config)
        # Where there is no driver, `check_database` has said so.
        from lamplighter.database.module_tables import has_tables

        files += [it.file for it in ModulePlace if has_tables(place / it.file)]
        if not files:
            raise ConfigError(f"data_dir: {place} has no data of modules: nothing to copy")
        copied, left_behind = _copied(config.database, place, files)
    names = ", ".join(str(place / it) for it in files)
    yield f"{config.database.shown} has {sum(copied.values()):,} rows now, of {names}:"
    yield "  " + ", ".join(f"{name} {rows:,}" for name, rows in copied.items() if rows)
    for what in left_behind:
        yield f"Not copied, for the module to make again: {what}"
    yield "No server reads these files any more. Keep them until all is well."


def _copied(
    url: DatabaseUrl, place: Path, files: Sequence[str]
) -> tuple[Mapping[str, int], Sequence[str]]:
    """Copy everything; return how many rows each table has, and what is not copied."""
    from lamplighter.database.copying import copy_all

    try:
        with tempfile.TemporaryDirectory(prefix=".migrating-", dir=place) as folder:
            for name in files:
                copy_database(place / name, Path(folder) / name)
            sources = [_source(Path(folder) / name) for name in files]
            _check_values(sources, place)
            return copy_all(url, sources), [what for it in sources for what in it.left_behind]
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"data_dir: {place} cannot be read, and copied: {error}") from None


def _source(file: Path) -> "SqliteSource":
    from lamplighter.database.copying import server_source
    from lamplighter.database.module_tables import modules_source

    if file.name == _OURS:
        return server_source(file)
    [schema] = [it.schema for it in ModulePlace if it.file == file.name]
    return modules_source(file, schema)


def _check_values(sources: "Sequence[SqliteSource]", place: Path) -> None:
    """Raise `ConfigError` if there is a value that PostgreSQL cannot store."""
    from lamplighter.database.copying import unfit_values

    for source in sources:
        found = unfit_values(source)
        named = list(islice(found, _NAMED))
        if named:
            more = sum(1 for _ in found)
            named += [f"and {more:,} more"] if more else []
            raise ConfigError(
                f"data_dir: PostgreSQL cannot store all that is in {place / source.path.name};"
                " nothing is copied. Change or delete these values, with sqlite3:\n  "
                + "\n  ".join(named)
            )
