"""How often a node reads the log where other nodes append much.

Each append wakes every node that waits for news, so the work of the server grows with appends times
nodes. A node that gets more than a record each millisecond pauses until `PAUSE` after each answer,
and has in the next one what was appended meanwhile:

    0.0 ms  b reads a record of c, and pauses
    0.3 ms, 0.8 ms, 1.9 ms  c and d append
    2.0 ms  b asks, and has three records in one answer

Nobody waits longer for a record that comes later than `PAUSE` after the last one: by then the node
has asked again.

A pause ends where somebody waits for what is there to read: when this node has appended a record,
has asked where the log ends, or has got a message. While the node pauses, a connection of its own
waits for messages. So a message is answered on two connections, and a node that gets many does not
pause.
"""

import asyncio
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timestamp, after, milliseconds
from lamplighter.cluster.log import Lease, LogNews, MessageId, ToldToAll
from lamplighter.cluster.valkey_link import Link, Reply
from lamplighter.futures import finish, retrieve
from lamplighter.ids import StreamPosition

__all__ = ["COUNTED_FOR", "PAUSE", "ReadPace"]

#: From an answer until the node asks again.
PAUSE: Final = timedelta(milliseconds=2)
#: The node looks at the records of so long a time, or of longer, whether it has to pause.
COUNTED_FOR: Final = timedelta(milliseconds=100)
#: A message costs as much as so many answers with one record.
_OF_A_MESSAGE: Final = 2
#: How long one question for messages waits for them.
_LISTENS_FOR: Final = timedelta(seconds=10)


class ReadPace:
    """When one node reads the log again."""

    def __init__(self, clock: Clock, link: Link) -> None:
        """*link* is a connection for this alone, which is made when this node first pauses."""
        self._clock = clock
        self._link = link
        #: What has come since when: records of others, less `_OF_A_MESSAGE` for each message.
        self._count = 0
        self._since = Timestamp(0)
        #: Whether it was so much that the node pauses, and until when it does so now.
        self._is_much = False
        self._due = Timestamp(0)
        #: The newest position that somebody waits for, and that of the last record that was read.
        self._wanted = self._read = StreamPosition(0)
        self._pause: asyncio.Future[None] | None = None
        #: The inbox to which the node listens, and the question for what is new in it.
        self._inbox = ""
        self._listening: asyncio.Task[Reply] | None = None

    async def before_read(
        self, read: StreamPosition, inbox: str, inbox_after: MessageId | str
    ) -> None:
        """Return when it is time to read what comes after *read*, and after *inbox_after*."""
        if self._clock.now() >= self._due or self._wanted > read:
            return
        self._read = read
        self._listen(inbox, inbox_after)
        self._pause = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(self._due, self._end_pause)
        try:
            await self._pause
        finally:
            timer.cancel()
            self._pause = None

    def answered(self, lease: Lease, news: LogNews, *, in_part: bool) -> None:
        """Learn what the node with *lease* was answered; *in_part* if there may be more already."""
        now = self._clock.now()
        told = (it for it in news.records if isinstance(it, ToldToAll))
        self._count += sum(it.by != lease for it in told)
        self._count -= _OF_A_MESSAGE * len(news.messages)
        if now >= after(self._since, COUNTED_FOR):
            self._is_much = self._count > now - self._since
            self._count, self._since = 0, now
        if self._is_much and not in_part:
            self._due = after(now, PAUSE)

    def want(self, position: StreamPosition) -> None:
        """Learn that somebody waits until this node has read the record at *position*."""
        self._wanted = max(self._wanted, position)
        if position > self._read:
            self._end_pause()

    async def close(self) -> None:
        """Close the connection."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self._link.close()

    def _listen(self, inbox: str, inbox_after: MessageId | str) -> None:
        """Ask for messages, unless an earlier question will be answered when there is one."""
        listening = self._listening
        if listening is not None and not listening.done():
            if inbox == self._inbox:
                return
            listening.cancel()
        self._inbox = inbox
        block = ("BLOCK", milliseconds(_LISTENS_FOR))
        question = ("XREAD", "COUNT", 1, *block, "STREAMS", inbox, inbox_after)
        self._listening = asyncio.ensure_future(self._link.ask(*question, longest=_LISTENS_FOR))
        self._listening.add_done_callback(self._heard)

    def _heard(self, listening: "asyncio.Task[Reply]") -> None:
        """End the pause: there is a message, or it is unknown whether there is one."""
        retrieve(listening)
        if listening is self._listening:
            self._end_pause()

    def _end_pause(self) -> None:
        if self._pause is not None:
            finish(self._pause)
