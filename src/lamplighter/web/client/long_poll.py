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

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.delivery.feed import WaitingPoll
from lamplighter.delivery.outbox import Update
from lamplighter.delivery.timeouts import Timeouts
from lamplighter.delivery.tokens import SinceToken
from lamplighter.errors import ClusterUnavailable, ShuttingDown, StorageUnavailable, TooSlow
from lamplighter.ids import StreamPosition
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

__all__ = ["LONGEST_POLL", "Answer", "LongPoll", "News", "SyncQuestion", "refuse"]

#: A client that asks for more waits this long.
LONGEST_POLL: Final = timedelta(minutes=10)
#: A poll that may wait is refused so much later where the server is the reason. Some clients poll
#: again at once, and would ask hundreds of times a second.
_PAUSE: Final = timedelta(seconds=1)


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


class News(msgspec.Struct, frozen=True):
    """The content of an answer, and the position to go on from."""

    rooms: RoomsAnswer
    position: StreamPosition
    #: Up to where any other node can go on: earlier than *position* while modules think.
    told_until: StreamPosition
    #: Oldest change first.
    states: Sequence[UserPresenceState]
    #: When it was made: how long ago users were active is as of then.
    now: Timestamp
    #: Gives back the place of an expensive answer, where there is one. The caller calls it once the
    #: answer is sent.
    leave: Callable[[], None] | None = None


#: Takes the news, or the error.
Answer: TypeAlias = Callable[[News | Exception], None]


@dataclass(frozen=True, slots=True)
class LongPoll:
    """Joins the rooms half and presence of a poll, which waits while neither has news."""

    rooms: RoomsHalf
    core: Core
    clock: Clock
    timeouts: Timeouts
    background: Background
    places: Places

    def begin(
        self,
        requester: Requester,
        question: SyncQuestion,
        answer: Answer,
        now: Timestamp,
        *,
        head: RequestHead,
        wanted: PresenceFilter = ALL_PRESENCE,
    ) -> Waiter:
        """Call *answer*, at once or later, with the news, once there are any or the time is over.

        *answer* is called with `UnknownToken` if the device is logged out meanwhile, and with
        `LimitExceeded` if too many of the user's first syncs wait. The caller may end the poll that
        is returned, for a client that may be gone, or give it up, for a client that is.

        *wanted* is what the filter says of presence. Raises what `RoomsHalf.begin` raises.
        """
        pending = self.rooms.begin(requester, question.request, head)
        poll = _Request(self, requester, question, wanted, pending, answer)
        self.core.feed.wait(requester.user_id, poll)
        poll.look(now)
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

        now = self.clock.now()
        poll = self.begin(requester, question, settle, now, head=head, wanted=wanted)
        leaving = asyncio.ensure_future(_end_with(receive, poll))
        try:
            news = await answered
        finally:
            leaving.cancel()
            poll.give_up()
        if isinstance(news, Exception):
            raise news
        if news.leave is not None:
            news.leave()
        return news


