"""Users, devices and instants for the tests of presence, and a user on the bare machine."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.events import Activity, Event, StatusSet, SyncEnded, Syncing
from lamplighter.presence.machine import (
    Rules,
    StateSource,
    SyncIsActivity,
    TrackedUser,
    apply,
    elapse,
)
from lamplighter.presence.state import Presence, UserPresenceState

HERE: Final = ServerName("here.example")
ALICE: Final = UserId("@alice:here.example")
BOB: Final = UserId("@bob:here.example")
DAVE: Final = UserId("@dave:there.example")
PHONE: Final = DeviceId("PHONE")
LAPTOP: Final = DeviceId("LAPTOP")
START: Final = Timestamp(1_704_067_200_000)

OFFLINE: Final = Presence.OFFLINE
UNAVAILABLE: Final = Presence.UNAVAILABLE
ONLINE: Final = Presence.ONLINE
BUSY: Final = Presence.BUSY

EXPLICIT: Final = Rules(sync_is_activity=SyncIsActivity.EXPLICIT)
BEGINS: Final = Syncing(ALICE, PHONE)
FIRST: Final = Syncing(ALICE, PHONE, is_first=True)
ACTIVE: Final = Syncing(ALICE, PHONE, is_activity=True)
ENDS: Final = SyncEnded(ALICE, PHONE)
ACTS: Final = Activity(ALICE, PHONE)


def at(seconds: float) -> Timestamp:
    """Return the instant *seconds* after the start of the test."""
    return after(START, timedelta(seconds=seconds))


def nobody(user_id: UserId, source: StateSource = StateSource.DEVICES) -> TrackedUser:
    """Return a user about whom nothing is known."""
    return TrackedUser(UserPresenceState.default(user_id), source)


@dataclass
class Person:
    """A user on the bare machine; instants are seconds since the start."""

    user: TrackedUser = field(default_factory=lambda: nobody(ALICE))
    rules: Rules = EXPLICIT

    def hears(self, event: Event, seconds: float = 0) -> "Person":
        """Apply *event* at this second."""
        self.user = apply(self.user, event, at(seconds), self.rules)
        return self

    def waits_until(self, seconds: float) -> "Person":
        """Apply the passing of time."""
        self.user = elapse(self.user, at(seconds), self.rules)
        return self

    @property
    def state(self) -> UserPresenceState:
        return self.user.state

    @property
    def presences(self) -> dict[DeviceId, Presence]:
        """The presence of each device."""
        return {device.device_id: device.presence for device in self.user.devices}

    @property
    def device(self) -> Device:
        """The only device."""
        (device,) = self.user.devices
        return device


def says(presence: Presence) -> Syncing:
    """Return the event of a phone whose polls say *presence*."""
    return Syncing(ALICE, PHONE, presence)


def puts(presence: Presence, status_msg: str | None = None) -> StatusSet:
    """Return a PUT of the phone."""
    return StatusSet(ALICE, PHONE, presence, status_msg)


def polling() -> Person:
    """Return a user whose phone began to poll at 0 s, and did nothing since."""
    return Person().hears(BEGINS)


def polled() -> Person:
    """Return a user whose phone polled at 0 s and was answered at once."""
    return polling().hears(ENDS)


def restored(presence: Presence) -> Person:
    """Return a user just after a restart at 0 s, last active a second before."""
    state = UserPresenceState(ALICE, presence, at(-1), 0, 0, None, presence is ONLINE)
    device = Device(RESTORED, presence, at(-1), last_sync_ts=at(0), set_presence=ONLINE)
    return Person(TrackedUser(state, StateSource.DEVICES, (device,)))
