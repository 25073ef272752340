"""The lock file by which a running server holds its data directory.

Two servers on one directory would each know only half of the events. The lock ends with the
process, so a server that was killed leaves nothing to remove. The file tells other commands which
process runs, and at which addresses.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from lamplighter.config import Config
from lamplighter.errors import ConfigError

__all__ = ["Running", "addresses_of", "find_running_server", "mark_as_running"]

_FILE: Final = "running.lock"


class Running(msgspec.Struct, frozen=True):
    """A running server."""

    #: The ID of its process.
    pid: int
    #: The addresses at which the server listens, those of federation included.
    addresses: tuple[str, ...] = ()


@contextmanager
def mark_as_running(config: Config) -> Iterator[None]:
    """Hold the existing data directory until the block ends.

    Raises `ConfigError` if another server holds it.
    """
    path = config.data_dir / _FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"data_dir: {path} cannot be written: {error.strerror}") from None
    try:
        _lock(descriptor, config.data_dir)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, msgspec.json.encode(Running(os.getpid(), addresses_of(config))))
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def find_running_server(data_dir: Path) -> Running | None:
    """Return the server that holds *data_dir*; None if no server does."""
    try:
        descriptor = os.open(data_dir / _FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(os.read(descriptor, 65_536))
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return None


def addresses_of(config: Config) -> tuple[str, ...]:
    """Return all addresses at which a configuration serves."""
    federates_itself = config.federation.enabled and config.homeserver is None
    every = [*config.listen, *([config.federation.listen] if federates_itself else [])]
    return tuple(map(str, every))


def _lock(descriptor: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _read(os.read(descriptor, 65_536)).pid
        raise ConfigError(
            f"data_dir: {data_dir} is in use by the server that runs as process {pid}: "
            "stop it first"
        ) from None
    except OSError:  # a file system without locks keeps nobody out
        return


def _read(data: bytes) -> Running:
    try:
        return msgspec.json.decode(data, type=Running)
    except msgspec.DecodeError:  # it has just begun to run
        return Running(0)
