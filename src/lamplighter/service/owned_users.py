"""The users whom this node owns: it decides how they are.

When the node takes partitions over, it has their users as the last owner has told them. Every node
says again which of their devices poll.

The last owner may have told what it could not save any more: it has died just then, or its database
was away. So the next owner saves again what was told.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Final

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.cluster.entries import Abandoned, ReadAgain
from lamplighter.cluster.log import Lease, PartitionId
from lamplighter.cluster.partitions import partition_of
from lamplighter.cluster.positions import at_time, instant_of
from lamplighter.cluster.recent import RECENT
from lamplighter.cluster.shared import SharedStream
from lamplighter.errors import StorageUnavailable
from lamplighter.futures import retrieve, settle
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import PresenceStore
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.events import Event, StatusSet
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.recent import Recent
from lamplighter.service.announcing import Announcing
from lamplighter.service.background import Background
from lamplighter.service.batch import done
from lamplighter.service.doubted_events import DoubtedEvents
from lamplighter.service.intake import Intake
from lamplighter.service.keeper import Keeper
from lamplighter.service.publisher import Publisher
from lamplighter.service.roster import Roster
from lamplighter.service.vouchers import Vouchers

__all__ = ["OwnedUsers"]

#: Of so many users is remembered what their owners have not decided yet; of each so many events:
#: the owner of a user who has no presence tells nothing, however often that user logs in and out.
_MOST_HEARD: Final = 10_000
_MOST_OF_ONE: Final = 100
#: What changed so shortly before a loss of the log's data may not have reached every node.
_TOLD_AGAIN: Final = timedelta(minutes=1)
#: Users whom the last owner has told are saved again, so many in one commit.
_SAVED_AT_ONCE: Final = 100


@dataclass(eq=False)
class OwnedUsers:
    """The users of the partitions that this node owns, as the log says."""

    clock: Clock
    stream: SharedStream
    tracker: PresenceTracker
    roster: Roster
    publisher: Publisher
    keeper: Keeper
    intake: Intake
    announcing: Announcing
    background: Background
    store: PresenceStore
    #: Whether there is no presence at all: what is stored is of before.
    is_off: bool
    _partitions: set[PartitionId] = field(init=False, default_factory=set)
    _vouchers: Vouchers = field(init=False, default_factory=Vouchers)
    #: What has happened to users of other nodes, which have not told since how these users are.
    _heard: Recent[UserId, tuple[Event, ...]] = field(
        init=False, default_factory=lambda: Recent(_MOST_HEARD)
    )
    _doubted: DoubtedEvents = field(init=False)
    #: When the log had lost its data; None if it has not.
    _lost_at: Timestamp | None = field(init=False, default=None)
    #: What was told earlier is in the database, which this node has read at its start.
    _saved_until: StreamPosition = field(init=False)
    #: The users whom the last owner has told, and perhaps not saved; the values mean nothing.
    _perhaps_unsaved: dict[UserId, None] = field(init=False, default_factory=dict)
    _is_saving_again: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._saved_until = at_time(after(self.clock.now(), -RECENT))
        self._doubted = DoubtedEvents(self.clock, self.keeper, self._decide)
        #: Return once no event waits for the database.
        self.settled = self._doubted.settled
        self.tracker.hand_over(_everybody)
        self.stream.carry(self._as_owned, self._follow)

    @property
    def partitions(self) -> AbstractSet[PartitionId]:
        """The partitions that this node owns."""
        return self._partitions

    def decide(self, by: Lease, event: Event) -> "asyncio.Future[None]":
        """Take in *event*, which the node *by* has heard; return what `Intake.accept` returns."""
        if self._doubted.has_to_wait(event):
            return self._doubted.wait(by, event)
        return self._decide(by, event)

    def _decide(self, by: Lease, event: Event) -> "asyncio.Future[None]":
        if partition_of(event.user_id) not in self._partitions:
            # The user may have another owner by now. What polls say is said again to that owner.
            return self.intake.accept(event) if isinstance(event, StatusSet) else done()
        merged = self._vouchers.merge(by, event)
        if merged is None:
            return done()
        if not isinstance(event, StatusSet) or event.user_id not in self._perhaps_unsaved:
            return self.intake.decide(merged)
        # Where the status is what the last owner has told, nothing changes, and nothing is saved.
        del self._perhaps_unsaved[event.user_id]
        saving = self.keeper.keep((event.user_id,))
        return _both(saving, self.intake.decide(merged))

    def hear(self, event: Event) -> None:
        """Learn of *event*, about a user of another node. Every node hears of it.

        If that node dies before it tells what follows, the next owner decides.
        """
        before = self._heard.peek(event.user_id) or ()
        self._heard.put(event.user_id, (*before, event)[-_MOST_OF_ONE:])

    def take(self, partitions: AbstractSet[PartitionId]) -> None:
        """Own *partitions*, too: their users are as the roster has them."""
        are_theirs = _users_of(partitions - self._partitions)
        self._partitions |= partitions
        changes = self.tracker.take_over(are_theirs, self.roster.get, self.clock.now())
        changed = {it.new.user_id for it in changes}
        changes += (it for it in self._told_again(are_theirs) if it.new.user_id not in changed)
        if changes:
            self.publisher.publish(changes)
        self._save_again(filter(are_theirs, self.roster.told_after(self._saved_until)))
        for position in self.announcing.unanswered(are_theirs):
            self.stream.append(Abandoned(position))
        for user_id in filter(are_theirs, list(self._heard)):
            for event in self._heard.peek(user_id) or ():
                self.intake.decide(event)
            self._heard.drop(user_id)
        self.intake.schedule()

    def hand_over(self, partitions: AbstractSet[PartitionId]) -> None:
        """Decide no more about the users of *partitions*: another node owns them."""
        self._vouchers.forget(_users_of(partitions & self._partitions))
        self._partitions -= partitions
        self.tracker.hand_over(_users_of(partitions))

    def hand_all_over(self) -> None:
        """Own nobody any more."""
        self._partitions.clear()
        self._vouchers = Vouchers()
        self.tracker.hand_over(_everybody)

    def leases(self) -> set[Lease]:
        """Return the leases of the nodes that say that devices of these users poll."""
        return self._vouchers.leases()

    def died(self, dead: AbstractSet[Lease]) -> None:
        """Learn that what the nodes with these leases have said is true no more."""
        for event in self._vouchers.died(dead.__contains__):
            self.intake.decide(event)

    async def log_lost(self) -> ReadAgain:
        """Learn that the log has lost its data; raise `StorageUnavailable`.

        Returns what owners have saved, and this node has not read: nobody will tell it that again
        before this node answers, or owns these users.
        """
        self._lost_at, last = self.clock.now(), self.roster.last
        saved = () if self.is_off else await self.store.load()
        newer = [it for it in saved if it.position > last(UserId(it.user.state.user_id)).told]
        newer.sort(key=attrgetter("position"))
        self.tracker.restore([it.user for it in newer], self.clock.now())
        self.tracker.hand_over({it.user.state.user_id for it in newer}.__contains__)
        return ReadAgain(tuple(it.user.state for it in newer))

    def _save_again(self, users: Iterable[UserId]) -> None:
        self._perhaps_unsaved.update(dict.fromkeys(users))
        if self._perhaps_unsaved and not self._is_saving_again:
            self._is_saving_again = True
            self.background.run(self._save_all_again())

    async def _save_all_again(self) -> None:
        try:
            while self._perhaps_unsaved:
                users = list(islice(self._perhaps_unsaved, _SAVED_AT_ONCE))
                with suppress(StorageUnavailable):  # the store keeps them, and tries again
                    await self.keeper.keep(users)
                for user_id in users:
                    self._perhaps_unsaved.pop(user_id, None)
        finally:
            self._is_saving_again = False

    def _told_again(self, are_theirs: Callable[[UserId], bool]) -> list[Change]:
        """Return the changes that other nodes may have missed when the log lost its data."""
        if self._lost_at is None:
            return []
        lost_at, since = self._lost_at, at_time(after(self._lost_at, -_TOLD_AGAIN))
        users = [it for it in self.roster.told_after(since) if are_theirs(it)]
        states = [
            self.roster.get(it) for it in users if instant_of(self.roster.last(it).told) <= lost_at
        ]
        return [Change(state, state, ChangeReason.FORCED) for state in reversed(states)]

    def _follow(self, users: Sequence[TrackedUser]) -> None:
        """Take in how users of other nodes are: their owners have decided what was heard."""
        self.tracker.follow(users)
        if len(self._heard):
            for user in users:
                self._heard.drop(UserId(user.state.user_id))

    def _as_owned(self, user_ids: Iterable[UserId]) -> list[TrackedUser]:
        users = (self.tracker.user(user_id) for user_id in user_ids)
        return [user for user in users if user is not None]


def _both(one: "asyncio.Future[None]", other: "asyncio.Future[None]") -> "asyncio.Future[None]":
    """Return what is done once both are; it fails as *one* does, or else *other*."""
    both: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    both.add_done_callback(retrieve)

    def go_on(ended: "asyncio.Future[None]") -> None:
        if ended.cancelled() or ended.exception() is not None:
            settle(both, ended)
        else:
            other.add_done_callback(partial(settle, both))

    one.add_done_callback(go_on)
    return both


def _users_of(partitions: AbstractSet[PartitionId]) -> Callable[[UserId], bool]:
    """Return what tells whether a user is in one of *partitions*, as they are now."""
    now = frozenset(partitions)
    return lambda user_id: partition_of(user_id) in now


def _everybody(_user_id: UserId) -> bool:
    return True
