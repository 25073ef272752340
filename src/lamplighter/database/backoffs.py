"""The back-offs of servers that did not answer, across restarts."""

from collections.abc import Mapping

from sqlalchemy import delete, select

from lamplighter.clock import Timestamp
from lamplighter.database.dialects import upsert
from lamplighter.database.engine import Database
from lamplighter.database.tables import destinations
from lamplighter.ids import ServerName
from lamplighter.ports import BackoffState

__all__ = ["SqlBackoffStore"]


class SqlBackoffStore:
    """A `BackoffStore` in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Mapping[ServerName, BackoffState]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(destinations))).all()
        return {
            ServerName(row.server_name): BackoffState(row.failures, Timestamp(row.retry_at))
            for row in rows
        }

    async def save(self, server_name: ServerName, state: BackoffState | None) -> None:
        async with self._database.write() as connection:
            if state is None:
                forget = delete(destinations).where(destinations.c.server_name == server_name)
                await connection.execute(forget)
                return
            row = {
                "server_name": server_name,
                "failures": state.failures,
                "retry_at": state.retry_at,
            }
            await connection.execute(upsert(connection, destinations), row)
