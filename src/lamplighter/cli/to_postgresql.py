"""`lamplighter cluster migrate`: from a single node's SQLite files to PostgreSQL.

The files are copied first, so they stay as they are, whatever happens.
"""

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from lamplighter.app.federation import signing_key_path
from lamplighter.cli.backup import copy_database
from lamplighter.cli.preflight import check_database
from lamplighter.cli.running import mark_as_running
from lamplighter.config import Config, DatabaseUrl, load_config
from lamplighter.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.database.copying import SqliteSource

__all__ = ["copy_to_postgresql"]

#: How many values that do not fit are named.
_NAMED: Final = 10


def copy_to_postgresql(path: Path, data_dir: Path | None) -> Iterator[str]:
    """Copy what is in *data_dir*, by default that of the configuration; say what was done.

    Raises:
        ConfigError: there is nothing to copy, a server runs on the files, PostgreSQL has data, or
            cannot store all values; nothing is written then.
        DatabaseInUse: a server uses the PostgreSQL database.
        StorageUnavailable: PostgreSQL fails; nothing is written then, either.
    """
    config = load_config(path)
    url, place = config.database, data_dir or config.data_dir
    if url is None:
        raise ConfigError("database: it names no PostgreSQL database to copy into")
    if not (place / "lamplighter.db").is_file():
        raise ConfigError(f"data_dir: {place} has no database: nothing to copy")
    with mark_as_running(replace(config, data_dir=place)):
        check_database(config)
        copied = _copied(url, place)
    yield f"{url.shown} has {sum(copied.values()):,} rows now, of {place / 'lamplighter.db'}:"
    yield "  " + ", ".join(f"{name} {rows:,}" for name, rows in copied.items() if rows)
    yield from _what_next(config, place)


def _copied(url: DatabaseUrl, place: Path) -> Mapping[str, int]:
    """Copy everything, and return how many rows each table has."""
    # Where there is no driver, `check_database` has said so.
    from lamplighter.database.copying import copy_all, server_source

    try:
        with tempfile.TemporaryDirectory(prefix=".migrating-", dir=place) as folder:
            copy = Path(folder) / "lamplighter.db"
            copy_database(place / copy.name, copy)
            sources = [server_source(copy)]
            _check_values(sources, place)
            return copy_all(url, sources)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"data_dir: {place} cannot be read, and copied: {error}") from None


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


def _what_next(config: Config, place: Path) -> Iterator[str]:
    key = signing_key_path(config, config.data_dir)
    was = place / "signing.key"
    if config.federation.enabled and was.is_file() and not key.exists():
        yield f"Copy {was} to {key}: other servers know this server by it."
    yield "Next: start the server with this configuration. Its clients stay logged in."
    yield f"No server reads {place / 'lamplighter.db'} any more; keep it until all is well."
