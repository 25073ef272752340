"""Brings each event to the node that owns the user, and each owner what it needs to decide.

An event of a user whom this node owns is decided here (`owned_users.py`). Any other is said to the
owner, which answers once the change is delivered and saved; until then the event waits here
(`waiting_events.py`).

When a partition gets another owner, the new one takes over the users as the last one has told them,
every node says again which of their devices poll, and what waits is said to the new owner.
"""

import asyncio
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from lamplighter.clock import Clock, sleep
from lamplighter.cluster.entries import Entry
from lamplighter.cluster.log import Lease, PartitionId
from lamplighter.cluster.partitions import partition_of
from lamplighter.cluster.shared import SharedStream
from lamplighter.cluster.wire import EventTaken, Outcome, ServerHeard, decode_message
from lamplighter.delivery.feed import Feed
from lamplighter.errors import ClusterUnavailable, StorageUnavailable
from lamplighter.futures import settle
from lamplighter.ids import ServerName, UserId
from lamplighter.presence.events import Event
from lamplighter.service.background import Background
from lamplighter.service.connections import Connections
from lamplighter.service.destinations import Destinations
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.intake import Intake
from lamplighter.service.late import LateAnswers
from lamplighter.service.node_messages import NodeMessages
from lamplighter.service.owned_users import OwnedUsers
from lamplighter.service.publisher import Publisher
from lamplighter.service.resuming import Resuming
from lamplighter.service.visibility_memory import VisibilityMemory
from lamplighter.service.waiting_events import WaitingEvents

__all__ = ["Owners"]

_log = structlog.get_logger(__name__)

#: A node that has not caught up after it got a lease tries again so soon.
_TRIES_EVERY: Final = timedelta(milliseconds=500)


