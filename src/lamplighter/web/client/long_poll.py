"""Waiting for news: what `/sync` and `/events` have in common.

Nearly every poll has its answer at hand when it is woken, and nearly every other finds nothing and
waits. So a poll is an object that looks, and answers when there is something to say; only
what takes a look at the database, or a module's word, is read by a task.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace
from starlette.types import Receive

from lamplighter.clock import Timestamp
from lamplighter.delivery.feed import Poll
from lamplighter.delivery.outbox import Update
from lamplighter.delivery.timeouts import Timeouts
from lamplighter.delivery.tokens import SinceToken
from lamplighter.errors import ShuttingDown, TooSlow, UnknownToken
from lamplighter.ids import StreamPosition
from lamplighter.metrics import Metrics
from lamplighter.ports import Directory, Requester, RoomsSync
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.service import PresenceService
from lamplighter.service.background import Background
from lamplighter.web.client.filters import EVERYTHING, ClientFilter, PresenceFilter
from lamplighter.web.places import Places

__all__ = ["LONGEST_POLL", "Answer", "LongPoll", "News", "Question", "Waiting"]

#: A client that asks for more waits this long.
LONGEST_POLL: Final = timedelta(minutes=10)


class Question(msgspec.Struct, frozen=True):
    """What a client wants to hear, and what it says of itself by asking."""

    #: None for a first sync.
    since: SinceToken | None = None
    timeout: timedelta = timedelta(0)
    filter: ClientFilter = EVERYTHING
    full_state: bool = False
    set_presence: Presence | None = None


def _nothing() -> None:
    """Most answers have no place."""


class News(msgspec.Struct, frozen=True):
    """What there is to hear, and where it leads to."""

    rooms: RoomsSync
    position: StreamPosition
    #: Oldest change first.
    states: Sequence[UserPresenceState]
    #: Gives back the place that an expensive answer has; to be called when it is sent.
    leave: Callable[[], None] = _nothing


_NOTHING: Final = SinceToken(None, None)

#: Takes the news, or what is wrong.
Answer: TypeAlias = Callable[[News | Exception], None]


@dataclass(frozen=True, slots=True)
class LongPoll:
    """Reads rooms and presence together, and waits while neither has anything to say."""

    directory: Directory
    presence: PresenceService
    timeouts: Timeouts
    background: Background
    metrics: Metrics
    places: Places

    def begin(self, requester: Requester, question: Question, answer: Answer) -> "Waiting":
        """Call *answer*, now or later, with the news, once there are any or the time is over.

        It is called with `UnknownToken` if the device is logged out meanwhile, and with
        `LimitExceeded` if too many of the user's first syncs wait. The poll that is returned may
        be ended, for a client that has gone, or given up, if nobody would take an answer.
        """
        poll = _Request(self, requester, question, answer)
        self.presence.wait(requester.user_id, poll)
        self.metrics.poll_began()
        poll.look()
        return poll

    async def news(self, requester: Requester, question: Question, receive: Receive) -> News:
        """Return the news; raise what `begin` hands over. The client's leaving ends the waiting."""
        answered: asyncio.Future[News | Exception] = asyncio.get_running_loop().create_future()
        poll = self.begin(requester, question, partial(_settle, answered))
        leaving = asyncio.ensure_future(_end_with(receive, poll))
        try:
            news = await answered
        finally:
            leaving.cancel()
            poll.give_up()
        if isinstance(news, Exception):
            raise news
        news.leave()
        return news


class Waiting(Poll):
    """One question, until it is answered."""

    __slots__ = ()

    @abstractmethod
    def give_up(self) -> None:
        """Do nothing more: nobody would take the answer."""


