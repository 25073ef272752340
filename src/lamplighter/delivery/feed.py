"""Outboxes and the polls that wait for them.

The work of a delivery is in proportion to the viewers who poll: a viewer who has not polled for a
while has no outbox, and is answered from scratch on return.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, after, within
from lamplighter.delivery.outbox import Outbox, Update
from lamplighter.errors import LamplighterError, UnknownToken
from lamplighter.futures import finish
from lamplighter.ids import DeviceId, StreamPosition, UserId
from lamplighter.routing.plan import Delivery

__all__ = ["Feed", "PollingViewer", "WaitingPoll"]

_log = structlog.get_logger(__name__)

#: At most this many polls of a user wait: for each further one the oldest is answered.
MOST_POLLS: Final = 64
#: Polls that look in one cycle of the loop. A change that 15,000 wait for takes a second of CPU
#: time. Meanwhile the node must renew its lease, and accept requests.
_LOOKS_AT_A_TIME: Final = 500


class WaitingPoll(ABC):
    """One request that waits for news, until it is over: by a time-out, or without use.

    It is an object and not a task: a delivery lets it `look`.
    """

    __slots__ = ("device_id", "feed", "is_over", "is_woken", "refusal")

    def __init__(self, device_id: DeviceId) -> None:
        self.device_id = device_id
        #: Why the request is refused: the device has logged out meanwhile, for example.
        self.refusal: LamplighterError | None = None
        #: Whether the request is to be answered now, with news or without.
        self.is_over = False
        #: Whether it will look in the next cycle of the loop.
        self.is_woken = False
        #: Where the request waits.
        self.feed: Feed | None = None

    @abstractmethod
    def look(self, now: Timestamp) -> None:
        """Answer, if there is news or the poll is over. It may be called without either."""

    def end(self) -> None:
        """Have the request answered with what there is."""
        self.is_over = True
        if self.feed is not None:
            self.feed.wake_one(self)

    def refuse(self, refusal: LamplighterError) -> None:
        """Have the request refused."""
        self.refusal = refusal
        self.end()


@dataclass(slots=True)
class PollingViewer:
    """Somebody who polls."""

    outbox: Outbox
    #: When the viewer last polled, as far as `sweep` knows.
    last_seen: Timestamp
    #: In the order in which they came.
    polls: list[WaitingPoll] = field(default_factory=list)


class Feed:
    """Outboxes of the viewers who poll, and their waiting polls."""

    def __init__(self, clock: Clock, position: StreamPosition, keep: timedelta) -> None:
        """Keep the outbox of a viewer for *keep* after the last sweep at which there was a poll."""
        self._clock = clock
        self._keep = keep
        #: The viewers who have an outbox: only for them is there something to plan.
        self.viewers: dict[UserId, PollingViewer] = {}
        self._closed = False
        #: Why every poll is refused; None while polls may wait.
        self._refusal: LamplighterError | None = None
        #: The polls that look in the next cycle of the loop.
        self._woken: list[WaitingPoll] = []
        #: Everything up to here has been put into the outboxes.
        self.position = position
        #: The futures of those who wait for a position ahead of this one.
        self._ahead: dict[asyncio.Future[None], StreamPosition] = {}

    def polls_of(self, viewer: UserId) -> Counter[DeviceId]:
        """Return how many polls each of the viewer's devices has under way."""
        known = self.viewers.get(viewer)
        return Counter(poll.device_id for poll in known.polls) if known else Counter()

    def advance_to(self, position: StreamPosition) -> None:
        """Note that everything up to *position* is in the outboxes."""
        self.position = position
        if self._ahead:
            self._let_go()

    async def reach(self, position: StreamPosition, longest: timedelta) -> bool:
        """Wait until the stream stands at *position*; tell whether it does, after *longest*."""
        if position > self.position and not self._closed:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._ahead[reached] = position
            try:
                with suppress(TimeoutError):
                    await within(self._clock, longest, reached)
            finally:
                self._ahead.pop(reached, None)
        return position <= self.position

    def _let_go(self) -> None:
        for reached, position in list(self._ahead.items()):
            if position <= self.position or self._closed:
                del self._ahead[reached]
                finish(reached)

    def open(self, viewer: UserId) -> Outbox:
        """Return the viewer's outbox; a new one knows of nothing before now."""
        known = self._open(viewer)
        known.last_seen = self._clock.now()
        return known.outbox

    def _open(self, viewer: UserId) -> PollingViewer:
        known = self.viewers.get(viewer)
        if known is None:
            known = PollingViewer(Outbox(self.position), self._clock.now())
            self.viewers[viewer] = known
        return known

    def outbox(self, viewer: UserId) -> Outbox | None:
        """Return the viewer's outbox, if there is one."""
        known = self.viewers.get(viewer)
        return known.outbox if known else None

    def forget(self, viewer: UserId) -> None:
        """Drop the viewer's outbox, and end the polls: older tokens are answered from scratch.

        A poll may still read its rooms half, and is woken when it has. So while there are polls the
        viewer has a new outbox instead of none.
        """
        known = self.viewers.pop(viewer, None)
        if known is not None and known.polls:
            known.outbox = Outbox(self.position)
            self.viewers[viewer] = known
            for poll in known.polls:
                poll.end()

    def outdate(self, viewer: UserId) -> None:
        """Have the viewer's tokens up to now answered from scratch; waiting polls look again.

        The updates in the outbox stay.
        """
        known = self.viewers.get(viewer)
        if known is not None:
            known.outbox.since = self.position
            self.wake((viewer,))

    def renew(self, viewers: AbstractSet[UserId]) -> None:
        """Empty the outboxes of *viewers*: tokens up to now are answered from scratch.

        Waiting polls look again.
        """
        for viewer in viewers & self.viewers.keys():
            self.viewers[viewer].outbox = Outbox(self.position)
            self.wake((viewer,))

    def sent_by_modules(self) -> Mapping[UserId, Sequence[UserId]]:
        """Return, by viewer, the users of the updates for which a module is a reason."""
        return {viewer: known.outbox.sent_by_modules() for viewer, known in self.viewers.items()}

    def is_waiting(self, viewer: UserId) -> bool:
        """Tell whether a poll of the viewer waits."""
        known = self.viewers.get(viewer)
        return known is not None and bool(known.polls)

    def deliver(
        self, deliveries: Sequence[Delivery], position: StreamPosition, about: StreamPosition
    ) -> int:
        """Put *deliveries* into the recipients' outboxes and wake each recipient once.

        Return how many updates that were. *about* is the position of the changes they tell of.
        """
        updates = 0
        for delivery in deliveries:
            user_id, state = delivery.user_id, delivery.state
            # Recipients with the same reasons share one update: most members of a room do.
            shared: dict[int, Update] = {}
            for viewer, reasons in delivery.recipients.items():
                known = self.viewers.get(viewer)
                if known is None:
                    continue
                update = shared.get(id(reasons))
                if update is None:
                    update = shared[id(reasons)] = Update(state, reasons, position, about)
                if known.outbox.put(user_id, update):
                    updates += 1
                    for poll in known.polls:
                        self.wake_one(poll)
        return updates

    def end(self, viewer: UserId, ending: Update, *, is_news: bool) -> None:
        """Deliver *ending*, an update without reasons: its user is no more visible to *viewer*.

        If it is no news, it only replaces an update that the viewer has not got yet.
        """
        known = self.viewers.get(viewer)
        if known is None:
            return
        if not is_news:
            known.outbox.end(ending)
        elif known.outbox.put(UserId(ending.state.user_id), ending):
            for poll in known.polls:
                self.wake_one(poll)

    def wake(self, viewers: Iterable[UserId]) -> None:
        """Have the waiting polls of *viewers* look again."""
        for viewer in viewers:
            known = self.viewers.get(viewer)
            for poll in known.polls if known else ():
                self.wake_one(poll)

    def revoke(self, viewer: UserId, device_id: DeviceId) -> None:
        """Refuse the polls of a device that has logged out."""
        known = self.viewers.get(viewer)
        for poll in known.polls if known else ():
            if poll.device_id == device_id:
                poll.refuse(UnknownToken("The device was logged out"))

    def wait(self, viewer: UserId, poll: WaitingPoll) -> None:
        """Have *poll* look at each news for the viewer, until it is given to `release`."""
        known = self.viewers.get(viewer) or self._open(viewer)
        if len(known.polls) >= MOST_POLLS:
            # It stays until it is released: the rooms half that it may still read wakes it.
            oldest = next((it for it in known.polls if not it.is_over), None)
            if oldest is not None:
                oldest.end()
        poll.feed = self
        known.polls.append(poll)
        if self._refusal is not None:
            poll.refuse(self._refusal)
        if self._closed:
            poll.end()

    def release(self, viewer: UserId, poll: WaitingPoll) -> None:
        """End the poll."""
        known = self.viewers.get(viewer)
        if known is not None and poll in known.polls:
            known.polls.remove(poll)

    def wake_one(self, poll: WaitingPoll) -> None:
        """Have a poll look soon, once, however often it is woken.

        That is in the next cycle of the loop, unless many others are woken.
        """
        if poll.is_woken:
            return
        poll.is_woken = True
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._let_look)
        self._woken.append(poll)

    def _let_look(self) -> None:
        woken, self._woken = self._woken[:_LOOKS_AT_A_TIME], self._woken[_LOOKS_AT_A_TIME:]
        if self._woken:
            asyncio.get_running_loop().call_soon(self._let_look)
        # One instant for all: so those who are told the same get the same bytes.
        now = self._clock.now()
        for poll in woken:
            poll.is_woken = False
            try:
                poll.look(now)
            except Exception:  # noqa: BLE001 - the others have no part in it
                _log.exception("a poll failed")

    def sweep(self) -> Sequence[UserId]:
        """Drop the outboxes of those who have not polled for long; return whose they were."""
        now = self._clock.now()
        gone = []
        for viewer, known in self.viewers.items():
            if known.polls:
                known.last_seen = now  # here, and not with each poll that comes and goes
            elif after(known.last_seen, self._keep) <= now:
                gone.append(viewer)
        for viewer in gone:
            del self.viewers[viewer]
        return gone

    def refuse_all(self, refusal: LamplighterError) -> None:
        """Refuse every waiting poll, and every later one, until `admit_all`."""
        self._refusal = refusal
        for known in self.viewers.values():
            for poll in known.polls:
                poll.refuse(refusal)

    def admit_all(self) -> None:
        """Let polls wait again."""
        self._refusal = None

    def close(self) -> None:
        """Answer every waiting poll, and every later poll at once."""
        self._closed = True
        self._let_go()
        for known in self.viewers.values():
            for poll in known.polls:
                poll.end()
