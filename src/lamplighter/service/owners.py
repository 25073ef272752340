"""Brings each event to the node that owns the user, and each owner what it needs to decide.

An event of a user whom this node owns is decided here. Any other is said to the owner, which
answers once the change is delivered and saved; until then the event waits here. If the owner does
not answer because it is no owner any more, the event is said to the next one. An event whose owner
does not answer within `MOST_WAITED_FOR` fails: whoever waits may try again.

When a partition gets another owner, the new one takes over the users as the last one has told them,
every node says again which of their devices poll, and what waits is said to the new owner.

A command of a client that has waited in vain is not repeated to a later owner. But the polls of a
device are: what they say is true until they end.
"""

import asyncio
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, after, sleep
from lamplighter.cluster.entries import Abandoned
from lamplighter.cluster.log import Lease, Log, PartitionId
from lamplighter.cluster.partitions import partition_of
from lamplighter.cluster.positions import at_time, instant_of
from lamplighter.cluster.shared import SharedStream
from lamplighter.cluster.wire import (
    EventSaid,
    EventTaken,
    NodeMessage,
    Outcome,
    decode_message,
    encode_message,
)
from lamplighter.delivery.feed import Feed
from lamplighter.errors import ClusterUnavailable, StorageUnavailable
from lamplighter.ids import UserId
from lamplighter.ports import PresenceStore
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.events import Event, StatusSet, SyncEnded, Syncing
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.announcing import Announcing
from lamplighter.service.background import Background
from lamplighter.service.batch import done
from lamplighter.service.connections import Connections
from lamplighter.service.intake import Intake
from lamplighter.service.keeper import Keeper
from lamplighter.service.late import LateAnswers
from lamplighter.service.publisher import Publisher
from lamplighter.service.roster import Roster
from lamplighter.service.vouchers import Vouchers

__all__ = ["MOST_WAITED_FOR", "MOST_WAITING", "Owners"]

_log = structlog.get_logger(__name__)

#: An event waits so long for the answer of its owner.
MOST_WAITED_FOR: Final = timedelta(seconds=5)
_LOOKS_EVERY: Final = timedelta(milliseconds=500)
#: If so many events wait for owners, further commands fail at once. What polls say always waits: as
#: many clients are connected, and a client that is not named to the owner would go offline.
MOST_WAITING: Final = 20_000
#: What changed so shortly before a loss of the log's data may not have reached every node.
_TOLD_AGAIN: Final = timedelta(minutes=1)


@dataclass(eq=False, slots=True)
class _Waiting:
    """An event that waits for its owner's answer."""

    number: int
    event: Event
    until: Timestamp
    answered: "asyncio.Future[None]"
    #: To whom it was said last; None if it was not said yet.
    said_to: Lease | None = None


