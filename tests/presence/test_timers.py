"""The instants at which time alone changes something."""

from datetime import timedelta

import msgspec
import pytest

from lamplighter.clock import Timestamp
from lamplighter.presence.device import Device
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.timers import (
    Timers,
    idles_at,
    inactive_at,
    lapses_at,
    pings_at,
    silent_at,
)
from tests.presence.people import (
    ALICE,
    BUSY,
    DAVE,
    OFFLINE,
    ONLINE,
    PHONE,
    START,
    UNAVAILABLE,
    at,
)

#: Each duration its own, so that no two can be mistaken for each other.
TIMERS = Timers(
    last_active_granularity=timedelta(seconds=1),
    sync_online_timeout=timedelta(seconds=2),
    idle_timeout=timedelta(seconds=3),
    busy_timeout=timedelta(seconds=4),
    federation_ping=timedelta(seconds=5),
    federation_timeout=timedelta(seconds=6),
)


def state(presence: Presence, user_id: str = ALICE) -> UserPresenceState:
    """Return a state with the last activity at 10 s and the last announcement at 20 s."""
    return UserPresenceState(user_id, presence, at(10), at(20), START, None, True)


def test_the_defaults_are_the_design_s() -> None:
    """60 s, 30 s, 5 min, 60 min, 25 min, 30 min."""
    assert Timers() == Timers(
        last_active_granularity=timedelta(seconds=60),
        sync_online_timeout=timedelta(seconds=30),
        idle_timeout=timedelta(minutes=5),
        busy_timeout=timedelta(minutes=60),
        federation_ping=timedelta(minutes=25),
        federation_timeout=timedelta(minutes=30),
    )


DEVICE = Device(PHONE, ONLINE, at(10), last_sync_ts=at(12))


@pytest.mark.parametrize(
    ("presence", "idles", "lapses", "inactive", "silent", "pings"),
    [
        (OFFLINE, None, at(14), None, None, False),
        (UNAVAILABLE, None, at(14), None, at(26), True),
        (ONLINE, at(13), at(14), at(11), at(26), True),
        (BUSY, None, at(16), None, at(26), True),
    ],
)
def test_what_time_does(
    presence: Presence,
    idles: Timestamp | None,
    lapses: Timestamp,
    inactive: Timestamp | None,
    silent: Timestamp | None,
    pings: bool,
) -> None:
    """Only online devices idle; busy ones have a longer grace; only online users are currently
    active; there are no pings and no silence of offline users.
    """
    device = msgspec.structs.replace(DEVICE, presence=presence)
    assert idles_at(device, TIMERS) == idles
    assert lapses_at(device, TIMERS) == lapses
    assert lapses_at(msgspec.structs.replace(device, is_polling=True), TIMERS) is None
    assert inactive_at(state(presence), TIMERS) == inactive
    assert silent_at(state(presence, DAVE), TIMERS) == silent
    assert (pings_at(state(presence), TIMERS) is not None) is pings


@pytest.mark.parametrize("presence", [UNAVAILABLE, ONLINE, BUSY])
def test_pings_come_once_per_period_at_one_place(presence: Presence) -> None:
    """Pings come once per period, at the user's place in it, whatever is announced in between."""
    told = state(presence)
    first = pings_at(told, TIMERS)
    assert first is not None

    def next_after(moment: int) -> Timestamp | None:
        return pings_at(told.copy_and_replace(last_federation_update_ts=moment), TIMERS)

    assert at(20) < first <= at(25)
    assert [next_after(first + ms) for ms in (-1, 0, 1, 4_999, 5_000)] == [
        first,
        first + 5_000,
        first + 5_000,
        first + 5_000,
        first + 10_000,
    ]


def test_pings_are_spread_over_the_period() -> None:
    """The pings of a thousand users who came online together are spread over the period."""
    pings = [pings_at(state(ONLINE, f"@user{n}:here.example"), TIMERS) for n in range(1000)]
    per_second = [sum(at(s) < (ping or 0) <= at(s + 1) for ping in pings) for s in range(20, 25)]

    assert sum(per_second) == 1000
    assert min(per_second) > 100
