"""The users who were visible to each viewer, across restarts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, column, delete, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.dialects import insert_once, upsert
from lamplighter.database.engine import Database
from lamplighter.database.tables import visibility
from lamplighter.ids import UserId

__all__ = ["KEYS_KEPT_UNDER", "NAME_KEPT_UNDER", "SqlVisibilityStore"]

#: Where the server's name and its public keys are kept, in the place of a viewer: no user has
#: these IDs. `identity.py` keeps them.
NAME_KEPT_UNDER: Final = UserId("server")
KEYS_KEPT_UNDER: Final = UserId("server keys")

#: Alembic's table has one row, from the start on.
_VERSION: Final = table("alembic_version", column("version_num"))
#: So many rows are read by one statement.
_AT_A_TIME: Final = 1_000


class SqlVisibilityStore:
    """A `VisibilityStore` in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Mapping[UserId, bytes]:
        async with self._database.read() as connection:
            of_server = (NAME_KEPT_UNDER, KEYS_KEPT_UNDER)
            wanted = select(visibility).where(visibility.c.viewer.not_in(of_server))
            rows = (await connection.execute(wanted)).all()
        return {UserId(row.viewer): row.content.encode() for row in rows}

    async def of(self, viewer: UserId) -> bytes | None:
        wanted = select(visibility.c.content).where(visibility.c.viewer == viewer)
        async with self._database.read() as connection:
            content: str | None = (await connection.execute(wanted)).scalar_one_or_none()
        return None if content is None else content.encode()

    async def begin(self, viewer: UserId, content: bytes) -> bytes:
        async with self._database.write() as connection:
            row = {"viewer": viewer, "content": content.decode()}
            await connection.execute(insert_once(connection, visibility), row)
            wanted = select(visibility.c.content).where(visibility.c.viewer == viewer)
            stored: str = (await connection.execute(wanted)).scalar_one()
        return stored.encode()

    async def update(
        self,
        viewers: Collection[UserId],
        change: Callable[[UserId, bytes | None], bytes | None],
    ) -> None:
        ordered = list(viewers)
        async with self._database.write() as connection:
            # Other nodes wait for this row. SQLite has no row locks, and one writer at a time.
            await connection.execute(select(_VERSION).with_for_update())
            for first in range(0, len(ordered), _AT_A_TIME):
                await _update(connection, ordered[first : first + _AT_A_TIME], change)


async def _update(
    connection: AsyncConnection,
    viewers: Sequence[UserId],
    change: Callable[[UserId, bytes | None], bytes | None],
) -> None:
    wanted = select(visibility).where(visibility.c.viewer.in_(viewers))
    before = {it.viewer: it.content.encode() for it in await connection.execute(wanted)}
    after = {viewer: change(viewer, before.get(viewer)) for viewer in viewers}
    kept = [
        {"viewer": viewer, "content": content.decode()}
        for viewer, content in after.items()
        if content is not None
    ]
    gone = [{"gone": viewer} for viewer, content in after.items() if content is None]
    if kept:
        await connection.execute(upsert(connection, visibility), kept)
    if gone:
        forget = delete(visibility).where(visibility.c.viewer == bindparam("gone"))
        await connection.execute(forget, gone)
