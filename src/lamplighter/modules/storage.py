"""A database for modules, apart from the server's, so that modules can harm only each other.

It is a SQLite file (`sqlite.py`), or a schema in the server's PostgreSQL (`postgresql.py`). One
thread runs the transactions of all modules of a server, one after the other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

import structlog

from lamplighter.modules.background import Job, Label
from lamplighter.modules.threads import Worker

__all__ = [
    "Cursor",
    "ModuleDatabase",
    "ModuleDatabases",
    "ModuleEngine",
    "ModulePlace",
    "ModuleTransaction",
    "Parameters",
]

_log = structlog.get_logger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

#: Values that are bound by position or by name.
Parameters = Sequence[Any] | Mapping[str, Any]


class ModulePlace(Enum):
    """Where the data of modules are: the file of SQLite, and the schema of PostgreSQL."""

    IN_USE = "modules.db", "lamplighter_modules"
    #: Of modules in the shadow, which must not change the data of the other modules.
    SHADOW = "modules-shadow.db", "lamplighter_modules_shadow"

    @property
    def file(self) -> str:
        """The name of the file in the data directory."""
        return self.value[0]

    @property
    def schema(self) -> str:
        """The name of the schema."""
        return self.value[1]


class Cursor(Protocol):
    """A cursor of DB-API."""

    @property
    def description(self) -> Any: ...
    @property
    def rowcount(self) -> int: ...
    @property
    def lastrowid(self) -> int | None: ...
    def execute(self, sql: str, parameters: Parameters = (), /) -> object: ...
    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> object: ...
    def fetchone(self) -> Any: ...
    def fetchmany(self, size: int = 1, /) -> list[Any]: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def close(self) -> None: ...


class ModuleEngine(Protocol):
    """Transactions of one database. All methods are called by one thread, and raise the driver's
    own errors.
    """

    def begin(self) -> Cursor:
        """Begin a transaction, after the one before; connect if need be."""

    def commit(self) -> None:
        """Store what the transaction has done; raise if that cannot be."""

    def rollback(self) -> None:
        """Undo what the transaction has done."""

    def close(self) -> None:
        """End the connection, if there is one."""


class ModuleTransaction:
    """What a module's function works with: a DB-API cursor within one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._after: list[Callable[[], object]] = []
        self._on_exception: list[Callable[[], object]] = []

    @property
    def description(self) -> Any:
        """The columns of the last query, as in DB-API."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows the last statement has changed."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The row ID of the last insertion; None in PostgreSQL: use `RETURNING`."""
        return self._cursor.lastrowid

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement; its parameters are written `?`, or `:name`."""
        self._cursor.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Parameters]) -> None:
        """Run one statement with each of *parameters*."""
        self._cursor.executemany(sql, parameters)

    def execute_batch(self, sql: str, parameters: Iterable[Parameters]) -> None:
        """Run one statement with each of *parameters*."""
        self._cursor.executemany(sql, parameters)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Return the next rows."""
        return self._cursor.fetchmany(size or 1)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left."""
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._cursor)

    def close(self) -> None:
        """Do nothing: the transaction ends with the function."""

    def call_after(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Call *callback*, in the same thread, once the transaction is committed."""
        self._after.append(lambda: callback(*args, **kwargs))

    def call_on_exception(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Call *callback*, in the same thread, if the transaction is rolled back."""
        self._on_exception.append(lambda: callback(*args, **kwargs))

    def committed(self) -> None:
        """Call the callbacks of `call_after`."""
        for callback in self._after:
            callback()

    def rolled_back(self) -> None:
        """Call the callbacks of `call_on_exception`."""
        for callback in self._on_exception:
            callback()


class ModuleDatabase:
    """A database of modules, on any engine."""

    def __init__(self, engine: ModuleEngine) -> None:
        self._engine = engine
        self._worker = Worker("module-database")

    def run(
        self,
        label: Label,
        func: Callable[Concatenate[ModuleTransaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[T]:
        """Call *func* with a transaction: committed if it returns, rolled back if it raises."""
        job: Job[T] = Job()

        def conclude(done: "Future[T]") -> None:
            error = done.exception()
            if error is not None:
                job.set_exception(error)
            else:
                job.set_result(done.result())

        done = self._worker.submit(lambda: self._interact(label, func, *args, **kwargs))
        done.add_done_callback(conclude)
        return job

    def close(self) -> "Future[None]":
        """Disconnect after all transactions so far; the caller need not wait for that."""
        return self._worker.end(self._engine.close)

    def _interact(
        self,
        label: Label,
        func: Callable[Concatenate[ModuleTransaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        cursor = self._engine.begin()
        transaction = ModuleTransaction(cursor)
        try:
            result = func(transaction, *args, **kwargs)
            self._engine.commit()
        except BaseException as error:
            # The job has the exception too, but modules often do not look at it.
            _log.info("transaction undone", module=label.module, desc=label.desc, error=repr(error))
            self._engine.rollback()
            transaction.rolled_back()
            raise
        finally:
            cursor.close()  # what a function leaves behind must not reach the next transaction
        transaction.committed()
        return result


class ModuleDatabases(NamedTuple):
    """The databases of one set of modules."""

    in_use: ModuleDatabase
    shadow: ModuleDatabase
