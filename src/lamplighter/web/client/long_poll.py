"""Waiting for news: what `/sync` and `/events` have in common.

Nearly every poll has its answer at hand when it is woken, and nearly every other finds nothing and
waits. So a poll is an object that looks, and answers when there is something to say; only
what takes a look at the database, or a module's word, is read by a task.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

from starlette.types import Receive

from lamplighter.delivery.timeouts import Timeouts
from lamplighter.delivery.tokens import SinceToken, Tokens
from lamplighter.errors import ShuttingDown, UnknownToken
from lamplighter.metrics import Metrics
from lamplighter.ports import Directory, Requester, RoomsSync
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.service import PresenceService, Reading
from lamplighter.service.background import Background
from lamplighter.web.client.filters import EVERYTHING, ClientFilter, PresenceFilter

__all__ = ["LONGEST_POLL", "Answer", "LongPoll", "News", "Question"]

#: A client that asks for more waits this long.
LONGEST_POLL: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Question:
    """What a client wants to hear, and what it says of itself by asking."""

    requester: Requester
    #: None for a first sync.
    since: SinceToken | None = None
    timeout: timedelta = timedelta(0)
    filter: ClientFilter = EVERYTHING
    full_state: bool = False
    set_presence: Presence | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What there is to hear, and the token that leads on from it."""

    next_batch: str
    #: Oldest change first.
    states: Sequence[UserPresenceState]
    rooms: RoomsSync


_NOTHING: Final = SinceToken(None, None)

#: Takes the news, or what is wrong.
Answer: TypeAlias = Callable[[News | Exception], None]


@dataclass(frozen=True, slots=True)
class LongPoll:
    """Reads rooms and presence together, and waits while neither has anything to say."""

    directory: Directory
    presence: PresenceService
    tokens: Tokens
    timeouts: Timeouts
    background: Background
    metrics: Metrics

    def begin(self, question: Question, answer: Answer) -> Callable[[], None]:
        """Call *answer*, now or later, with the news, once there are any or the time is over.

        It is called with `UnknownToken` if the device is logged out meanwhile. The function
        that is returned ends the waiting: for a client that has gone.
        """
        return _Waiting(self, question, answer).end

    async def news(self, question: Question, receive: Receive) -> News:
        """Return the news; raise what `begin` hands over. The client's leaving ends the waiting."""
        answered: asyncio.Future[News | Exception] = asyncio.get_running_loop().create_future()
        end = self.begin(question, partial(_settle, answered))
        leaving = asyncio.ensure_future(_call_when_gone(receive, end))
        try:
            news = await answered
        finally:
            leaving.cancel()
            end()
        if isinstance(news, Exception):
            raise news
        return news


class _Waiting:
    """One question, until it is answered."""

    __slots__ = (
        "_answer", "_connection", "_disarm", "_is_reading", "_looks_again", "_parts", "_poll",
        "_question",
    )  # fmt: skip

    def __init__(self, parts: LongPoll, question: Question, answer: Answer) -> None:
        self._parts = parts
        self._question = question
        self._answer: Answer | None = answer
        self._is_reading = self._looks_again = False
        self._disarm: Callable[[], None] | None = None
        presence, requester = parts.presence, question.requester
        self._connection = presence.connect(requester, question.set_presence)
        self._poll = presence.poll(requester, self._look)
        parts.metrics.poll_began()
        self._look()

    def end(self) -> None:
        """Wait no longer."""
        self._poll.end()

    def _look(self) -> None:
        """Answer, if there is reason to; read first what is not at hand."""
        if self._is_reading:
            self._looks_again = True
        elif (news := self._news_at_once()) is not None:
            self._weigh(news)
        else:
            self._is_reading = True
            self._parts.background.run(self._read())

    def _weigh(self, news: News) -> None:
        """Answer with *news*, or wait for more."""
        question, poll = self._question, self._poll
        if poll.is_revoked:
            self._finish(UnknownToken("The device was logged out"))
        elif poll.is_over or not question.timeout or _says_something(question, news):
            self._finish(news)
        elif self._disarm is None:
            timeout = min(question.timeout, LONGEST_POLL)
            self._disarm = self._parts.timeouts.put(poll, timeout)

    def _finish(self, result: News | Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if self._disarm is not None:
            self._disarm()
        parts = self._parts
        parts.presence.release(self._question.requester, self._poll)
        parts.presence.disconnect(self._connection)
        parts.metrics.poll_ended()
        answer(result)

    def _news_at_once(self) -> News | None:
        question = self._question
        since = question.since
        if since is None or question.full_state:
            return None
        rooms = self._parts.directory.quiet_rooms(question.requester, since.rooms)
        if rooms is None:
            return None
        viewer = question.requester.user_id
        reading = self._parts.presence.read_at_once(viewer, since.presence)
        return None if reading is None else self._news(rooms, reading)

    async def _read(self) -> None:
        try:
            news = await self._news_read()
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            self._finish(error)
            return
        except BaseException:
            self._finish(ShuttingDown())
            raise
        self._is_reading = False
        self._weigh(news)
        if self._looks_again and self._answer is not None:
            self._looks_again = False
            self._look()

    async def _news_read(self) -> News:
        question = self._question
        presence, requester = self._parts.presence, question.requester
        since = question.since or _NOTHING
        rooms = await self._parts.directory.sync_rooms(
            requester, since.rooms, question.filter.rooms, full_state=question.full_state
        )
        # Presence last: nothing is awaited between reading it and the answer.
        if question.since is None or question.full_state:
            reading = await presence.read_first(requester.user_id)
        else:
            reading = await presence.read_since(requester.user_id, since.presence)
        return self._news(rooms, reading)

    def _news(self, rooms: RoomsSync, reading: Reading) -> News:
        next_batch = self._parts.tokens.write(rooms.next_batch, reading.position)
        return News(next_batch, _chosen(reading, self._question.filter.presence), rooms)


def _says_something(question: Question, news: News) -> bool:
    rooms = news.rooms
    return (
        bool(news.states)
        or question.since is None
        or question.full_state
        or rooms.rooms is not None
        or rooms.account_data is not None
    )


def _chosen(reading: Reading, wanted: PresenceFilter) -> list[UserPresenceState]:
    newest_first = reading.updates
    if wanted is not EVERYTHING.presence:
        newest_first = [it for it in newest_first if wanted.admits(it.state.user_id)]
        newest_first = newest_first[: wanted.limit]
    return [update.state for update in reversed(newest_first)]


def _settle(answered: "asyncio.Future[News | Exception]", news: News | Exception) -> None:
    if not answered.done():  # else whoever waited for it has given up
        answered.set_result(news)


async def _call_when_gone(receive: Receive, end: Callable[[], None]) -> None:
    """A vanished client must not count as connected."""
    while (await receive())["type"] != "http.disconnect":
        pass
    end()
