"""`lamplighter backup`: all data of a server in one file, while the server runs.

The file is a compressed tar archive of the data directory: the databases, each copied at one moment
by SQLite's online backup, and the signing keys. To restore, unpack it.
"""

import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lamplighter.app.signing_keys import signing_key_path
from lamplighter.config import load_config
from lamplighter.errors import ConfigError

__all__ = ["backup", "copy_database"]

_DATABASES: Final = ("lamplighter.db", "modules.db", "modules-shadow.db")
#: How long SQLite waits for a locked database, in seconds.
_BUSY: Final = 30


def backup(config_path: Path, target: Path) -> Iterator[str]:
    """Write a new archive at *target*, readable by its owner only; return lines about its content.

    Raises `ConfigError` if there is nothing to back up, or a file cannot be read or written.
    """
    config = load_config(config_path)
    if config.database is not None:
        raise ConfigError(
            "database: PostgreSQL is backed up by pg_dump, not by this command; the signing keys "
            f"are in {config.data_dir}"
        )
    if not (config.data_dir / _DATABASES[0]).is_file():
        raise ConfigError(f"data_dir: {config.data_dir} has no database: nothing to back up")
    key = signing_key_path(config, config.data_dir)
    # The keys get the names that they have in a data directory. A homeserver has its own backup.
    keys = {"signing.key": key, "signing.key.old": key.with_name(f"{key.name}.old")}
    keys = keys if config.homeserver is None else {}
    beside = target.with_name(f"{target.name}.part")
    if target.exists():
        raise ConfigError(f"{target}: exists already; name another file, or remove it")
    try:
        names = _write(beside, config.data_dir, keys)
        beside.replace(target)
    except (OSError, sqlite3.Error) as error:
        beside.unlink(missing_ok=True)
        problem = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{target}: the backup has failed: {problem}") from None
    yield from (f"{target}: {name}" for name in names)
    if "signing.key" in names and key.parent != config.data_dir:
        yield f"signing.key belongs to {key}, by federation.signing_key"


def _write(path: Path, data_dir: Path, keys: dict[str, Path]) -> list[str]:
    """Write the archive at *path*; return the names of the files in it."""
    # Nobody else may ever read the archive: password hashes and keys are in it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        names = list(_packed(file, data_dir, keys))
        file.flush()
        os.fsync(descriptor)
    return names


def _packed(file: io.BufferedWriter, data_dir: Path, keys: dict[str, Path]) -> Iterator[str]:
    """Put the files into an archive, and yield their names."""
    with (
        tarfile.open(fileobj=file, mode="w:gz") as archive,
        tempfile.TemporaryDirectory(prefix="lamplighter-backup-") as folder,
    ):
        for name in _DATABASES:
            if (data_dir / name).exists():
                copy = Path(folder) / name
                copy_database(data_dir / name, copy)
                archive.add(copy, name, filter=_owners_only)
                yield name
        for name, path in keys.items():
            if path.exists():
                archive.add(path, name, filter=_owners_only)
                yield name


def _owners_only(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mode = 0o600
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def copy_database(source: Path, copy: Path) -> None:
    """Copy a database, which may be in use, at one moment; check the copy.

    Raises `sqlite3.Error` where it cannot be read, or is damaged.
    """
    address = f"file:{quote(str(source.absolute()))}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_BUSY)) as live,
        closing(sqlite3.connect(copy)) as made,
    ):
        live.backup(made)
        # Without a log beside it the copy is one file.
        made.execute("PRAGMA journal_mode = DELETE")
        [(verdict,)] = made.execute("PRAGMA quick_check(1)").fetchall()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"{source.name} is damaged: {verdict}")
