"""Waiting for news: what `/sync` and `/events` have in common."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.types import Receive

from lamplighter.clock import Clock, after
from lamplighter.delivery.feed import Poll
from lamplighter.delivery.outbox import Update
from lamplighter.delivery.tokens import SinceToken, Tokens
from lamplighter.errors import TooSlow, UnknownToken
from lamplighter.metrics import Metrics
from lamplighter.ports import Directory, Requester, RoomsSync
from lamplighter.presence.state import UserPresenceState
from lamplighter.service import PresenceService, Reading
from lamplighter.web.client.filters import EVERYTHING, ClientFilter, PresenceFilter

__all__ = ["LONGEST_POLL", "LongPoll", "News", "Question"]

#: A client that asks for more waits this long.
LONGEST_POLL: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Question:
    """What a client wants to hear."""

    requester: Requester
    #: None for a first sync.
    since: str | None = None
    timeout: timedelta = timedelta(0)
    filter: ClientFilter = EVERYTHING
    full_state: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What there is to hear, and the token that leads on from it."""

    next_batch: str
    #: Oldest change first.
    states: Sequence[UserPresenceState]
    rooms: RoomsSync


class LongPoll:
    """Reads rooms and presence together, and waits while neither has anything to say."""

    def __init__(
        self,
        *,
        directory: Directory,
        presence: PresenceService,
        tokens: Tokens,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._directory = directory
        self._presence = presence
        self._tokens = tokens
        self._clock = clock
        self._metrics = metrics

    async def news(self, question: Question, receive: Receive) -> News:
        """Return the news once there are any, the time is over, or the client has gone.

        Raises `UnknownToken` if the device is logged out meanwhile.
        """
        poll = self._presence.poll(question.requester)
        timer = self._clock.call_at(
            after(self._clock.now(), min(question.timeout, LONGEST_POLL)), poll.end
        )
        leaving: asyncio.Task[None] | None = None
        self._metrics.poll_began()
        try:
            while True:
                news = await self._read(question)
                if poll.is_revoked:
                    raise UnknownToken("The device was logged out")
                if poll.is_over or not question.timeout or _says_something(question, news):
                    return news
                if leaving is None:
                    leaving = asyncio.get_running_loop().create_task(_end_with(receive, poll))
                await poll.wait()
        finally:
            timer.cancel()
            if leaving is not None:
                leaving.cancel()
            self._presence.release(question.requester, poll)
            self._metrics.poll_ended()

    async def _read(self, question: Question) -> News:
        since = SinceToken(None, None)
        if question.since is not None:
            since = self._tokens.read(question.since)
        rooms = await self._directory.sync_rooms(
            question.requester, since.rooms, question.filter.rooms, full_state=question.full_state
        )
        # Presence last: nothing is awaited between reading it and the answer.
        viewer = question.requester.user_id
        if question.since is None or question.full_state:
            reading = await self._presence.read_first(viewer)
        else:
            reading = await self._presence.read_since(viewer, since.presence)
        next_batch = self._tokens.write(rooms.next_batch, reading.position)
        return News(next_batch, _chosen(reading, question.filter.presence), rooms)


def _says_something(question: Question, news: News) -> bool:
    rooms = news.rooms
    return (
        question.since is None
        or question.full_state
        or bool(news.states)
        or rooms.rooms is not None
        or rooms.account_data is not None
    )


def _chosen(reading: Reading, wanted: PresenceFilter) -> list[UserPresenceState]:
    admitted: list[Update] = [it for it in reading.updates if wanted.admits(it.state.user_id)]
    if wanted.limit is not None:
        admitted = admitted[: wanted.limit]
    return [update.state for update in reversed(admitted)]


async def _end_with(receive: Receive, poll: Poll) -> None:
    """End the poll when its client goes away: a vanished client must not count as connected."""
    with suppress(TooSlow):  # who sends a body without end is answered, too
        while (await receive())["type"] != "http.disconnect":
            pass
    poll.end()
