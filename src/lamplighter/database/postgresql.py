"""PostgreSQL, by asyncpg: one connection that writes, and a few that only read.

**Single statements go past SQLAlchemy**, which costs several times what the driver's own work does.
They have the connection that writes, or one of their own that reads.

**One process.** A session-level advisory lock belongs to the connection that writes, and is taken
whenever that connection is opened. A second Lamplighter on the same database cannot open its own,
and is refused; a Lamplighter that has lost its connection takes the lock again, or learns that
another process has taken it meanwhile. So nobody writes without the lock, and it ends with the
connection, however the process ends.

**One write at a time**, as with SQLite: the writes of this process stand in a queue of its own. The
stream's positions are read and written within a transaction, and in the order of the commits. The
commands that write beside a running server (`register-user`) hold no advisory lock; between them
and the server stands the lock of the row of `stream`, which every write of the directory takes
first.

**Nothing hangs.** Connecting, a statement, and waiting for a lock each have a time-out. A server
that has gone away costs one time-out: all reads and writes that wait for a connection meanwhile
fail with the first one, or each of them would wait for a time-out of its own. A connection that the
server has closed is replaced before its next use.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from lamplighter.database.adapter import PresenceRow, Sharing, Statement, presence_upsert
from lamplighter.database.driver import DriverConnection
from lamplighter.database.engine import Database
from lamplighter.errors import DatabaseInUse, DatabaseRefused, StorageUnavailable

__all__ = ["THE_SERVER", "PostgresqlAdapter", "PostgresqlTimeouts", "open_url"]

#: How many reads run at the same time, beside one of a single statement; more of them wait.
_READERS: Final = 3
#: The advisory lock of the one process that runs on a database.
THE_SERVER: Final = int.from_bytes(b"lamplite")

#: SQLSTATEs, or the classes that they begin with, that tell of the machine
#: (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). The longest that fits counts.
_TROUBLE: Final = {
    "08": "The connection to PostgreSQL has failed",
    "25006": "The database is read-only",
    "28": "PostgreSQL refuses the user or the password",
    "3D000": "There is no such database in PostgreSQL",
    "40": "PostgreSQL has given up a transaction that stood in another's way",
    "42501": "The user of PostgreSQL may not do this",
    "53": "PostgreSQL has run out of something",
    "53100": "The disk of PostgreSQL is full",
    "53300": "PostgreSQL has too many connections already",
    "55P03": "Another process keeps the database locked",
    "57": "PostgreSQL is stopping or starting",
    "57014": "PostgreSQL has not answered in time",
    "58": "The disk of PostgreSQL has failed to read or write",
    "XX": "PostgreSQL has failed",
    "XX001": "The database is damaged",
    "XX002": "The database is damaged",
}

#: Of these only another configuration helps, or another act of the operator.
_REFUSALS: Final = frozenset({"28000", "28P01", "3D000", "42501"})

#: Its parameters are the columns of the rows.
_SAVE: Final = presence_upsert("""
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::text[], $8::boolean[], $9::bigint[]
)
""")
_FORGET: Final = "DELETE FROM presence WHERE user_id = ANY ($1::text[])"


@dataclass(frozen=True, slots=True)
class PostgresqlTimeouts:
    """The longest times for which the server waits for PostgreSQL."""

    #: For a connection.
    connection: timedelta = timedelta(seconds=5)
    #: For the answer to a statement.
    answer: timedelta = timedelta(seconds=20)
    #: For a lock that another process holds.
    lock: timedelta = timedelta(seconds=5)


_LOCKS: Final = {
    Sharing.ALONE: "SELECT pg_advisory_lock($1)",
    Sharing.NODE: "SELECT pg_advisory_lock_shared($1)",
}
_IN_USE: Final = {
    Sharing.ALONE: "Another Lamplighter uses this database",
    Sharing.NODE: "A Lamplighter that is no node of a cluster uses this database",
}


class _Unreachable(StorageUnavailable):
    """PostgreSQL does not answer: reads and writes that wait for a connection fail as well."""


class PostgresqlAdapter:
    """The `Adapter` of PostgreSQL."""

    def __init__(self, url: str, timeouts: PostgresqlTimeouts, *, sharing: Sharing) -> None:
        """*url* is what PostgreSQL's own tools take; *sharing* says who else may use it."""
        self._url = url
        self._timeouts = timeouts
        self._sharing = sharing
        self._writer = _engine(self._connect_to_write, 1)
        self._reader = _engine(self._connect_to_read, _READERS)
        self._fetcher = _engine(self._connect_to_read, 1)
        self._to_commit = DriverConnection(self._writer, _is_open)
        self._to_fetch = DriverConnection(self._fetcher, _is_open)
        self._writing = asyncio.Lock()
        self._reading = asyncio.Semaphore(_READERS)
        self._fetching = asyncio.Lock()
        #: The last time that PostgreSQL was found not to answer; None if it never was.
        self._last_outage: _Unreachable | None = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._connected(self._reader, self._reading) as connection:
            yield connection

    @asynccontextmanager
    async def write(self, still_wanted: Callable[[], None]) -> AsyncIterator[AsyncConnection]:
        async with (
            self._connected(self._writer, self._writing, still_wanted) as connection,
            connection.begin(),
        ):
            yield connection

    async def commit(self, statement: Statement) -> None:
        async with self._driving(self._to_commit, self._writing) as driver:
            await driver.execute(statement.sql, *statement.values)

    async def fetch(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        async with self._driving(self._to_fetch, self._fetching) as driver:
            return [tuple(row) for row in await driver.fetch(statement.sql, *statement.values)]

    async def close(self) -> None:
        async with self._writing:
            for engine in (self._reader, self._fetcher, self._writer):
                await engine.dispose()

    def trouble_of(self, error: Exception) -> str | None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, TimeoutError):
            return _TROUBLE["57014"]
        code = getattr(cause, "sqlstate", None)
        if code is not None:
            fitting = (_TROUBLE[key] for key in (code, code[:2]) if key in _TROUBLE)
            trouble = next(fitting, None)
            return trouble and f"{trouble} ({cause})"
        ended = isinstance(cause, OSError) or _is_of_connection(cause)
        return f"{_TROUBLE['08']} ({cause})" if ended else None

    def saving(self, rows: Sequence[PresenceRow]) -> Statement:
        return Statement(_SAVE, [list(column) for column in zip(*rows, strict=True)])

    def forgetting(self, user_ids: Sequence[str]) -> Statement:
        return Statement(_FORGET, (user_ids,))

    @asynccontextmanager
    async def _connected(
        self,
        engine: AsyncEngine,
        turns: asyncio.Lock | asyncio.Semaphore,
        still_wanted: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[AsyncConnection]:
        """Wait for *turns*, and give a connection; one that has failed is not used again."""
        async with self._in_turn(turns):
            still_wanted()
            async with engine.connect() as connection:
                try:
                    yield connection
                except Exception as error:
                    if self._is_outage(error):
                        await connection.invalidate()
                    raise

    @asynccontextmanager
    async def _driving(
        self, connection: DriverConnection, turns: asyncio.Lock
    ) -> AsyncIterator[asyncpg.Connection]:
        """Wait for *turns*, and give a driver's own connection, in the same way."""
        async with self._in_turn(turns):
            driver = await connection.open()
            try:
                yield driver
            except Exception as error:
                if self._is_outage(error):
                    driver.terminate()
                raise

    @asynccontextmanager
    async def _in_turn(self, turns: asyncio.Lock | asyncio.Semaphore) -> AsyncIterator[None]:
        """Wait for *turns*.

        Fails with the reads and writes that PostgreSQL has failed while this one waited.
        """
        before = self._last_outage
        async with turns:
            if self._last_outage is not None and self._last_outage is not before:
                raise _Unreachable(str(self._last_outage))
            try:
                yield
            except Exception as error:
                if self._is_outage(error):
                    self._last_outage = _Unreachable(self.trouble_of(error) or str(error))
                raise

    def _is_outage(self, error: Exception) -> bool:
        """Tell whether *error* says that nothing at all is answered over a connection."""
        if isinstance(error, StorageUnavailable):
            return isinstance(error, _Unreachable | DatabaseInUse | DatabaseRefused)
        code = getattr(getattr(error, "orig", error), "sqlstate", None)
        if code is None:
            return self.trouble_of(error) is not None
        return code[:2] in ("08", "57") and code != "57014"

    async def _connect_to_read(self, *_: object) -> asyncpg.Connection:
        return await self._connect(
            default_transaction_read_only="on", default_transaction_isolation="repeatable read"
        )

    async def _connect_to_write(self, *_: object) -> asyncpg.Connection:
        connection = await self._connect(default_transaction_isolation="read committed")
        if self._sharing is not Sharing.BESIDE:
            try:
                await connection.execute(_LOCKS[self._sharing], THE_SERVER)
            except asyncpg.LockNotAvailableError:
                await connection.close()
                raise DatabaseInUse(_IN_USE[self._sharing]) from None
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _connect(self, **settings: str) -> asyncpg.Connection:
        timeouts = self._timeouts
        try:
            return await asyncpg.connect(
                self._url,
                timeout=timeouts.connection.total_seconds(),
                # PostgreSQL itself is to give up first: then the connection stays.
                command_timeout=(timeouts.answer * 1.25).total_seconds(),
                server_settings={
                    "application_name": "lamplighter",
                    "jit": "off",  # it costs more than these statements
                    "statement_timeout": _milliseconds(timeouts.answer),
                    "lock_timeout": _milliseconds(timeouts.lock),
                    # The lock of a machine that has vanished ends after a minute.
                    "tcp_keepalives_idle": "30",
                    "tcp_keepalives_interval": "10",
                    "tcp_keepalives_count": "3",
                    **settings,
                },
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            trouble = self.trouble_of(error) or str(error)
            if getattr(error, "sqlstate", None) in _REFUSALS:
                raise DatabaseRefused(trouble) from None
            raise _Unreachable(trouble) from None


def open_url(
    url: str,
    timeouts: PostgresqlTimeouts = PostgresqlTimeouts(),
    *,
    sharing: Sharing = Sharing.ALONE,
) -> Database:
    """Return the PostgreSQL database at *url*; connections are opened when they are needed.

    *sharing* says who else may write meanwhile.
    """
    return Database(PostgresqlAdapter(url, timeouts, sharing=sharing))


def _engine(creator: Callable[..., Any], connections: int) -> AsyncEngine:
    """Return an engine whose pool has at most that many *connections*."""
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=creator, pool_size=connections, max_overflow=0
    )
    event.listen(engine.sync_engine, "checkout", _replace_if_closed)
    return engine


def _is_open(connection: asyncpg.Connection) -> bool:
    return not connection.is_closed()


def _replace_if_closed(adapted: Any, record: object, proxy: object) -> None:  # noqa: ARG001 - SQLAlchemy's shape
    if not _is_open(adapted.driver_connection):
        raise DisconnectionError


def _is_of_connection(error: BaseException | None) -> bool:
    """Tell whether the driver, and not PostgreSQL, says that a connection cannot be used."""
    said = error and (error.__cause__ or error)
    return isinstance(
        said, asyncpg.InterfaceError | asyncpg.InternalClientError
    ) and not isinstance(said, ValueError)


def _milliseconds(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))
