"""Which nodes say that a device polls, for the users that this node owns.

A client may go from one node to another: for a moment both say that the device polls. So the
device stops polling only when no node says so any more, or when the nodes that say so are dead.
Until then the highest presence counts that one of them says.
"""

from collections.abc import Callable

from msgspec.structs import replace

from lamplighter.cluster.log import Lease
from lamplighter.ids import UserId
from lamplighter.ports import Requester
from lamplighter.presence.events import DeviceGone, Event, SyncEnded, Syncing
from lamplighter.presence.state import PRESENCE_RANK, Presence

__all__ = ["Vouchers"]


class Vouchers:
    """By device, the leases of the nodes that say that it polls, and what its polls say there."""

    def __init__(self) -> None:
        self._polling: dict[Requester, dict[Lease, Presence]] = {}

    def merge(self, by: Lease, event: Event) -> Event | None:
        """Return what *event*, said by the node *by*, means with what other nodes say.

        None means nothing: another node says the same of the device.
        """
        match event:
            case Syncing():
                said = self._polling.setdefault(_device(event), {})
                said[by] = event.set_presence
                return replace(event, set_presence=_highest(said))
            case SyncEnded():
                return self._ended(by, event)
            case DeviceGone():
                self._polling.pop(_device(event), None)
        return event

    def died(self, is_dead: Callable[[Lease], bool]) -> list[Event]:
        """Return what follows from the end of the leases of which *is_dead* is true."""
        events: list[Event] = []
        for device, said in list(self._polling.items()):
            for lease in [it for it in said if is_dead(it)]:
                event = self._ended(lease, SyncEnded(device.user_id, device.device_id))
                if event is not None:
                    events.append(event)
        return events

    def forget(self, is_theirs: Callable[[UserId], bool]) -> None:
        """Forget the devices of users whom this node does not own any more."""
        for device in [it for it in self._polling if is_theirs(it.user_id)]:
            del self._polling[device]

    def leases(self) -> set[Lease]:
        """Return the leases of the nodes that say anything."""
        return {lease for said in self._polling.values() for lease in said}

    def _ended(self, by: Lease, event: SyncEnded) -> Event | None:
        device = _device(event)
        said = self._polling.get(device, {})
        before = _highest(said) if said else None
        said.pop(by, None)
        if not said:
            self._polling.pop(device, None)
            return event
        highest = _highest(said)
        return None if highest is before else Syncing(device.user_id, device.device_id, highest)


def _device(event: Syncing | SyncEnded | DeviceGone) -> Requester:
    return Requester(event.user_id, event.device_id)


def _highest(said: dict[Lease, Presence]) -> Presence:
    return max(said.values(), key=PRESENCE_RANK.__getitem__)
