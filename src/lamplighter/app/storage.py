"""The storage of a server: its database, and its directory."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lamplighter.config import Config, DatabaseUrl
from lamplighter.database.adapter import Sharing
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.migrate import empty_database
from lamplighter.database.sqlite import open_file
from lamplighter.errors import ConfigError
from lamplighter.modules.sqlite import sqlite_databases
from lamplighter.modules.storage import ModuleDatabases

__all__ = ["Storage", "open_postgresql", "sharing_of"]

_DATABASE: Final = "lamplighter.db"


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage of a server."""

    database: Database
    #: The directory of the files; None keeps everything in memory.
    data_dir: Path | None
    #: The PostgreSQL database in which modules have theirs; None: that is beside the files.
    modules_url: DatabaseUrl | None = None

    def module_databases(self) -> ModuleDatabases:
        """Return the databases of one set of modules; several sets see the same data."""
        if self.modules_url is None:
            return sqlite_databases(self.data_dir)
        from lamplighter.modules.postgresql import postgresql_databases

        return postgresql_databases(self.modules_url)

    @classmethod
    def of(cls, config: Config, sharing: Sharing | None = None) -> "Storage":
        """Keep things where *config* says; raise `ConfigError` if that cannot be.

        *sharing* says who else may write to a PostgreSQL database; None is what a server allows.
        """
        if config.database is None:
            return cls.in_directory(config.data_dir)
        _make(config.data_dir)
        database = open_postgresql(config.database, sharing or sharing_of(config))
        return cls(database, config.data_dir, config.database)

    @classmethod
    def in_directory(cls, data_dir: Path) -> "Storage":
        """Keep everything below *data_dir*; raise `ConfigError` if that cannot be made."""
        _make(data_dir)
        return cls(open_file(data_dir / _DATABASE), data_dir)

    @staticmethod
    def prepare(data_dir: Path) -> None:
        """Begin a new *data_dir* with a database that has all tables, which makes a start faster.

        Only for tests: a process that dies meanwhile leaves half a database.
        """
        path = data_dir / _DATABASE
        if not path.exists():
            _make(data_dir)
            content = bytearray(empty_database())
            content[18:20] = b"\2\2"  # https://www.sqlite.org/fileformat.html: it is in WAL mode
            path.write_bytes(content)

    @classmethod
    def in_memory(cls) -> "Storage":
        """Keep everything until the process ends."""
        return cls(open_memory(), None)


def sharing_of(config: Config) -> Sharing:
    """Return who else may write to the database of a server."""
    return Sharing.ALONE if config.cluster is None else Sharing.NODE


def open_postgresql(url: DatabaseUrl, sharing: Sharing) -> Database:
    """Return the database at *url*; raise `ConfigError` where a driver is missing."""
    for driver in ("asyncpg", "psycopg"):
        if find_spec(driver) is None:
            raise ConfigError(
                f"database: PostgreSQL needs the driver {driver}; install lamplighter[postgresql]"
            )
    from lamplighter.database.postgresql import open_url

    return open_url(url, sharing=sharing)


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data_dir: {data_dir} cannot be made: {error.strerror}") from None
