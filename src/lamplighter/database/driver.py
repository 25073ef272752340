"""A driver's own connection, for single statements: a way past SQLAlchemy, which costs far more."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["DriverConnection"]


class DriverConnection:
    """The connection of an engine that has a single one.

    Nobody else may have a transaction open on it meanwhile.
    """

    def __init__(
        self, engine: AsyncEngine, is_usable: Callable[[Any], bool] = lambda _connection: True
    ) -> None:
        """The engine replaces, when it is asked for a connection, one that is not usable."""
        self._engine = engine
        self._is_usable = is_usable
        #: None until the engine opens its connection; it may close it, and open another one.
        self._connection: Any = None
        event.listen(engine.sync_engine, "connect", self._on_connect)
        event.listen(engine.sync_engine, "close", self._on_close)

    async def open(self) -> Any:
        """Return the connection, which is opened if need be."""
        if self._connection is None or not self._is_usable(self._connection):
            async with self._engine.connect():
                pass
        return self._connection

    def _on_connect(self, adapted: Any, record: object) -> None:  # noqa: ARG002 - SQLAlchemy's shape
        self._connection = adapted.driver_connection

    def _on_close(self, adapted: Any, record: object) -> None:  # noqa: ARG002 - SQLAlchemy's shape
        if adapted.driver_connection is self._connection:
            self._connection = None