@dataclass(eq=False)
class Owners:
    """The `Ownership` of a node."""

    clock: Clock
    log: Log
    stream: SharedStream
    tracker: PresenceTracker
    roster: Roster
    publisher: Publisher
    keeper: Keeper
    late: LateAnswers
    intake: Intake
    connections: Connections
    announcing: Announcing
    background: Background
    feed: Feed
    store: PresenceStore
    _lease: Lease | None = field(init=False, default=None)
    _mine: set[PartitionId] = field(init=False, default_factory=set)
    _held: set[PartitionId] = field(init=False, default_factory=set)
    _owners: dict[PartitionId, Lease] = field(init=False, default_factory=dict)
    _vouchers: Vouchers = field(init=False, default_factory=Vouchers)
    _numbers: "count[int]" = field(init=False, default_factory=count)
    #: By number, in the order in which they came.
    _waiting: dict[int, _Waiting] = field(init=False, default_factory=dict)
    #: What waits for the database.
    _deciding: "set[asyncio.Future[None]]" = field(init=False, default_factory=set)
    #: The messages that are about to be said.
    _messages: dict[Lease, list[bytes]] = field(init=False, default_factory=dict)
    #: The leases that this node has heard of, and that did not live at the last renewal.
    _missing: AbstractSet[Lease] = field(init=False, default=frozenset())
    #: How many events were said to other nodes.
    events_said: int = field(init=False, default=0)
    #: When the log had lost its data; None if it has not.
    _lost_at: Timestamp | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.tracker.hand_over(lambda _user_id: True)
        self.stream.carry(self._as_owned, self.tracker.follow)
        self.intake.route_by(self.accept)
        self.background.every(_LOOKS_EVERY, self._end_waiting)

    def owns(self, user_id: UserId) -> bool:
        """Tell whether this node decides for a user."""
        return partition_of(user_id) in self._mine

    def owns_partition(self, partition: PartitionId) -> bool:
        """Tell whether this node owns a partition."""
        return partition in self._mine

    @property
    def owned_partitions(self) -> int:
        """How many partitions this node owns."""
        return len(self._mine)

    @property
    def events_waiting(self) -> int:
        """How many events wait for their owners' answers."""
        return len(self._waiting)

    def accept(self, event: Event) -> "asyncio.Future[None]":
        """Bring *event* to its owner; return what `Intake.accept` returns."""
        partition = partition_of(event.user_id)
        if partition in self._mine and partition not in self._held:
            assert self._lease is not None  # a node that owns something has a lease
            return self._decide(self._lease, event)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered.add_done_callback(_retrieve)
        is_of_polls = isinstance(event, Syncing | SyncEnded)
        if len(self._waiting) >= MOST_WAITING and not is_of_polls:
            answered.set_exception(ClusterUnavailable("too many events wait for other nodes"))
            return answered
        until = after(self.clock.now(), MOST_WAITED_FOR)
        waiting = _Waiting(next(self._numbers), event, until, answered)
        self._waiting[waiting.number] = waiting
        self._say(waiting)
        return answered

    # --- what the node tells --------------------------------------------------------------

    def began(self, lease: Lease) -> None:
        self._lease = lease
        self.feed.admit_all()
        self.background.run(self._repeat(lease))

    def ended(self) -> None:
        self._lease = None
        self._mine.clear()
        self._held.clear()
        self._messages.clear()
        self._vouchers = Vouchers()
        self.late.give_up()
        self.tracker.hand_over(lambda _user_id: True)
        for waiting in self._waiting.values():
            waiting.said_to = None

    def cut_off(self, error: ClusterUnavailable) -> None:
        self.feed.refuse_all(error)

    def hold(self, partitions: AbstractSet[PartitionId]) -> None:
        self._held |= partitions

    def release(self, partitions: AbstractSet[PartitionId]) -> None:
        self._held -= partitions
        self._decide_waiting(partitions)

    async def drained(self) -> None:
        await self.publisher.published()
        await self.stream.flushed()
        try:
            await asyncio.shield(self.publisher.saved())
        except (StorageUnavailable, ClusterUnavailable) as problem:
            _log.warning("given to another node unsaved", problem=str(problem))

    def owned(self, owner: Lease, partitions: AbstractSet[PartitionId]) -> None:
        def are_theirs(user_id: UserId) -> bool:
            return partition_of(user_id) in partitions

        self._owners.update(dict.fromkeys(partitions, owner))
        self._held -= partitions
        if owner == self._lease:
            self._take_over(partitions - self._mine)
            self._decide_waiting(partitions)
        else:
            lost = partitions & self._mine
            self._mine -= lost
            self._vouchers.forget(lambda user_id: partition_of(user_id) in lost)
            self.tracker.hand_over(are_theirs)
            for waiting in self._waiting.values():
                if partition_of(waiting.event.user_id) in partitions:
                    waiting.said_to = None
                    self._say(waiting)
        self.connections.repeat(are_theirs)

    def heard(self, by: Lease, payload: bytes) -> None:
        message = decode_message(payload)
        if isinstance(message, EventTaken):
            self._answered(message)
            return
        partition = partition_of(message.event.user_id)
        if partition not in self._mine or partition in self._held:
            self._send(by, EventTaken(message.number, Outcome.ELSEWHERE))
            return
        saving = self._decide(by, message.event)
        number = message.number
        saving.add_done_callback(lambda it: self._send(by, EventTaken(number, _outcome(it))))

    def living(self, leases: AbstractSet[Lease]) -> None:
        asked = {it.said_to for it in self._waiting.values() if it.said_to is not None}
        missing = (self._vouchers.leases() | asked) - leases
        # One answer of the log may be older than a lease of which this node has heard already.
        dead, self._missing = missing & self._missing, missing
        for event in self._vouchers.died(dead.__contains__):
            self.intake.decide(event)
        for waiting in self._waiting.values():
            if waiting.said_to is None or waiting.said_to in dead:
                self._say(waiting)

    def log_lost(self) -> None:
        self._lost_at = self.clock.now()
        self.background.run(self._compare_with_store())

    async def _repeat(self, lease: Lease) -> None:
        """Say again who polls here: what the node said with its last lease ends with that lease.

        What the node has missed comes first: a device may be gone.
        """
        while self._lease == lease:
            try:
                await self.stream.catch_up()
            except ClusterUnavailable:
                await sleep(self.clock, _LOOKS_EVERY)
            else:
                self.connections.repeat(lambda _user_id: True)
                return

    # --- this node as an owner ------------------------------------------------------------

    def _decide(self, by: Lease, event: Event) -> "asyncio.Future[None]":
        if isinstance(event, StatusSet) and self.keeper.is_failing:
            deciding = asyncio.ensure_future(self._decide_once_saved(event))
            self._deciding.add(deciding)
            deciding.add_done_callback(self._deciding.discard)
            deciding.add_done_callback(_retrieve)
            return deciding
        merged = self._vouchers.merge(by, event)
        return done() if merged is None else self.intake.decide(merged)

    async def _decide_once_saved(self, event: StatusSet) -> None:
        """Decide once the database works again; raise `StorageUnavailable`, and tell nothing."""
        await asyncio.shield(self.keeper.try_again())
        await asyncio.shield(self.accept(event))

    def _take_over(self, partitions: AbstractSet[PartitionId]) -> None:
        def are_mine(user_id: UserId) -> bool:
            return partition_of(user_id) in partitions

        self._mine |= partitions
        changes = self.tracker.take_over(are_mine, self.roster.get, self.clock.now())
        changes += self._told_again(are_mine)
        if changes:
            self.publisher.publish(changes)
        for position in self.announcing.unanswered(are_mine):
            self.stream.append(Abandoned(position))
        self.intake.schedule()

    def _told_again(self, are_mine: Callable[[UserId], bool]) -> list[Change]:
        """Return the changes that other nodes may have missed when the log lost its data."""
        if self._lost_at is None:
            return []
        lost_at, since = self._lost_at, at_time(after(self._lost_at, -_TOLD_AGAIN))
        users = [it for it in self.roster.told_after(since) if are_mine(it)]
        states = [
            self.roster.get(it) for it in users if instant_of(self.roster.last(it).told) <= lost_at
        ]
        return [Change(state, state, ChangeReason.FORCED) for state in reversed(states)]

    async def _compare_with_store(self) -> None:
        """Take in what owners had saved, and what this node had not read before the loss."""
        last, now = self.roster.last, self.clock.now()
        saved = {UserId(it.user.state.user_id): it for it in await self.store.load()}
        newer = {
            user_id: it.user for user_id, it in saved.items() if it.position > last(user_id).told
        }
        self.tracker.restore(newer.values(), now)
        self.tracker.hand_over(newer.__contains__)
        changes = self.tracker.take_over(self.owns, self.roster.get, now)
        if changes:
            self.publisher.publish(changes)
        for event in self._vouchers.said(newer.__contains__):
            self.intake.decide(event)
        self.intake.schedule()

    def _as_owned(self, user_ids: Iterable[UserId]) -> list[TrackedUser]:
        users = (self.tracker.user(user_id) for user_id in user_ids)
        return [user for user in users if user is not None]

    def _decide_waiting(self, partitions: AbstractSet[PartitionId]) -> None:
        """Decide what waits for this node itself."""
        for waiting in list(self._waiting.values()):
            if partition_of(waiting.event.user_id) in partitions and self._lease is not None:
                del self._waiting[waiting.number]
                saving = self._decide(self._lease, waiting.event)
                saving.add_done_callback(partial(_settle, waiting.answered))

    # --- this node as one that asks owners ------------------------------------------------

    def _say(self, waiting: _Waiting) -> None:
        partition = partition_of(waiting.event.user_id)
        owner = self._owners.get(partition)
        if owner in (None, self._lease) or self._lease is None or partition in self._held:
            return
        waiting.said_to = owner
        self.events_said += 1
        self._send(owner, EventSaid(waiting.number, waiting.event))

    def _end_waiting(self) -> None:
        """Let events fail whose owner has not answered for too long.

        It is not known whether the owner has heard them. What polls say now is said again.
        """
        now = self.clock.now()
        for waiting in list(self._waiting.values()):
            if waiting.until > now:
                break  # so do all that came later
            del self._waiting[waiting.number]
            if not waiting.answered.done():
                error = ClusterUnavailable(f"no owner answers for {waiting.event.user_id}")
                waiting.answered.set_exception(error)
            if isinstance(event := waiting.event, Syncing | SyncEnded):
                self.connections.repeat_device(event.user_id, event.device_id)

    def _answered(self, message: EventTaken) -> None:
        waiting = self._waiting.get(message.number)
        if waiting is None:
            return
        if message.outcome is Outcome.ELSEWHERE:
            waiting.said_to = None  # it is said again at the next renewal, or to the next owner
            return
        del self._waiting[message.number]
        if waiting.answered.done():
            return
        if message.outcome is Outcome.UNSAVED:
            error = StorageUnavailable("the owner of the user cannot save")
            waiting.answered.set_exception(error)
        else:
            waiting.answered.set_result(None)

    def _send(self, to: Lease, message: NodeMessage) -> None:
        if self._lease is None:
            return
        messages = self._messages.get(to)
        if messages is None:
            self._messages[to] = [encode_message(message)]
            self.background.run(self._deliver(self._lease, to))
        else:
            messages.append(encode_message(message))

    async def _deliver(self, lease: Lease, to: Lease) -> None:
        """Say what is gathered for one node, and what is gathered meanwhile, in its order."""
        while messages := self._messages.get(to):
            self._messages[to] = []
            try:
                lives = await self.log.say(lease, to, messages)
            except ClusterUnavailable:
                lives = False
            if not lives:
                for waiting in self._waiting.values():
                    if waiting.said_to == to:
                        waiting.said_to = None
                break
        self._messages.pop(to, None)


def _outcome(saving: "asyncio.Future[None]") -> Outcome:
    failure = None if saving.cancelled() else saving.exception()
    if saving.cancelled() or isinstance(failure, ClusterUnavailable):
        return Outcome.ELSEWHERE
    return Outcome.DONE if failure is None else Outcome.UNSAVED


def _settle(answered: "asyncio.Future[None]", saving: "asyncio.Future[None]") -> None:
    """Give *answered* the result of *saving*."""
    failure = None if saving.cancelled() else saving.exception()
    if answered.done():
        return
    if saving.cancelled():
        answered.cancel()
    elif failure is not None:
        answered.set_exception(failure)
    else:
        answered.set_result(None)


def _retrieve(answered: "asyncio.Future[None]") -> None:
    if not answered.cancelled():
        answered.exception()  # whoever waits gets it
