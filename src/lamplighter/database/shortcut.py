"""A way past SQLAlchemy, for the few statements that are executed more often than all others.

A transaction takes SQLAlchemy five trips to the driver's thread (BEGIN, the statement, COMMIT,
and what a pool does when a connection comes back), each of which wakes two threads; what is
selected takes more. A statement by itself is a transaction already, and takes one trip.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Shortcut"]


class Shortcut:
    """The driver's own connection (aiosqlite's) of an engine that has a single one.

    Nobody else may have a transaction open on it meanwhile.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        #: None until the engine opens its connection; it may close it, and open another one.
        self._connection: Any = None
        event.listen(engine.sync_engine, "connect", self._on_connect)
        event.listen(engine.sync_engine, "close", self._on_close)

    async def commit(self, statement: str, values: Sequence[object]) -> None:
        """Execute *statement*, with *values* for its question marks; it is committed by itself.

        Raises the driver's own errors.
        """
        await (await self._opened()).execute(statement, values)

    async def fetch(self, statement: str, values: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        """Return all rows of *statement*, which sees one moment of the database.

        Raises the driver's own errors.
        """
        rows: list[tuple[Any, ...]]
        rows = await (await self._opened()).execute_fetchall(statement, values)
        return rows

    async def _opened(self) -> Any:
        if self._connection is None:
            async with self._engine.connect():
                pass
        return self._connection

    def _on_connect(self, adapted: Any, record: object) -> None:  # noqa: ARG002 - SQLAlchemy's shape
        self._connection = adapted.driver_connection

    def _on_close(self, adapted: Any, record: object) -> None:  # noqa: ARG002 - SQLAlchemy's shape
        if adapted.driver_connection is self._connection:
            self._connection = None
