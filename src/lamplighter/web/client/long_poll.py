"""Waiting for news: what `/sync` and `/events` have in common.

A poll is an object that looks, and answers when there is something to say. A look takes the rooms
half from the directory and presence from the outbox. Nearly every poll has its answer at hand when
it is woken, and nearly every other finds nothing and waits; so a task runs only for what cannot be
had at once: a place for an expensive answer, and presence that modules have to be asked about.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

import msgspec
from starlette.types import Receive

from lamplighter.clock import Timestamp
from lamplighter.delivery.feed import WaitingPoll
from lamplighter.delivery.outbox import Update
from lamplighter.delivery.timeouts import Timeouts
from lamplighter.delivery.tokens import SinceToken
from lamplighter.errors import ShuttingDown, TooSlow
from lamplighter.ids import StreamPosition
from lamplighter.metrics import Metrics
from lamplighter.ports import (
    PendingRooms,
    Requester,
    RequestHead,
    RoomsAnswer,
    RoomsHalf,
    SyncRequest,
)
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.service import Core
from lamplighter.service.background import Background
from lamplighter.web.client.filters import ALL_PRESENCE, PresenceFilter
from lamplighter.web.http.exchange import Waiter
from lamplighter.web.places import Places

__all__ = ["LONGEST_POLL", "Answer", "LongPoll", "News", "SyncQuestion"]

#: A client that asks for more waits this long.
LONGEST_POLL: Final = timedelta(minutes=10)


class SyncQuestion(msgspec.Struct, frozen=True):
    """The question of one poll, and the presence that its query sets."""

    #: None for a first sync.
    since: SinceToken | None = None
    #: The question to the rooms half.
    request: SyncRequest = SyncRequest()
    #: The presence that the filter asks for; None where the query names an uploaded filter.
    wanted: PresenceFilter | None = ALL_PRESENCE
    set_presence: Presence | None = None

    @property
    def is_expensive(self) -> bool:
        """Whether the answer tells everything, and so needs a place (`web/places.py`)."""
        return self.since is None or self.request.full_state


def _nothing() -> None:
    """Give back no place: most answers have none."""


class News(msgspec.Struct, frozen=True):
    """The content of an answer, and the position to go on from."""

    rooms: RoomsAnswer
    position: StreamPosition
    #: Oldest change first.
    states: Sequence[UserPresenceState]
    #: Gives back the place of an expensive answer. The caller calls it once the answer is sent.
    leave: Callable[[], None] = _nothing


#: Takes the news, or the error.
Answer: TypeAlias = Callable[[News | Exception], None]


@dataclass(frozen=True, slots=True)
class LongPoll:
    """Joins the rooms half and presence of a poll, which waits while neither has news."""

    rooms: RoomsHalf
    core: Core
    timeouts: Timeouts
    background: Background
    metrics: Metrics
    places: Places

    def begin(
        self,
        requester: Requester,
        question: SyncQuestion,
        answer: Answer,
        *,
        head: RequestHead,
        wanted: PresenceFilter = ALL_PRESENCE,
    ) -> Waiter:
        """Call *answer*, now or later, with the news, once there are any or the time is over.

        *answer* is called with `UnknownToken` if the device is logged out meanwhile, and with
        `LimitExceeded` if too many of the user's first syncs wait. The caller may end the poll that
        is returned, for a client that may be gone, or give it up, for a client that is.

        *wanted* is what the filter says of presence. Raises what `RoomsHalf.begin` raises.
        """
        pending = self.rooms.begin(requester, question.request, head)
        poll = _Request(self, requester, question, wanted, pending, answer)
        self.core.feed.wait(requester.user_id, poll)
        self.metrics.poll_began()
        poll.look()
        return poll

    async def news(
        self,
        requester: Requester,
        question: SyncQuestion,
        receive: Receive,
        head: RequestHead,
        wanted: PresenceFilter = ALL_PRESENCE,
    ) -> News:
        """Return the news; raise the error that `begin` hands over. A client that goes ends it."""
        answered: asyncio.Future[News | Exception] = asyncio.get_running_loop().create_future()

        def settle(news: News | Exception) -> None:
            if not answered.done():  # else the caller has given up
                answered.set_result(news)

        poll = self.begin(requester, question, settle, head=head, wanted=wanted)
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


class _Request(WaitingPoll):
    """A question that is answered once."""

    __slots__ = (
        "_answer", "_connection", "_due", "_leave", "_looks_again", "_parts", "_pending",
        "_question", "_requester", "_task", "_wanted",
    )  # fmt: skip

    def __init__(
        self,
        parts: LongPoll,
        requester: Requester,
        question: SyncQuestion,
        wanted: PresenceFilter,
        pending: PendingRooms,
        answer: Answer,
    ) -> None:
        super().__init__(requester.device_id)
        self._parts = parts
        self._requester = requester
        self._question = question
        self._wanted = wanted
        self._pending = pending
        #: None once it was called.
        self._answer: Answer | None = answer
        #: Gives back the poll's place; None while the poll needs one and has none.
        self._leave = None if question.is_expensive else _nothing
        #: The task that has to end before the poll looks again.
        self._task: asyncio.Task[None] | None = None
        self._looks_again = False
        self._due: Timestamp | None = None
        self._connection = parts.core.connections.connect(
            requester, question.set_presence, is_first=question.since is None
        )

    def look(self) -> None:
        """Answer if there is a reason to; begin to read what is not at hand."""
        if self._answer is None:
            return
        if self._task is not None:
            self._looks_again = True
            return
        if self.refusal is not None:
            self._finish(self.refusal)
            return
        if self._leave is None:
            self._wait_for(self._place())
            return
        try:
            rooms = self._pending.take()
        except Exception as error:  # noqa: BLE001 - the client is told
            self._finish(error)
            return
        token = self._pending.quiet_token
        if rooms is None and token is None:
            return  # the directory wakes the poll
        question, reader = self._question, self._parts.core.reader
        updates = None
        if question.since is not None and not question.request.full_state:
            position = question.since.presence
            updates = reader.news_at_once(self._requester.user_id, position)
        if updates is None or (not question.request.timeout and reader.asks_first):
            self._wait_for(self._news_read(rooms, token))
        elif updates or rooms is not None or self.is_over or not question.request.timeout:
            news = self._news(rooms, token, reader.position, updates)
            self._weigh(news, is_due=rooms is not None)
        else:
            self._arm()

    def give_up(self) -> None:
        """End without an answer: no client would take it."""
        task = self._task
        self._finish(ShuttingDown())
        if task is not None:
            task.cancel()

    def _news(
        self,
        rooms: RoomsAnswer | None,
        token: str | None,
        position: StreamPosition,
        updates: Sequence[Update],
    ) -> News:
        if rooms is None:
            assert token is not None  # else the poll waits for the directory
            rooms = RoomsAnswer(token)
        return News(rooms, position, _chosen(updates, self._wanted), self._leave or _nothing)

    def _weigh(self, news: News, *, is_due: bool) -> None:
        """Answer with *news*, or wait; *is_due* tells whether rooms are worth an answer."""
        if self.refusal is not None:
            self._finish(self.refusal)
        elif is_due or news.states or self.is_over or not self._question.request.timeout:
            self._finish(news)
        else:
            self._arm()

    def _arm(self) -> None:
        if self._due is None:
            self._due = self._parts.timeouts.put(self, self._question.request.timeout)

    def _finish(self, result: News | Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        parts = self._parts
        if self._due is not None:
            parts.timeouts.take_out(self, self._due)
        parts.core.feed.release(self._requester.user_id, self)
        if self._connection is not None:
            parts.core.connections.end(self._connection)
        parts.metrics.poll_ended()
        self._pending.cancel()
        if isinstance(result, Exception) and self._leave is not None:
            self._leave()
        answer(result)

    def _wait_for(self, work: Coroutine[None, None, Callable[[], None]]) -> None:
        self._task = self._parts.background.run(self._when_done(work))

    async def _when_done(self, work: Coroutine[None, None, Callable[[], None]]) -> None:
        """Do what *work* returns, unless the poll is over; look again if something woke it."""
        try:
            act = await work
        except Exception as error:  # noqa: BLE001 - the client is told
            self._finish(error)
            return
        except asyncio.CancelledError:
            self._finish(ShuttingDown())
            raise
        self._task = None
        act()
        if self._looks_again:
            self._looks_again = False
            self.look()

    async def _place(self) -> Callable[[], None]:
        """Take a place for an expensive answer, and look."""
        leave = await self._parts.places.take(self._requester.user_id)
        if self._answer is None:
            leave()
        self._leave = leave
        return self.look

    async def _news_read(self, rooms: RoomsAnswer | None, token: str | None) -> Callable[[], None]:
        """Read presence. It comes last: nothing is awaited between reading it and the answer."""
        question, reader, user_id = self._question, self._parts.core.reader, self._requester.user_id
        position = None if question.since is None else question.since.presence
        if question.is_expensive:
            reading = await reader.read_first(user_id, position)
        else:
            reading = await reader.read_since(user_id, position)
        news = self._news(rooms, token, reading.position, reading.updates)
        return partial(self._weigh, news, is_due=rooms is not None)


def _chosen(newest_first: Sequence[Update], wanted: PresenceFilter) -> list[UserPresenceState]:
    if wanted is not ALL_PRESENCE:
        newest_first = [it for it in newest_first if wanted.admits(it.state.user_id)]
        newest_first = newest_first[: wanted.limit]
    if len(newest_first) == 1:
        return [newest_first[0].state]
    return [update.state for update in reversed(newest_first)]


async def _end_with(receive: Receive, poll: Waiter) -> None:
    """End the poll when its client goes away: a vanished client must not count as connected."""
    with suppress(TooSlow):  # a client whose body does not end counts as gone
        while (await receive())["type"] != "http.disconnect":
            pass
    poll.end()
