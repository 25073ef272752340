"""One connection to Valkey or Redis, on which every call is answered or fails within a given time.

This client of the protocol is our own, because of its price (decision 0059). A call is a command,
and a future in the queue of those that wait for answers. Answers come in the order of commands. All
commands of one cycle of the event loop are sent in one write.

A call is never repeated: a record would be appended twice. A connection that is known to be closed
is replaced before a call.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from datetime import timedelta
from typing import Final, TypeAlias, cast

import hiredis

from lamplighter.clock import Clock, after, within
from lamplighter.cluster.valkey_address import ValkeyAddress
from lamplighter.errors import LogUnreachable
from lamplighter.futures import fail

__all__ = ["ErrorReply", "Link", "Reply", "Word"]

#: What the server answers.
Reply: TypeAlias = "bytes | int | list[Reply] | None"
#: A part of a command.
Word: TypeAlias = str | bytes | int

_NOTHING_YET: Final = object()


class ErrorReply(LogUnreachable):
    """The server answers with an error. The message begins with its code, as NOSCRIPT or OOM."""


class Link:
    """A connection, which is made when it is first needed, and again after it was lost."""

    def __init__(self, address: ValkeyAddress, clock: Clock, patience: timedelta) -> None:
        """Wait for *patience*: for a connection, and for each answer."""
        self._address = address
        self._clock = clock
        self._patience = patience
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def ask(self, *words: Word, longest: timedelta = timedelta(0)) -> Reply:
        """Return the answer to a command, which the server may hold back for *longest*.

        Raises `LogUnreachable` if none comes in time, and `ErrorReply` if it is an error.
        """
        connection = self._connection
        if connection is None or connection.lost:
            connection = await self._connect()
        answer = connection.send(words)
        due = after(self._clock.now(), self._patience + longest)
        timer = self._clock.call_at(due, connection.give_up)
        try:
            return await answer
        except asyncio.CancelledError:
            if longest:  # the next call would wait behind this one
                connection.give_up()
            raise
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Close the connection. What was not answered fails."""
        if self._connection is not None:
            self._connection.give_up()

    async def _connect(self) -> "_Connection":
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                where = self._address.shown
                try:
                    self._connection = await within(self._clock, self._patience, self._opened())
                except TimeoutError:
                    raise LogUnreachable(f"{where} does not answer") from None
                except OSError as error:
                    raise LogUnreachable(f"cannot connect to {where}: {error}") from error
            return self._connection

    async def _opened(self) -> "_Connection":
        address, loop = self._address, asyncio.get_running_loop()
        if address.path:
            _, connection = await loop.create_unix_connection(_Connection, address.path)
        else:
            _, connection = await loop.create_connection(
                _Connection, address.host, address.port, ssl=address.tls()
            )
        try:
            await asyncio.gather(*(connection.send(words) for words in address.greeting()))
        except BaseException:
            connection.give_up()
            raise
        return connection


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        #: Whether nothing can be sent any more.
        self.lost = False
        self._reader = hiredis.Reader(replyError=ErrorReply, notEnoughData=_NOTHING_YET)
        self._transport: asyncio.Transport | None = None
        self._to_send: list[bytes] = []
        self._unanswered: deque[asyncio.Future[Reply]] = deque()

    def send(self, words: tuple[Word, ...]) -> Awaitable[Reply]:
        """Send a command, with all others of this cycle; return its answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        if self.lost:
            fail(answer, LogUnreachable("the connection is lost"))
            return answer
        if not self._to_send:
            loop.call_soon(self._flush)
        packed = hiredis.pack_command(words)  # type: ignore[arg-type] # its stub: a tuple of one
        self._to_send.append(packed)
        self._unanswered.append(answer)
        return answer

    def give_up(self, why: str = "the server does not answer") -> None:
        """Close the connection. What was not answered fails."""
        if self._transport is not None:
            self._transport.abort()
        self._lose(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOTHING_YET:
                self._answer(reply)
        except hiredis.ProtocolError:
            self.give_up("the server does not speak the protocol of Valkey and Redis")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(f"the connection is lost: {exc}" if exc else "the server has hung up")

    def _answer(self, reply: "Reply | ErrorReply") -> None:
        if not self._unanswered:
            self.give_up("the server answers what nobody has asked")
            return
        answer = self._unanswered.popleft()
        if answer.done():
            return
        if isinstance(reply, ErrorReply):
            answer.set_exception(reply)
            if str(reply).startswith("READONLY"):
                # It was a primary; another server may be where a new connection comes to.
                self.give_up("the server has become a replica")
        else:
            answer.set_result(reply)

    def _flush(self) -> None:
        if not self.lost and self._transport is not None:
            self._transport.write(b"".join(self._to_send))
        self._to_send.clear()

    def _lose(self, why: str) -> None:
        self.lost = True
        while self._unanswered:
            fail(self._unanswered.popleft(), LogUnreachable(why))
