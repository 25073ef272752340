"""Users, devices and instants for the tests of presence."""

from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.presence.events import Activity, SyncEnded, Syncing
from lamplighter.presence.state import Presence

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

BEGINS: Final = Syncing(ALICE, PHONE)
ENDS: Final = SyncEnded(ALICE, PHONE)
ACTS: Final = Activity(ALICE, PHONE)


def at(seconds: float) -> Timestamp:
    """Return the instant *seconds* after the start of the test."""
    return after(START, timedelta(seconds=seconds))
