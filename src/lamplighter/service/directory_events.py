"""Events of the homeserver: joins, leaves, and the ends of devices and accounts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lamplighter.cluster.entries import (
    BeganToCount,
    CeasedToCount,
    Deactivated,
    Entry,
    Joined,
    Revoked,
)
from lamplighter.cluster.stream import Stream
from lamplighter.delivery.feed import Feed
from lamplighter.ids import DeviceId, StreamPosition, UserId
from lamplighter.ports import MembershipChange
from lamplighter.presence.events import AccountDeactivated, DeviceGone, SyncEnded
from lamplighter.routing.room_sizes import RoomSizes
from lamplighter.service.connections import Connections
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.intake import Intake
from lamplighter.service.memberships import RoomVisibility, entries_of
from lamplighter.service.owners import Owners
from lamplighter.service.publisher import Publisher
from lamplighter.service.snapshots import Snapshots
from lamplighter.service.views import Views
from lamplighter.service.witness import Witness

__all__ = ["DirectoryEvents", "EndOfDevices", "HeardEvents"]


@dataclass(eq=False)
class DirectoryEvents:
    """A `DirectoryListener`: appends what happens to the stream, in order with the changes."""

    stream: Stream
    feed: Feed
    publisher: Publisher
    intake: Intake
    connections: Connections
    sizes: RoomSizes

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        """Append joins and leaves, after the changes that were made before them."""
        sizes = self.sizes.changed(changes)
        entries: list[Entry] = [CeasedToCount(it) for it in sizes.ceased]
        entries += entries_of(changes)
        entries += [BeganToCount(it) for it in sizes.begun]

        def append() -> None:
            for entry in entries:
                self.stream.append(entry)

        self.publisher.after_published(append)

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Drop the devices at once, and refuse their polls."""
        self.tokens_revoked(user_id, device_ids)
        for device_id in device_ids:
            self.connections.forget(user_id, device_id)
            self.intake.accept(DeviceGone(user_id, device_id))

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Refuse the polls that were begun with the old tokens; presence stays as it is."""
        self.stream.append(Revoked(user_id, tuple(device_ids)))

    def user_deactivated(self, user_id: UserId) -> None:
        """Drop what is left of the user's presence."""
        self.intake.accept(AccountDeactivated(user_id))
        self.stream.append(Deactivated(user_id))

    def rooms_news(self, user_ids: Iterable[UserId]) -> None:
        """Wake the users' polls: the rooms half has something to say."""
        self.feed.wake(user_ids)


@dataclass(eq=False)
class HeardEvents:
    """A `DirectoryListener` that every node of a cluster has, told at one place in the stream.

    What happens is in the stream already, so that each node does its own part of it. The state
    machine hears of it at the owner of the user.
    """

    deliverer: Deliverer
    memberships: RoomVisibility
    ended: "EndOfDevices"
    feed: Feed
    owners: Owners
    connections: Connections
    sizes: RoomSizes

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        """Take in joins and leaves, each at a position of this node."""
        sizes, memberships = self.sizes.changed(changes), self.memberships
        for room_id in sizes.ceased:
            memberships.ceased(self.deliverer.advance(), CeasedToCount(room_id))
        for entry in entries_of(changes):
            position = self.deliverer.advance()
            if isinstance(entry, Joined):
                memberships.joined(position, entry)
            else:
                memberships.left(position, entry)
        for room_id in sizes.begun:
            memberships.began(self.deliverer.advance(), BeganToCount(room_id))

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Refuse the polls of the devices, and drop the devices."""
        self.tokens_revoked(user_id, device_ids)
        for device_id in device_ids:
            polled = self.connections.forget(user_id, device_id)
            self.owners.hear(DeviceGone(user_id, device_id))
            if polled and not self.owners.owns(user_id):
                # The owner may have heard last from here that the device polls: a node that was
                # cut off says so before it reads what it has missed.
                self.owners.accept(SyncEnded(user_id, device_id))

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Refuse the polls that were begun with the old tokens; presence stays as it is."""
        self.ended.revoked(self.feed.position, Revoked(user_id, tuple(device_ids)))

    def user_deactivated(self, user_id: UserId) -> None:
        """Drop what is left of the user's presence."""
        self.owners.hear(AccountDeactivated(user_id))
        self.ended.deactivated(self.feed.position, Deactivated(user_id))

    def rooms_news(self, user_ids: Iterable[UserId]) -> None:
        """Wake the users' polls: the rooms half has something to say."""
        self.feed.wake(user_ids)


@dataclass(eq=False)
class EndOfDevices:
    """Consumes the entries about devices and accounts that end."""

    feed: Feed
    views: Views
    snapshots: Snapshots
    witness: Witness

    def revoked(self, _position: StreamPosition, entry: Revoked) -> None:
        """Refuse the polls of devices whose tokens are revoked."""
        for device_id in entry.device_ids:
            self.feed.revoke(entry.user_id, device_id)

    def deactivated(self, _position: StreamPosition, entry: Deactivated) -> None:
        """Forget a viewer who does not return."""
        self.feed.forget(entry.user_id)
        self.witness.away((entry.user_id,))
        self.views.forget_interest(entry.user_id)
        self.snapshots.forget(entry.user_id)