@dataclass(eq=False)
class Owners:
    """The `Ownership` of a node."""

    clock: Clock
    stream: SharedStream
    publisher: Publisher
    late: LateAnswers
    intake: Intake
    connections: Connections
    background: Background
    feed: Feed
    messages: NodeMessages
    waiting: WaitingEvents
    users: OwnedUsers
    resuming: Resuming
    ends: VisibilityEnds
    destinations: Destinations
    memory: VisibilityMemory
    _lease: Lease | None = field(init=False, default=None)
    _owners: dict[PartitionId, Lease] = field(init=False, default_factory=dict)
    _held: set[PartitionId] = field(init=False, default_factory=set)
    #: The leases that live, by the last renewals.
    _lived: AbstractSet[Lease] = field(init=False, default=frozenset())
    #: The leases that this node has heard of, and that did not live at the last renewal.
    _missing: AbstractSet[Lease] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        self.intake.route_by(self.accept)

    def owns(self, user_id: UserId) -> bool:
        """Tell whether this node decides for a user."""
        return self.owns_partition(partition_of(user_id))

    def owns_partition(self, partition: PartitionId) -> bool:
        """Tell whether this node owns a partition."""
        return partition in self.users.partitions

    def accept(self, event: Event) -> "asyncio.Future[None]":
        """Bring *event* to its owner; return what `Intake.accept` returns."""
        partition = partition_of(event.user_id)
        if self._decides(partition):
            assert self._lease is not None  # a node that owns something has a lease
            return self.users.decide(self._lease, event)
        return self.waiting.wait(event, self._other_owner(partition))

    def hear(self, event: Event) -> None:
        """Let the owner of the user decide about *event*, of which every node hears."""
        if self.owns(event.user_id):
            self.accept(event)
        else:
            self.users.hear(event)

    def pass_on(self, server_name: ServerName) -> None:
        """Let the node that sends to another server learn that this server has sent a request."""
        owner = self._other_owner(partition_of(server_name))
        if owner is not None:
            self.messages.send(owner, ServerHeard(server_name))

    # --- what the node tells --------------------------------------------------------------

    def began(self, lease: Lease) -> None:
        self._lease = lease
        self.messages.begin(lease)
        self.feed.admit_all()
        self.background.run(self._repeat(lease))

    def ended(self) -> None:
        self._lease = None
        self._held.clear()
        self.messages.end()
        self.late.give_up()
        self.users.hand_all_over()
        self.destinations.hand_over()
        self.waiting.unsay()

    def cut_off(self, error: ClusterUnavailable) -> None:
        self.feed.refuse_all(error)

    def hold(self, partitions: AbstractSet[PartitionId]) -> None:
        self._held |= partitions

    def release(self, partitions: AbstractSet[PartitionId]) -> None:
        self._held -= partitions
        self._decide_waiting(partitions)

    async def drained(self) -> None:
        await self.users.settled()
        await self.publisher.published()
        await self.stream.flushed()
        try:
            await asyncio.shield(self.publisher.saved())
        except (StorageUnavailable, ClusterUnavailable) as problem:
            _log.warning("given to another node unsaved", problem=str(problem))

    def owned(self, owner: Lease, partitions: AbstractSet[PartitionId]) -> None:
        self._owners.update(dict.fromkeys(partitions, owner))
        self._held -= partitions
        if owner == self._lease:
            self.destinations.take(partitions - self.users.partitions)
            self.users.take(partitions)
            self._decide_waiting(partitions)
        else:
            self.users.hand_over(partitions)
            self.destinations.hand_over(partitions)
            self.waiting.move(partitions, None if self._lease is None else owner)
        self.connections.repeat(lambda user_id: partition_of(user_id) in partitions)

    def heard(self, by: Lease, payload: bytes) -> None:
        message = decode_message(payload)
        if isinstance(message, EventTaken):
            self.waiting.answer(by, message)
        elif isinstance(message, ServerHeard):
            if self.owns_partition(partition_of(message.server_name)):
                self.destinations.heard_from(message.server_name)
        elif self._decides(partition_of(message.event.user_id)):
            saving = self.users.decide(by, message.event)
            saving.add_done_callback(partial(self._answer, by, message.number))
        else:
            self.messages.send(by, EventTaken(message.number, Outcome.ELSEWHERE))

    def living(self, leases: AbstractSet[Lease]) -> None:
        missing = (self.users.leases() | self.waiting.leases() | self._lived) - leases
        # One answer of the log may be older than a lease of which this node has heard already.
        dead, self._missing = missing & self._missing, missing
        self.users.died(dead)
        self.waiting.say_again(dead, self._other_owner)
        if dead & self._lived:
            self.memory.node_ended()
        self._lived = (self._lived | leases) - dead

    async def log_lost(self) -> Entry:
        with _as_unavailable():
            return await self.users.log_lost()

    async def catch_up(self) -> None:
        with _as_unavailable():
            await self.resuming.log_lost(self.stream.read_until, self.clock.now())

    # --------------------------------------------------------------------------------------

    def _decides(self, partition: PartitionId) -> bool:
        return partition in self.users.partitions and partition not in self._held

    def _other_owner(self, partition: PartitionId) -> Lease | None:
        """Return the node to which events of *partition* are said; None while they have to wait."""
        owner = self._owners.get(partition)
        has_to_wait = self._lease is None or owner == self._lease or partition in self._held
        return None if has_to_wait else owner

    def _decide_waiting(self, partitions: AbstractSet[PartitionId]) -> None:
        """Decide what has waited for this node itself."""
        if self._lease is not None:
            for waiting in self.waiting.take(partitions):
                saving = self.users.decide(self._lease, waiting.event)
                saving.add_done_callback(partial(settle, waiting.answered))

    def _answer(self, by: Lease, number: int, saving: "asyncio.Future[None]") -> None:
        self.messages.send(by, EventTaken(number, _outcome(saving)))

    async def _repeat(self, lease: Lease) -> None:
        """Say again who polls here, and what was lost with the last lease, which ends all of it.

        What the node has missed comes first: a device may be gone.
        """
        while self._lease == lease:
            try:
                await self.stream.catch_up()
            except ClusterUnavailable:
                await sleep(self.clock, _TRIES_EVERY)
            else:
                self.connections.repeat(lambda _user_id: True)
                self.resuming.tell_untold()
                await self.ends.say_again()
                return


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except StorageUnavailable as error:
        raise ClusterUnavailable("what the log has lost cannot be read") from error


def _outcome(saving: "asyncio.Future[None]") -> Outcome:
    failure = None if saving.cancelled() else saving.exception()
    if saving.cancelled() or isinstance(failure, ClusterUnavailable):
        return Outcome.ELSEWHERE
    return Outcome.DONE if failure is None else Outcome.UNSAVED
