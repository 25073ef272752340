"""When time alone changes something."""

from datetime import timedelta

import pytest

from lamplighter.clock import Timestamp
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.timers import (
    Timers,
    begins_anew_at,
    goes_quiet_at,
    idles_at,
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
    """Return a state last active at 10 s and last told at 20 s."""
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


@pytest.mark.parametrize(
    ("presence", "expected"),
    [(OFFLINE, None), (UNAVAILABLE, None), (ONLINE, at(13)), (BUSY, None)],
)
def test_only_an_online_device_idles(presence: Presence, expected: Timestamp | None) -> None:
    """An online device becomes unavailable `idle_timeout` after its last activity."""
    assert idles_at(Device(PHONE, presence, at(10), last_sync_ts=at(12)), TIMERS) == expected


@pytest.mark.parametrize(
    ("presence", "expected"),
    [(OFFLINE, at(14)), (UNAVAILABLE, at(14)), (ONLINE, at(14)), (BUSY, at(16))],
)
def test_the_grace_is_longer_for_busy(presence: Presence, expected: Timestamp) -> None:
    """A device is dropped `sync_online_timeout` after its last poll, busy ones `busy_timeout`."""
    assert lapses_at(Device(PHONE, presence, at(10), last_sync_ts=at(12)), TIMERS) == expected


def test_the_grace_counts_from_an_activity_too() -> None:
    """What the person does after the last poll prolongs the grace."""
    assert lapses_at(Device(PHONE, ONLINE, at(15), last_sync_ts=at(12)), TIMERS) == at(17)


@pytest.mark.parametrize("presence", list(Presence))
def test_a_device_with_a_poll_in_flight_never_lapses(presence: Presence) -> None:
    """However long a poll hangs, its device stays."""
    assert lapses_at(Device(PHONE, presence, at(0), at(0), is_polling=True), TIMERS) is None


def test_polls_begin_anew_after_ten_seconds() -> None:
    """The next poll begins anew ten seconds after the last one, but not after a restart."""
    assert begins_anew_at(Device(PHONE, ONLINE, at(5), last_sync_ts=at(12))) == at(22)
    assert begins_anew_at(Device(PHONE, ONLINE, at(5), at(12), is_polling=True)) is None
    assert begins_anew_at(Device(RESTORED, ONLINE, at(5), last_sync_ts=at(12))) is None


@pytest.mark.parametrize(
    ("presence", "expected"),
    [(OFFLINE, None), (UNAVAILABLE, None), (ONLINE, at(11)), (BUSY, None)],
)
def test_only_an_online_user_goes_quiet(presence: Presence, expected: Timestamp | None) -> None:
    """`currently_active` of an online user ends `last_active_granularity` after an activity."""
    assert goes_quiet_at(state(presence), TIMERS) == expected


@pytest.mark.parametrize(
    ("presence", "expected"),
    [(OFFLINE, None), (UNAVAILABLE, at(26)), (ONLINE, at(26)), (BUSY, at(26))],
)
def test_who_is_not_offline_can_fall_silent(presence: Presence, expected: Timestamp | None) -> None:
    """A remote user is silent `federation_timeout` after the server's last word."""
    assert silent_at(state(presence, DAVE), TIMERS) == expected


def test_nobody_is_reminded_of_offline_users() -> None:
    """An offline user is not pinged for."""
    assert pings_at(state(OFFLINE), TIMERS) is None


@pytest.mark.parametrize("presence", [UNAVAILABLE, ONLINE, BUSY])
def test_pings_come_once_per_period_at_one_place(presence: Presence) -> None:
    """After each ping the next is exactly one period later; whatever is told between is no matter.

    Told at any moment of a period, the user is pinged for at the end of that same period.
    """
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
    """A thousand users who came online together are reminded of all over the period."""
    pings = [pings_at(state(ONLINE, f"@user{n}:here.example"), TIMERS) for n in range(1000)]
    per_second = [sum(at(s) < (ping or 0) <= at(s + 1) for ping in pings) for s in range(20, 25)]

    assert sum(per_second) == 1000
    assert min(per_second) > 100
