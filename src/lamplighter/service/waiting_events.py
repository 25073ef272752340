"""The events of this node that wait for their owners: other nodes, or this one once it owns them.

An event is said to the owner of its user, and waits for the answer. If the owner does not answer
because it is no owner any more, the event is said to the next one. An event whose owner does not
answer within `MOST_WAITED_FOR` fails: whoever waits may try again.

The events of one user are said in the order in which they came, also where they are said again.
An example: bob ends a poll (1), and sets a status (2). The owner gives bob's partition away just
now, and sends 1 back. It may take 2 in, because it keeps the partition after all. So both count as
not said, and what comes next waits behind them, until they are said again: 1 and 2, in this order.
So of the events of one user those that are said come first, and the others are said together: all
have the same owner.

A command of a client that has waited in vain is not repeated to a later owner. But the polls of a
device are: what they say is true until they end.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Final

from lamplighter.clock import Clock, Timer, Timestamp, after
from lamplighter.cluster.log import Lease, PartitionId
from lamplighter.cluster.partitions import partition_of
from lamplighter.cluster.wire import EventSaid, EventTaken, Outcome
from lamplighter.errors import ClusterUnavailable, StorageUnavailable
from lamplighter.futures import fail, finish, retrieve
from lamplighter.ids import UserId
from lamplighter.ports import Requester
from lamplighter.presence.events import Event, SyncEnded, Syncing
from lamplighter.service.connections import Connections
from lamplighter.service.node_messages import NodeMessages

__all__ = ["MOST_WAITED_FOR", "MOST_WAITING", "WaitingEvent", "WaitingEvents"]

#: An event waits so long for the answer of its owner.
MOST_WAITED_FOR: Final = timedelta(seconds=5)
#: It fails so much later at most, together with others.
_LATE_BY: Final = timedelta(milliseconds=500)
#: If so many events wait for owners, further commands fail at once. What polls say always waits: as
#: many clients are connected, and a client that is not named to the owner would go offline.
MOST_WAITING: Final = 20_000


@dataclass(eq=False, slots=True)
class WaitingEvent:
    """An event that waits for its owner's answer."""

    number: int
    event: Event
    partition: PartitionId
    until: Timestamp
    answered: "asyncio.Future[None]"
    #: To whom it was said last; None if it was not said, or the owner has sent it back.
    said_to: Lease | None = None


