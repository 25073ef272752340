"""The users who were visible to each viewer, across restarts."""

from collections.abc import Mapping

from sqlalchemy import bindparam, delete, select

from lamplighter.database.dialects import insert_once, upsert
from lamplighter.database.engine import Database
from lamplighter.database.tables import visibility
from lamplighter.ids import UserId

__all__ = ["SqlVisibilityStore"]


class SqlVisibilityStore:
    """A `VisibilityStore` in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Mapping[UserId, bytes]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(visibility))).all()
        return {UserId(row.viewer): row.content.encode() for row in rows}

    async def begin(self, viewer: UserId, content: bytes) -> bytes:
        async with self._database.write() as connection:
            row = {"viewer": viewer, "content": content.decode()}
            await connection.execute(insert_once(connection, visibility), row)
            wanted = select(visibility.c.content).where(visibility.c.viewer == viewer)
            stored: str = (await connection.execute(wanted)).scalar_one()
        return stored.encode()

    async def save(self, contents: Mapping[UserId, bytes | None]) -> None:
        kept = [
            {"viewer": viewer, "content": content.decode()}
            for viewer, content in contents.items()
            if content is not None
        ]
        gone = [{"gone": viewer} for viewer, content in contents.items() if content is None]
        async with self._database.write() as connection:
            if kept:
                await connection.execute(upsert(connection, visibility), kept)
            if gone:
                forget = delete(visibility).where(visibility.c.viewer == bindparam("gone"))
                await connection.execute(forget, gone)