class _Request(Waiting):
    """A question that is answered once."""

    __slots__ = (
        "_answer", "_connection", "_due", "_is_reading", "_looks_again", "_parts", "_question",
        "_reading", "_requester",
    )  # fmt: skip

    def __init__(
        self, parts: LongPoll, requester: Requester, question: Question, answer: Answer
    ) -> None:
        super().__init__(requester.device_id)
        self._parts = parts
        self._requester = requester
        self._question = question
        #: None once it was called.
        self._answer: Answer | None = answer
        self._is_reading = self._looks_again = False
        self._reading: asyncio.Task[None] | None = None
        self._due: Timestamp | None = None
        self._connection = parts.presence.connect(
            requester, question.set_presence, is_first=question.since is None
        )

    def look(self) -> None:
        """Answer, if there is reason to; what is not at hand is read first."""
        if self._answer is None:
            return
        if self._is_reading:
            self._looks_again = True
            return
        updates = self._updates_at_once()
        if updates is None:
            self._is_reading = True
            self._reading = self._parts.background.run(self._read())
        elif updates or self.is_over or not self._question.timeout:
            self._weigh(self._quiet_news(updates))
        else:
            self._arm()

    def give_up(self) -> None:
        if self._answer is None:
            return
        self._finish(ShuttingDown())
        if self._reading is not None:
            self._reading.cancel()

    def _updates_at_once(self) -> Sequence[Update] | None:
        """Return the news of presence, if they are at hand and there are none of rooms."""
        question, parts = self._question, self._parts
        since, user_id = question.since, self._requester.user_id
        if since is None or question.full_state:
            return None
        if not parts.directory.rooms_are_quiet(user_id, since.rooms):
            return None
        return parts.presence.news_at_once(user_id, since.presence)

    def _quiet_news(self, updates: Sequence[Update]) -> News:
        since = self._question.since
        assert since is not None  # a first sync is read
        assert since.rooms is not None  # else its rooms would not be quiet
        states = _chosen(updates, self._question.filter.presence)
        return News(RoomsSync(since.rooms), self._parts.presence.position, states)

    def _weigh(self, news: News) -> None:
        """Answer with *news*, or wait for more."""
        if self.is_revoked:
            news.leave()
            self._finish(UnknownToken("The device was logged out"))
        elif (
            news.states
            or self.is_over
            or not self._question.timeout
            or _says_something(self._question, news)
        ):
            self._finish(news)
        else:
            self._arm()

    def _arm(self) -> None:
        if self._due is None:
            self._due = self._parts.timeouts.put(self, self._question.timeout)

    def _finish(self, result: News | Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            if isinstance(result, News):
                result.leave()
            return
        parts = self._parts
        if self._due is not None:
            parts.timeouts.take_out(self, self._due)
        parts.presence.release(self._requester.user_id, self)
        if self._connection is not None:
            parts.presence.disconnect(self._connection)
        parts.metrics.poll_ended()
        answer(result)

    async def _read(self) -> None:
        try:
            news = await self._news_in_place()
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            self._finish(error)
            return
        except asyncio.CancelledError:
            self._finish(ShuttingDown())
            raise
        self._is_reading = False
        self._reading = None
        self._weigh(news)
        if self._looks_again:
            self._looks_again = False
            self.look()

    async def _news_in_place(self) -> News:
        """Read what there is; a first sync only when there is a place for it."""
        question = self._question
        if question.since is not None and not question.full_state:
            return await self._news_read()
        leave = await self._parts.places.take(self._requester.user_id)
        try:
            return replace(await self._news_read(), leave=leave)
        except BaseException:
            leave()
            raise

    async def _news_read(self) -> News:
        question, presence, requester = self._question, self._parts.presence, self._requester
        since = question.since or _NOTHING
        rooms = await self._parts.directory.sync_rooms(
            requester, since.rooms, question.filter.rooms, full_state=question.full_state
        )
        # Presence last: nothing is awaited between reading it and the answer.
        if question.since is None or question.full_state:
            reading = await presence.read_first(requester.user_id, since.presence)
        else:
            reading = await presence.read_since(requester.user_id, since.presence)
        return News(rooms, reading.position, _chosen(reading.updates, question.filter.presence))


def _says_something(question: Question, news: News) -> bool:
    """Tell whether *news*, without any of presence, are worth an answer."""
    rooms = news.rooms
    return (
        question.since is None
        or question.full_state
        or rooms.rooms is not None
        or rooms.account_data is not None
    )


def _chosen(newest_first: Sequence[Update], wanted: PresenceFilter) -> list[UserPresenceState]:
    if wanted is not EVERYTHING.presence:
        newest_first = [it for it in newest_first if wanted.admits(it.state.user_id)]
        newest_first = newest_first[: wanted.limit]
    if len(newest_first) == 1:
        return [newest_first[0].state]
    return [update.state for update in reversed(newest_first)]


def _settle(answered: "asyncio.Future[News | Exception]", news: News | Exception) -> None:
    if not answered.done():  # else whoever waited for it has given up
        answered.set_result(news)


async def _end_with(receive: Receive, poll: Poll) -> None:
    """End the poll when its client goes away: a vanished client must not count as connected."""
    with suppress(TooSlow):  # whoever sends a body that does not end is not waited for either
        while (await receive())["type"] != "http.disconnect":
            pass
    poll.end()
