"""The writes of the directory: each is one transaction. Then the ledger tells what it means.

The database has one writer at a time. Each write reads the position of the stream first, and locks
its row: other nodes, and a command that writes beside the server, wait for that row (in PostgreSQL;
SQLite locks the file). So positions have no gaps, and no two entries share one.

A single node hears the news of a write (`news.py`) as soon as it is stored. On many nodes the news
are stored in the same transaction, and every node hears them in the stream: only then do listeners
and caches learn of the write, and only then is its request answered.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import column, insert, select, table, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Clock, Timestamp
from lamplighter.cluster.positions import RECORD
from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.tables import news as news_table
from lamplighter.database.tables import stream as stream_table
from lamplighter.errors import ClusterRefused, ShuttingDown
from lamplighter.futures import retrieve
from lamplighter.homeserver.sql.members import RoomMembers
from lamplighter.homeserver.sql.news import DevicesOf, TypingNews, Written, decode_news, encode_news
from lamplighter.homeserver.sql.spreading import Spreading
from lamplighter.homeserver.sql.stream import RoomStream
from lamplighter.homeserver.sql.untold import UntoldNews
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import DirectoryListener, MembershipChange, WayToNodes

__all__ = ["Ledger", "Write"]

T = TypeVar("T")

#: Alembic's table has one row, from the start on: its lock keeps another first start waiting.
_VERSION = table("alembic_version", column("version_num"))

_log = structlog.get_logger(__name__)


class Write:
    """A transaction under way, with notes for the listeners, who get them after the commit."""

    def __init__(self, connection: AsyncConnection, now: Timestamp, position: int) -> None:
        self.connection = connection
        self.now = now
        #: The last position in the stream that was given out.
        self.position = position
        self.membership_changes: list[MembershipChange] = []
        self.devices_gone: list[DevicesOf] = []
        self.tokens_revoked: list[DevicesOf] = []
        #: Hashes of access tokens.
        self.ended_tokens: list[str] = []
        self.deactivated: list[UserId] = []
        #: Users who have news; and rooms whose members have news.
        self.news_for: set[UserId] = set()
        self.news_in: set[RoomId] = set()

    def next_position(self) -> int:
        """Return the next position in the stream."""
        self.position += 1
        return self.position

    def news(self, before: int) -> Written:
        """Return what the write means; *before* is the position before it."""
        return Written(
            before,
            self.position,
            frozenset(self.news_for),
            tuple(self.membership_changes),
            tuple(self.ended_tokens),
            tuple(self.devices_gone),
            tuple(self.tokens_revoked),
            tuple(self.deactivated),
            tuple(sorted(self.news_in)),
        )


class Ledger:
    """Reads and writes the directory's tables, and tells listeners of the writes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._listeners: list[DirectoryListener] = []
        self._token_listeners: list[Callable[[Sequence[str]], None]] = []
        self._typing_listeners: list[Callable[[TypingNews], None]] = []
        self._way: WayToNodes | None = None
        #: The way to all nodes; None on a single node.
        self._nodes: Spreading | None = None
        self._untold: UntoldNews | None = None
        self._stores_news = False
        #: The number of the entry that is heard, or was heard last, in the stream of all nodes.
        self._at = 0
        #: The stream; `start` reads where it stands.
        self.stream = RoomStream("", 0)
        #: The members of rooms; `RoomReader.members` reads them.
        self.members = RoomMembers()
        #: Tells the current instant.
        self.now = clock.now
        self._under_way: set[asyncio.Task[object]] = set()
        self._refuses_writes = False

    def join_cluster(self, way: WayToNodes) -> None:
        """Be one of many nodes; before `start`."""
        self._stores_news = True
        self._way = way
        self._at = way.after // RECORD

    def leave_news(self) -> None:
        """Store the news of writes, for nodes to tell that run on the same database."""
        self._stores_news = True

    async def start(self) -> None:
        """Read the position of the stream; the first time, begin a stream."""
        # Of many nodes, each shows from the start on, by the connection that writes, that it runs.
        opened = self._database.read if self._way is None else self._database.write
        async with opened() as connection:
            row = (await connection.execute(select(stream_table))).one_or_none()
        row = row or await self._begin_stream()
        self.stream.open(row.incarnation, row.position, self.now())
        if self._way is not None:
            self.stream.share_typing(self._at)
            self._nodes = Spreading(self._way.spread, self._clock, row.position)
            self._untold = UntoldNews(self._database, self._clock, self._nodes)

    def heard(self, position: StreamPosition, payload: bytes) -> None:
        """Hear what a node, perhaps this one, has handed to `Spread`: in the same order on all."""
        assert self._nodes is not None  # a single node spreads nothing
        self._at = position // RECORD
        news = decode_news(payload)
        if not isinstance(news, Written):
            self._hear_typing(news)
            return
        for written in self._nodes.in_order(news):
            self._hear(written)

    async def tell_untold(self) -> None:
        """Tell what other nodes have written and not told; called every second on many nodes."""
        if self._untold is not None:
            await self._untold.look()

    async def kept_news(self) -> Sequence[bytes]:
        """Return the news that are stored, told or not, in their order; a single node has none.

        Raises `StorageUnavailable`.
        """
        return () if self._untold is None else await self._untold.kept()

    async def hear_stored(self) -> Sequence[bytes]:
        """Hear what is stored and was not heard, if this is one of many nodes; return it.

        The stream has lost it, perhaps after other nodes had heard it. Raises `StorageUnavailable`,
        and `ClusterRefused` if a part of it is stored no more: only a start reads what it meant.
        """
        if self._nodes is None or self._untold is None:
            return ()
        written = await self.end()
        unheard = await self._untold.unheard()
        for payload in unheard:
            news = decode_news(payload)
            assert isinstance(news, Written)  # nothing else is stored
            for following in self._nodes.in_order(news):
                self._hear(following)
        if self._nodes.heard < written:
            raise ClusterRefused("this node has missed writes whose news are kept no more")
        return unheard

    def is_one_of_many(self) -> bool:
        """Whether other nodes write to the database as well."""
        return self._nodes is not None

    async def catch_up(self) -> None:
        """Return once this node has heard what was acknowledged on any node before the call.

        Raises `ClusterUnavailable` on a node that cannot find out.
        """
        if self._way is not None:
            await self._way.catch_up()

    async def end(self) -> int:
        """Return where the stream ends."""
        if self._nodes is not None:  # a single node knows
            [(stored,)] = await self._database.fetch(Statement("SELECT position FROM stream"))
            self.stream.advance(stored)
        return self.stream.position

    async def place(self, token: str | None) -> int | None:
        """Return a token's position; None for one that this database has not given out.

        Another node may have given out a token for what this one has not heard of. Then the
        database is asked where the stream is.
        """
        if self.stream.is_ahead(token):
            await self.end()
        return self.stream.parse(token)

    def listen(self, listener: DirectoryListener) -> None:
        """Tell *listener* of everything that is written from now on."""
        self._listeners.append(listener)

    def when_tokens_end(self, forget: Callable[[Sequence[str]], None]) -> None:
        """Have *forget* called with the hashes of access tokens that have ended."""
        self._token_listeners.append(forget)

    def when_typing(self, hear: Callable[[TypingNews], None]) -> None:
        """Have *hear* called with the news of typing."""
        self._typing_listeners.append(hear)

    @property
    def typing_place(self) -> int:
        """The place of what is heard now, among the serial numbers of typing."""
        return self.now() if self._nodes is None else self._at

    async def tell(self, news: TypingNews) -> None:
        """Have every node hear *news*, which are not stored; raise `ClusterUnavailable`."""
        if self._nodes is None:
            self._hear_typing(news)
        else:
            await self._nodes.tell_unstored(encode_news(news))

    def tell_soon(self, news: TypingNews) -> None:
        """Have every node hear *news*; on many nodes, they may be lost."""
        if self._nodes is None:
            self._hear_typing(news)
            return
        task = asyncio.ensure_future(self._nodes.tell_unstored(encode_news(news)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        task.add_done_callback(retrieve)

    def tell_news(self, user_ids: Iterable[UserId]) -> None:
        """Tell listeners that these users have news which are not in the database."""
        for listener in self._listeners:
            listener.rooms_news(user_ids)

    async def fetch(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        """Return the rows of one statement, at one moment of the database."""
        return await self._database.fetch(statement)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection that sees one moment of the database."""
        return self._database.read()

    async def write(self, work: Callable[[Write], Awaitable[T]]) -> T:
        """Do *work* in a transaction, tell listeners, and return the result of *work*.

        A write that has begun is finished, even if the caller is cancelled.
        Raises `ShuttingDown` if it has not begun by `refuse_writes`. On many nodes, raises
        `ClusterUnavailable` if this node is cut off, and nothing is written; and `Untold` if the
        write is stored, but this node has not heard of it in time.
        """
        task = asyncio.ensure_future(self._write(work))
        self._under_way.add(task)  # the event loop itself holds tasks weakly
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_unheard)
            raise

    def refuse_writes(self) -> None:
        """Begin no write any more, neither new ones nor those that wait for others to end."""
        self._refuses_writes = True

    def _still_wanted(self) -> None:
        if self._refuses_writes:
            raise ShuttingDown("The server is about to stop")

    async def _write(self, work: Callable[[Write], Awaitable[T]]) -> T:
        await self.catch_up()  # a node that is cut off writes nothing
        async with self._database.write(self._still_wanted) as connection:
            # Row locks are PostgreSQL's; for SQLite, SQLAlchemy leaves them out.
            position = select(stream_table.c.position).with_for_update()
            row = (await connection.execute(position)).one()
            write = Write(connection, self.now(), row.position)
            result = await work(write)
            news, stored = await self._end(write, row.position)
        if self._nodes is None:
            self._hear(news)
        elif stored is not None:
            await self._nodes.tell(news.position, stored)
        else:  # the write may be the repetition of one that was not told in time
            await self._nodes.reach(news.position)
        return result

    async def _end(self, write: Write, before: int) -> tuple[Written, bytes | None]:
        """Store the position of *write*; return its news, and how they are stored for all nodes."""
        news, payload = write.news(before), None
        if self._stores_news and news.says_something:
            if news.position == before:
                news = msgspec.structs.replace(news, position=write.next_position())
            payload = encode_news(news)
            row = {"position": news.position, "payload": payload, "written_ts": write.now}
            await write.connection.execute(insert(news_table).values(row))
        if news.position > before:
            await write.connection.execute(update(stream_table).values(position=news.position))
        return news, payload

    def _hear(self, news: Written) -> None:
        self.members.changed(news.memberships)
        have_news = self.members.among(news.news_for, news.news_in)
        self.stream.tell(news.position, have_news)
        if news.ended_tokens:
            for forget in self._token_listeners:
                forget(news.ended_tokens)
        for listener in self._listeners:
            for user_id, device_ids in news.devices_gone:
                listener.devices_gone(user_id, device_ids)
            for user_id, device_ids in news.tokens_revoked:
                listener.tokens_revoked(user_id, device_ids)
            if news.memberships:
                listener.memberships_changed(news.memberships)
            for user_id in news.deactivated:
                listener.user_deactivated(user_id)
            if have_news:
                listener.rooms_news(have_news)

    def _hear_typing(self, news: TypingNews) -> None:
        for hear in self._typing_listeners:
            hear(news)

    async def _begin_stream(self) -> Any:
        """Make the row of the stream, unless another process has just done so; return it."""
        async with self._database.write() as connection:
            await connection.execute(select(_VERSION).with_for_update())
            row = (await connection.execute(select(stream_table))).one_or_none()
            if row is None:
                values = {"incarnation": secrets.token_hex(4), "position": 0}
                await connection.execute(insert(stream_table).values(values))
                row = (await connection.execute(select(stream_table))).one()
        return row


def _log_unheard(write: "asyncio.Task[Any]") -> None:
    """Log the failure of *write*, whose caller was cancelled."""
    failure = None if write.cancelled() else write.exception()
    if failure is not None and not isinstance(failure, ShuttingDown):
        _log.error("a write failed after its request had ended", exc_info=failure)