class _Request(WaitingPoll):
    """A question that is answered once."""

    __slots__ = (
        "_answer", "_due", "_leave", "_looks_again", "_needs_place", "_parts", "_pending",
        "_polls", "_question", "_requester", "_task", "_wanted",
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
        self._needs_place = question.is_expensive
        #: Gives back the poll's place; None while the poll has none.
        self._leave: Callable[[], None] | None = None
        #: The task that has to end before the poll looks again.
        self._task: asyncio.Task[None] | None = None
        self._looks_again = False
        self._due: Timestamp | None = None
        self._polls = parts.core.connections.begin(
            requester, question.set_presence, is_first=question.since is None
        )

    def look(self, now: Timestamp) -> None:
        """Answer if there is a reason to; begin to read what is not at hand."""
        if self._answer is None:
            return
        if self._task is not None:
            self._looks_again = True
            return
        if self.refusal is not None:
            self._finish(self.refusal, now)
            return
        if self._needs_place:
            self._wait_for(self._place())
            return
        try:
            rooms = self._pending.take()
        except Exception as error:  # noqa: BLE001 - the client is told
            self._finish(error, now)
            return
        token = self._pending.quiet_token
        if rooms is None and token is None:
            return  # the directory wakes the poll
        question, reader = self._question, self._parts.core.reader
        updates = None
        if question.since is not None and not question.request.full_state:
            since = question.since
            updates = reader.news_at_once(self._requester.user_id, since.presence, since.seen)
        if updates is None or (not question.request.timeout and reader.asks_first):
            self._wait_for(self._news_read(rooms, token))
        elif updates or rooms is not None or self.is_over or not question.request.timeout:
            self._weigh(rooms, token, reader.position, updates, now)
        else:
            self._arm(now)

    def give_up(self) -> None:
        """End without an answer: no client would take it."""
        task = self._task
        self._finish(ShuttingDown(), self._parts.clock.now())
        if task is not None:
            task.cancel()

    def _weigh(
        self,
        rooms: RoomsAnswer | None,
        token: str | None,
        position: StreamPosition,
        updates: Sequence[Update],
        now: Timestamp,
    ) -> None:
        """Answer with what is new, or wait if there is nothing that the client wants."""
        states = _chosen(updates, self._wanted)
        if states or rooms is not None or self.is_over or not self._question.request.timeout:
            if rooms is None:
                assert token is not None  # else the poll waits for the directory
                rooms = RoomsAnswer(token)
            told_until, unsettled = position, self._parts.core.unsettled
            if unsettled.under_way:
                told_until = unsettled.told_until(self._requester.user_id, position)
            self._finish(News(rooms, position, told_until, states, now, self._leave), now)
        else:
            self._arm(now)

    def _arm(self, now: Timestamp) -> None:
        if self._due is None:
            self._due = self._parts.timeouts.put(self, self._question.request.timeout, now)

    def _finish(self, result: News | Exception, now: Timestamp) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        parts = self._parts
        if self._due is not None:
            parts.timeouts.take_out(self, self._due)
        parts.core.feed.release(self._requester.user_id, self)
        parts.core.connections.end(self._polls, now)
        self._pending.cancel()
        if self._leave is not None and isinstance(result, Exception):
            self._leave()
        # Who has waited has paused already.
        if isinstance(result, Exception) and self._due is None and self._question.request.timeout:
            refuse(answer, result, parts.clock)
        else:
            answer(result)

    def _wait_for(self, work: "Coroutine[None, None, _Act]") -> None:
        self._task = self._parts.background.run(self._when_done(work))

    async def _when_done(self, work: "Coroutine[None, None, _Act]") -> None:
        """Do what *work* returns, unless the poll is over; look again if something woke it."""
        try:
            act = await work
        except Exception as error:  # noqa: BLE001 - the client is told
            self._finish(error, self._parts.clock.now())
            return
        except asyncio.CancelledError:
            self._finish(ShuttingDown(), self._parts.clock.now())
            raise
        self._task = None
        now = self._parts.clock.now()
        act(now)
        if self._looks_again:
            self._looks_again = False
            self.look(now)

    async def _place(self) -> "_Act":
        """Take a place for an expensive answer, and look."""
        leave = await self._parts.places.take(self._requester.user_id)
        if self._answer is None:
            leave()
        self._leave, self._needs_place = leave, False
        return self.look

    async def _news_read(self, rooms: RoomsAnswer | None, token: str | None) -> "_Act":
        """Read presence. It comes last: nothing is awaited between reading it and the answer."""
        question, reader, user_id = self._question, self._parts.core.reader, self._requester.user_id
        position = None if question.since is None else question.since.presence
        if question.is_expensive:
            reading = await reader.read_first(user_id, position)
        else:
            reading = await reader.read_since(user_id, position)

        def act(now: Timestamp) -> None:
            if self.refusal is not None:
                self._finish(self.refusal, now)
            else:
                self._weigh(rooms, token, reading.position, reading.updates, now)

        return act


def refuse(answer: Callable[[Exception], None], error: Exception, clock: Clock) -> None:
    """Call *answer* with *error*: after a pause if the server, or its cluster, is the reason."""
    if isinstance(error, ClusterUnavailable | StorageUnavailable):
        clock.call_at(after(clock.now(), _PAUSE), partial(answer, error))
    else:
        answer(error)


#: What a task leaves to do once it has ended.
_Act: TypeAlias = Callable[[Timestamp], None]


def _chosen(newest_first: Sequence[Update], wanted: PresenceFilter) -> list[UserPresenceState]:
    if wanted is not ALL_PRESENCE:
        newest_first = [it for it in newest_first if wanted.admits(it.state.user_id)]
        newest_first = newest_first[: wanted.limit]
    if len(newest_first) == 1:
        return [newest_first[0].state]
    if not newest_first:
        return []
    return [update.state for update in reversed(newest_first)]


async def _end_with(receive: Receive, poll: Waiter) -> None:
    """End the poll when its client goes away: a vanished client must not count as connected."""
    with suppress(TooSlow):  # a client whose body does not end counts as gone
        while (await receive())["type"] != "http.disconnect":
            pass
    poll.end()
