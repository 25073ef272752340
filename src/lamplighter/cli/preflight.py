"""The checks before a server starts: one list, for `serve` and `check-config`.

`serve` makes these checks before anything else, so `check-config` accepts nothing that `serve`
refuses. The checks change nothing: no file stays behind, no port stays taken, and no database is
migrated.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from lamplighter.app.cluster import open_log
from lamplighter.app.signing_keys import own_keys, signing_key_path
from lamplighter.app.storage import open_postgresql, sharing_of
from lamplighter.cli.running import addresses_of, find_running_server
from lamplighter.clock import SystemClock
from lamplighter.config import Address, BusUrl, Config, DatabaseUrl
from lamplighter.database.adapter import Sharing
from lamplighter.database.engine import Database
from lamplighter.database.identity import KnownKeys, known_keys
from lamplighter.database.migrate import check_file, check_server, look_into
from lamplighter.errors import (
    ClusterUnavailable,
    ConfigError,
    DatabaseRefused,
    LogLost,
    StorageUnavailable,
)
from lamplighter.federation.transport import tls_context
from lamplighter.modules.storage import ModulePlace
from lamplighter.web.listener import Certificate, certificate_context, listening_socket

__all__ = ["CHECKS", "check_database", "check_surroundings", "keys_in_database"]


def check_surroundings(config: Config) -> None:
    """Raise `ConfigError` for the first problem that keeps a server from starting.

    Raises `StorageUnavailable` for a database, and `ClusterUnavailable` for a log, that does not
    answer now.
    """
    for check in CHECKS:
        check(config)


def _data_dir(config: Config) -> None:
    path = config.data_dir
    problem = "cannot be written" if path.is_dir() else "cannot be made"
    _check_writable(path, f"data_dir: {path} {problem}")


def check_database(config: Config) -> None:
    """Raise `ConfigError` if a server could not use its database, which is only read.

    Raises `StorageUnavailable` if it does not answer now.
    """
    if config.database is None:
        check_file(config.data_dir / "lamplighter.db", config.server_name)
    else:
        asyncio.run(_check_postgresql(config, config.database))


async def _check_postgresql(config: Config, url: DatabaseUrl) -> None:
    """Connect as a server does; what the server that runs on the data directory has is free."""
    runs = find_running_server(config.data_dir) is not None
    async with _open(url, Sharing.BESIDE if runs else sharing_of(config)) as database:
        await check_server(database, config.server_name)


@asynccontextmanager
async def _open(url: DatabaseUrl, sharing: Sharing = Sharing.BESIDE) -> AsyncIterator[Database]:
    """Give a PostgreSQL database; raise `ConfigError` where it refuses this server.

    Where it does not answer now, that is `StorageUnavailable`: another start may help.
    """
    database = open_postgresql(url, sharing)
    try:
        yield database
    except StorageUnavailable as error:
        kind = ConfigError if isinstance(error, DatabaseRefused) else StorageUnavailable
        raise kind(f"database: {url.shown}: {error}") from None
    finally:
        await database.close()


def keys_in_database(config: Config) -> KnownKeys:
    """Return what the database, which is only read, says of the keys of this server.

    Raises `ConfigError` where it cannot be read, and `StorageUnavailable` where it does not answer.
    """
    look = partial(known_keys, name=config.server_name)

    async def ask(url: DatabaseUrl) -> KnownKeys:
        async with _open(url) as database, database.read() as connection:
            return await connection.run_sync(look)

    if config.database is not None:
        return asyncio.run(ask(config.database))
    return look_into(config.data_dir / "lamplighter.db", look) or KnownKeys()


def _databases(config: Config) -> None:
    check_database(config)
    if config.database is not None:
        asyncio.run(_check_module_data(config, config.database))


async def _check_module_data(config: Config, url: DatabaseUrl) -> None:
    """Raise `ConfigError` if modules have data in a file, and none in the PostgreSQL database."""
    from lamplighter.database.module_tables import has_schema, has_tables

    async with _open(url) as database:
        for place in ModulePlace:
            file = config.data_dir / place.file
            if has_tables(file) and not await has_schema(database, place.schema):
                raise ConfigError(
                    f"data_dir: {file} has data of modules, whose place is PostgreSQL now; copy"
                    " all data with `lamplighter cluster migrate`, or only these with"
                    " `lamplighter cluster migrate-modules`, or move the file away"
                )


def _log(config: Config) -> None:
    """Ask the log of the cluster, without joining it."""
    if config.cluster is not None:
        asyncio.run(_check_log(config, config.cluster.bus))


async def _check_log(config: Config, bus: BusUrl) -> None:
    log = open_log(bus, config.server_name, SystemClock())
    try:
        with suppress(LogLost):  # no node has joined so far
            await log.standing()
    except ClusterUnavailable as error:
        raise ClusterUnavailable(f"cluster.bus: {error}") from error
    finally:
        await log.close()


def _record(config: Config) -> None:
    record = config.routing.record
    if record is None:
        return
    where = f"routing.record: {record} cannot be written"
    if record.is_dir():
        raise ConfigError(f"{where}: Is a directory")
    if not record.parent.is_dir() and record.parent != config.data_dir:
        raise ConfigError(f"{where}: the directory {record.parent} is not there")
    _check_writable(record.parent, where)


def _signing_key(config: Config) -> None:
    if not config.federation.enabled:
        return
    keys = own_keys(config, config.data_dir, keys_in_database(config))
    path = signing_key_path(config, config.data_dir)
    if keys is None and path.parent != config.data_dir:
        where = f"{path}: cannot be written"
        if not path.parent.is_dir():
            raise ConfigError(f"{where}: No such file or directory")
        _check_writable(path.parent, where)


def _certificate(config: Config) -> None:
    federation = config.federation
    chain, key = federation.tls_certificate, federation.tls_private_key
    if federation.enabled and chain is not None and key is not None:
        certificate_context(Certificate(chain, key), "federation.")


def _authorities(config: Config) -> None:
    federation = config.federation
    if federation.enabled:
        try:
            tls_context(
                verify=federation.verify_certificates, extra_ca_files=federation.extra_ca_files
            )
        except ConfigError as error:
            raise ConfigError(f"federation.extra_ca_files: {error}") from None


def _addresses(config: Config) -> None:
    """Listen at all addresses at once, as a server does, and close them.

    The addresses of a server that runs on the same data directory count as free.
    """
    running = find_running_server(config.data_dir)
    ours = frozenset(running.addresses) if running else frozenset()
    with ExitStack() as stack:
        for address in addresses_of(config):
            if address in ours:
                continue
            section = "" if address in config.listen else "federation."
            stack.enter_context(listening_socket(Address(address), section))


def _check_writable(path: Path, complaint: str) -> None:
    """Raise `ConfigError` unless a directory can be made in *path* or in its nearest parent."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        # Only an attempt tells about permissions, read-only file systems and quotas.
        with tempfile.TemporaryDirectory(prefix=".lamplighter-", dir=path):
            pass
    except OSError as error:
        raise ConfigError(f"{complaint}: {error.strerror}") from None


#: In the order of a start.
CHECKS: Final[tuple[Callable[[Config], None], ...]] = (
    _data_dir,
    _log,
    _databases,
    _record,
    _signing_key,
    _certificate,
    _authorities,
    _addresses,
)
