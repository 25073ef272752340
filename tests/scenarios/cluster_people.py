"""People of a random cluster: each client polls at one node after the other, and believes."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random  # noqa: TID251 - seeded by the world: the same world each time
from typing import Final, Protocol

from lamplighter.clock import Clock, Timestamp, sleep, within
from lamplighter.delivery.timeouts import Timeouts
from lamplighter.delivery.tokens import Tokens
from lamplighter.errors import ClusterUnavailable, ShuttingDown, UnknownToken
from lamplighter.ids import DeviceId, StreamEpoch, StreamPosition, UserId
from lamplighter.ports import Json, PendingRooms, Requester, RequestHead, RoomsAnswer, SyncRequest
from lamplighter.service.background import Background
from lamplighter.web.client.long_poll import LongPoll, News, SyncQuestion
from lamplighter.web.places import Places
from tests.service.nodes import Node

__all__ = ["Door", "Person", "World"]

EPOCH: Final = StreamEpoch("0badc0de")
#: A client waits so much longer than its poll for an answer.
_PATIENCE: Final = timedelta(seconds=4)


class _QuietRooms:
    """The rooms half of a poll that never has news."""

    quiet_token: str | None = "1"

    def take(self) -> RoomsAnswer | None:
        return None

    def cancel(self) -> None:
        """Nothing is under way."""


class _NoRooms:
    """A `RoomsHalf` without news."""

    def begin(
        self, _requester: Requester, _request: SyncRequest, _head: RequestHead
    ) -> PendingRooms:
        return _QuietRooms()

    async def filter(
        self, _requester: Requester, _request: SyncRequest, _head: RequestHead, _filter_id: str
    ) -> Json:
        raise NotImplementedError


class Door:
    """What clients come to at one node."""

    def __init__(self, name: str, node: Node) -> None:
        self.name, self.node, clock = name, node, node.clock
        self.tokens = Tokens(EPOCH, node.mark)
        self._clock = clock
        timeouts, background = Timeouts(clock), Background(clock)
        self._long_poll = LongPoll(_NoRooms(), node.core, clock, timeouts, background, Places())
        #: Whether the process stands still: nothing is answered, or noticed.
        self.is_frozen = False
        self._later: list[Callable[[], None]] = []
        self._open: set[asyncio.Future[News]] = set()

    def begin(self, requester: Requester, question: SyncQuestion) -> "asyncio.Future[News]":
        """Begin a poll; whoever cancels what is returned has gone."""
        answered: asyncio.Future[News] = asyncio.get_running_loop().create_future()
        self._open.add(answered)

        def answer(news: News | Exception) -> None:
            if isinstance(news, News) and news.leave is not None:
                news.leave()
            if answered.done() or self.is_frozen:
                return
            if isinstance(news, Exception):
                answered.set_exception(news)
            else:
                answered.set_result(news)

        now = self._clock.now()
        poll = self._long_poll.begin(requester, question, answer, now, head=RequestHead())
        answered.add_done_callback(lambda _answered: self._notice(poll.give_up))
        answered.add_done_callback(self._open.discard)
        return answered

    def _notice(self, work: Callable[[], None]) -> None:
        if self.is_frozen:
            self._later.append(work)
        else:
            work()

    def thaw(self) -> None:
        """Go on, and notice what has happened meanwhile."""
        self.is_frozen = False
        later, self._later = self._later, []
        for work in later:
            work()

    def die(self) -> None:
        """End every connection."""
        self.is_frozen = True
        for answered in self._open:
            if not answered.done():
                answered.set_exception(ConnectionResetError())


class World(Protocol):
    """What a client needs of its world."""

    @property
    def clock(self) -> Clock:
        """The clock of all clients."""

    def door(self, random: Random, *, is_retry: bool = False) -> Door | None:
        """Return some node that runs, or seems to; for a retry, one that answers."""

    async def admit(self, person: "Person", door: "Door") -> None:
        """Return once a client may poll at a node."""

    def answered(self, person: "Person", news: News) -> None:
        """Learn what a client is told, before it takes it in."""


class Person:
    """A user with one client, which polls while it wants to."""

    def __init__(self, user_id: UserId, world: World, random: Random) -> None:
        self.user_id, self._world, self._random = user_id, world, random
        self._number = 0
        self.token: str | None = None
        self.position = StreamPosition(0)
        #: What the client shows: presence and status message.
        self.believes: dict[UserId, tuple[str, str | None]] = {}
        self.answered_at = world.clock.now()
        #: Since when the client has polled; None while it does not.
        self.wants_since: Timestamp | None = None
        self._gone: set[DeviceId] = set()
        self._poll: asyncio.Future[News] | None = None
        self._wakes = asyncio.Event()

    @property
    def device_id(self) -> DeviceId:
        """The device as which the client is logged in."""
        return DeviceId(f"D{self._number}")

    def want(self, wants: bool) -> None:
        """Poll from now on, or do not."""
        if not wants:
            self.wants_since = None
            if self._poll is not None and not self._poll.done():
                self._poll.set_exception(ConnectionAbortedError())
        elif self.wants_since is None:
            self.wants_since = self._world.clock.now()
        self._wakes.set()

    def log_out(self) -> DeviceId:
        """Return the device that is logged out; its client finds that out, and logs in anew."""
        self._gone.add(self.device_id)
        self.logged_out()
        return self.device_id

    def logged_out(self) -> None:
        """Learn that a node has heard of it: the user may be offline until the next poll."""
        if self.wants_since is not None:
            self.wants_since = self._world.clock.now()

    async def live(self) -> None:
        """Poll for ever."""
        is_retry = False
        while True:
            self._wakes.clear()
            if self.wants_since is None:
                await self._wakes.wait()
                continue
            if self.device_id in self._gone and self._poll is None:
                self._log_in()
            try:
                await self._ask(self._world.door(self._random, is_retry=is_retry))
                is_retry = False
            except (ClusterUnavailable, ShuttingDown, ConnectionError, TimeoutError):
                is_retry = True
                await sleep(self._world.clock, timedelta(seconds=self._random.uniform(0.2, 1.5)))
            except UnknownToken:
                assert self.device_id in self._gone, "refused, and not logged out"

    def _log_in(self) -> None:
        self._number += 1
        self.token = None
        self.position = StreamPosition(0)
        self.believes.clear()

    async def _ask(self, door: Door | None) -> None:
        """Poll once, until there is an answer, or until the client has enough."""
        timeout = timedelta(seconds=self._random.choice([0, 2, 10]))
        if door is None:
            raise ConnectionRefusedError
        if door.is_frozen:
            await sleep(self._world.clock, _PATIENCE)
            raise TimeoutError
        await self._world.admit(self, door)
        since = None if self.token is None else door.tokens.read(self.token)
        question = SyncQuestion(since, SyncRequest(timeout=timeout))
        self._poll = door.begin(Requester(self.user_id, self.device_id), question)
        try:
            news = await within(self._world.clock, timeout + _PATIENCE, self._poll)
        finally:
            self._poll = None
        self._world.answered(self, news)
        self.position, self.token = (
            news.position,
            door.tokens.write("1", news.position, news.told_until),
        )
        self.answered_at = self._world.clock.now()
        for state in news.states:
            self.believes[UserId(state.user_id)] = (state.state, state.status_msg)