@dataclass(eq=False)
class WaitingEvents:
    """All of them, by number, in the order in which they came."""

    clock: Clock
    connections: Connections
    messages: NodeMessages
    #: How many events were said to other nodes.
    said: int = field(init=False, default=0)
    _numbers: "count[int]" = field(init=False, default_factory=count)
    _waiting: dict[int, WaitingEvent] = field(init=False, default_factory=dict)
    #: The same by user, in the same order.
    _of_user: dict[UserId, dict[int, WaitingEvent]] = field(init=False, default_factory=dict)

    #: Goes off when the first one has waited for too long, or one before it.
    _late: Timer | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.messages.unheard = self._unheard

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, event: Event, owner: Lease | None) -> "asyncio.Future[None]":
        """Say *event* to *owner*, or let it wait for one; return what `Intake.accept` returns."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered.add_done_callback(retrieve)
        is_of_polls = isinstance(event, Syncing | SyncEnded)
        if len(self._waiting) >= MOST_WAITING and not is_of_polls:
            answered.set_exception(ClusterUnavailable("too many events wait for other nodes"))
            return answered
        until = after(self.clock.now(), MOST_WAITED_FOR)
        partition = partition_of(event.user_id)
        waiting = WaitingEvent(next(self._numbers), event, partition, until, answered)
        self._waiting[waiting.number] = waiting
        if self._late is None:
            self._late = self.clock.call_at(until, self._look_for_late)
        of_user = self._of_user.setdefault(event.user_id, {})
        last = next(reversed(of_user.values()), None)
        of_user[waiting.number] = waiting
        if last is None or last.said_to is not None:
            self._say(waiting, owner)
        return answered

    def take(self, partitions: AbstractSet[PartitionId]) -> list[WaitingEvent]:
        """Return the events of *partitions*, which do not wait here any more."""
        taken = [it for it in self._waiting.values() if it.partition in partitions]
        for waiting in taken:
            self._remove(waiting)
        return taken

    def move(self, partitions: AbstractSet[PartitionId], owner: Lease | None) -> None:
        """Say the events of *partitions* to *owner*, who owns them now; None: let them wait."""
        for waiting in self._waiting.values():
            if waiting.partition in partitions:
                waiting.said_to = None
                self._say(waiting, owner)

    def say_again(
        self, dead: AbstractSet[Lease], owner_of: Callable[[PartitionId], Lease | None]
    ) -> None:
        """Say again what was said to the *dead*, and what their owners have sent back."""
        for waiting in self._waiting.values():
            if waiting.said_to is None or waiting.said_to in dead:
                self._say(waiting, owner_of(waiting.partition))

    def leases(self) -> set[Lease]:
        """Return the leases of the nodes that have been asked."""
        return {it.said_to for it in self._waiting.values() if it.said_to is not None}

    def unsay(self) -> None:
        """Forget what was said: no answer comes to the lease of this node that has ended."""
        for waiting in self._waiting.values():
            waiting.said_to = None

    def answer(self, by: Lease, message: EventTaken) -> None:
        """Take in the answer of the owner *by*.

        An event that was said to another node since, or that will be said again, waits on: perhaps
        an earlier one of its user is said after it, and would be the last word.
        """
        waiting = self._waiting.get(message.number)
        if waiting is None or waiting.said_to != by:
            return
        if message.outcome is Outcome.ELSEWHERE:
            self._sent_back(waiting)
            return
        self._remove(waiting)
        if message.outcome is Outcome.UNSAVED:
            fail(waiting.answered, StorageUnavailable("the owner of the user cannot save"))
        else:
            finish(waiting.answered)

    def _say(self, waiting: WaitingEvent, owner: Lease | None) -> None:
        if owner is not None:
            waiting.said_to = owner
            self.said += 1
            self.messages.send(owner, EventSaid(waiting.number, waiting.event))

    def _sent_back(self, waiting: WaitingEvent) -> None:
        """Have an event, and the later ones of its user, said at the next renewal, or to the next
        owner.
        """
        for later in self._of_user[waiting.event.user_id].values():
            if later.number >= waiting.number:
                later.said_to = None

    def _remove(self, waiting: WaitingEvent) -> None:
        del self._waiting[waiting.number]
        of_user = self._of_user[waiting.event.user_id]
        del of_user[waiting.number]
        if not of_user:
            del self._of_user[waiting.event.user_id]

    def _unheard(self, to: Lease) -> None:
        unsaid = set[UserId]()
        for waiting in self._waiting.values():
            if waiting.said_to == to or waiting.event.user_id in unsaid:
                waiting.said_to = None
                unsaid.add(waiting.event.user_id)

    def _look_for_late(self) -> None:
        try:
            self._end_late()
        finally:  # a failure is not to be the end of it
            self._late = None
            for first in self._waiting.values():
                due = max(first.until, after(self.clock.now(), _LATE_BY))
                self._late = self.clock.call_at(due, self._look_for_late)
                break

    def _end_late(self) -> None:
        """Let events fail whose owner has not answered for too long.

        It is not known whether the owner has heard them. What polls say now is said again, once for
        each device: clients come and go meanwhile, for as long as no owner answers.
        """
        now = self.clock.now()
        unheard: dict[Requester, None] = {}
        for waiting in list(self._waiting.values()):
            if waiting.until > now:
                break  # so do all that came later
            self._remove(waiting)
            user_id = waiting.event.user_id
            fail(waiting.answered, ClusterUnavailable(f"no owner answers for {user_id}"))
            if (device := _polling(waiting.event)) is not None:
                unheard[device] = None
        for device in unheard:
            later = self._of_user.get(device.user_id, {}).values()
            if all(_polling(it.event) != device for it in later):
                self.connections.repeat_device(device.user_id, device.device_id)


def _polling(event: Event) -> Requester | None:
    """Return the device of whose polls *event* tells, if it does."""
    match event:
        case Syncing() | SyncEnded():
            return Requester(event.user_id, event.device_id)
    return None
