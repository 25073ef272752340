"""A device that polls, for the tests of connections: no HTTP, a clock that is turned by hand."""

from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.ports import Requester
from lamplighter.presence.changes import Change
from lamplighter.presence.events import Event
from lamplighter.presence.machine import Rules
from lamplighter.presence.state import Presence
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.connections import Connections

BOB, PHONE = UserId("@bob:demo"), DeviceId("PHONE")
WHO = Requester(BOB, PHONE)


class PollingWorld:
    """A tracker, the connections before it, and what it is told."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.clock = FakeClock()
        self.told: list[Event] = []
        self.changes: list[Change] = []
        self.tracker = PresenceTracker(ServerName("demo"), rules or Rules())
        self.connections = Connections(self.tracker, self.clock, self.feed, self._allows)
        #: How many changes more are allowed, and how many were asked for.
        self.allowed = 1_000_000
        self.asked = 0

    def feed(self, event: Event) -> None:
        """Tell the tracker."""
        self.told.append(event)
        self.changes += self.tracker.feed(event, self.clock.now())

    def polls(
        self, set_presence: Presence | None = None, *, seconds: float = 1, device: str = PHONE
    ) -> None:
        """Poll for a while, and come back a hundredth of a second later."""
        requester = Requester(BOB, DeviceId(device))
        polls = self.connections.begin(requester, set_presence)
        self.clock.advance(seconds=seconds)
        self.connections.end(polls, self.clock.now())
        self.clock.advance(milliseconds=10)

    def take_told(self) -> list[Event]:
        """Return what the tracker was told since the last time."""
        told, self.told[:] = list(self.told), []
        return told

    def _allows(self, requester: Requester) -> bool:
        self.asked += 1
        self.allowed -= 1
        return self.allowed >= 0
