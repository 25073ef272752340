"""One user: how events and time change devices and presence."""

from datetime import timedelta
from typing import Final, cast

import msgspec
import pytest

from lamplighter.clock import Timestamp
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.events import (
    AccountDeactivated,
    DeviceGone,
    Event,
    RemoteUpdate,
    SetByModule,
    StatusSet,
    Syncing,
)
from lamplighter.presence.machine import (
    Rules,
    StateSource,
    SyncIsActivity,
    TrackedUser,
    apply,
    deadline,
)
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.timers import Timers
from tests.presence.people import (
    ACTIVE,
    ACTS,
    ALICE,
    BEGINS,
    BUSY,
    DAVE,
    ENDS,
    EXPLICIT,
    FIRST,
    LAPTOP,
    OFFLINE,
    ONLINE,
    PHONE,
    START,
    UNAVAILABLE,
    Person,
    at,
    nobody,
    polled,
    polling,
    puts,
    restored,
    says,
)

IN_CALL: Final = SetByModule(ALICE, BUSY, "in a call")
GONE: Final = DeviceGone(ALICE, PHONE)


# A PUT, and activity.


@pytest.mark.parametrize("presence", list(Presence))
def test_a_put_is_always_activity(presence: Presence) -> None:
    """A PUT sets presence and message and counts as activity, offline included."""
    assert Person().hears(puts(presence, "hi")).user == TrackedUser(
        UserPresenceState(ALICE, presence, at(0), 0, 0, "hi", presence is ONLINE),
        StateSource.DEVICES,
        (Device(PHONE, presence, at(0)),),
    )


def test_a_put_of_a_polling_device_leaves_its_poll_alone() -> None:
    """A PUT changes the presence of the device and nothing about its polls."""
    person = Person().hears(says(UNAVAILABLE)).hears(puts(ONLINE), 10)

    assert person.device == Device(
        PHONE, ONLINE, at(10), at(0), set_presence=UNAVAILABLE, is_polling=True
    )


@pytest.mark.parametrize(
    ("person", "message"),
    [
        (Person().hears(puts(ONLINE, "hi")).hears(puts(ONLINE)), None),
        (Person().hears(puts(ONLINE, "hi")).hears(says(UNAVAILABLE)), "hi"),
        (Person().hears(puts(ONLINE, "hi")).hears(GONE), "hi"),
        (Person().hears(puts(ONLINE, "hi")).waits_until(10**5), "hi"),
    ],
    ids=["PUT without a message", "sync", "logout", "time"],
)
def test_status_message(person: Person, message: str | None) -> None:
    """A PUT without a message clears the message; a sync, a logout and time keep it."""
    assert person.state.status_msg == message


@pytest.mark.parametrize(
    ("before", "after"), [(UNAVAILABLE, ONLINE), (ONLINE, ONLINE), (BUSY, BUSY)]
)
def test_activity_lifts_unavailable(before: Presence, after: Presence) -> None:
    """Activity makes an unavailable device online, and leaves online and busy ones so."""
    assert Person().hears(puts(before)).hears(ACTS, 10).user == TrackedUser(
        UserPresenceState(ALICE, after, at(10), 0, 0, None, after is ONLINE),
        StateSource.DEVICES,
        (Device(PHONE, after, at(10)),),
    )


@pytest.mark.parametrize(
    ("person", "event"),
    [
        (Person(), ACTS),
        (polling().hears(GONE), ACTS),
        (Person(), ENDS),
        (polled(), ENDS),
        (restored(ONLINE), ENDS),
        (polling().hears(GONE, 10), ENDS),
    ],
    ids=["absent", "gone", "no poll", "ended", "before the restart", "logged out"],
)
def test_what_changes_nothing(person: Person, event: Event) -> None:
    """Activity of a device that does not exist, and the end of an unknown poll, change nothing."""
    before = person.user

    assert person.hears(event, 20).user == before


# Several devices, and the end of devices.


def test_a_user_is_as_present_as_the_most_present_device() -> None:
    """The user's state follows the highest device, down as well as up."""
    person = Person().hears(StatusSet(ALICE, LAPTOP, BUSY))
    states = [
        person.hears(says(UNAVAILABLE)).state.state,
        person.hears(StatusSet(ALICE, LAPTOP, OFFLINE)).state.state,
        person.hears(ACTS).state.state,
        person.hears(GONE).state.state,
    ]

    assert states == [BUSY, UNAVAILABLE, ONLINE, OFFLINE]


def test_the_last_activity_is_the_latest_of_the_devices() -> None:
    """A poll of another device does not turn back the last activity."""
    person = polled().hears(StatusSet(ALICE, LAPTOP, ONLINE), 10).hears(says(UNAVAILABLE), 20)

    assert person.state.last_active_ts == at(10)


def test_a_logged_out_device_drops_at_once() -> None:
    """A logout drops a device with a poll in flight, and leaves the other devices alone."""
    assert polling().hears(GONE, 10).user == TrackedUser(
        UserPresenceState(ALICE, OFFLINE, at(0), 0, at(0), None, False), StateSource.DEVICES
    )
    assert polling().hears(Syncing(ALICE, LAPTOP)).hears(GONE, 10).presences == {LAPTOP: ONLINE}


def test_deactivation_takes_devices_and_message() -> None:
    """A deactivated user has no device and no message, not even one that a module has set."""
    person = Person().hears(puts(ONLINE, "hi")).hears(Syncing(ALICE, LAPTOP))
    person.hears(SetByModule(ALICE, BUSY, "from a module")).hears(AccountDeactivated(ALICE), 10)

    assert person.user == TrackedUser(
        UserPresenceState(ALICE, OFFLINE, at(0), 0, at(0), None, False), StateSource.DEVICES
    )


def test_a_user_stops_being_currently_active() -> None:
    """An online user is currently active until 60 s after an activity, exclusively."""
    person = polling()

    assert person.waits_until(59.999).state.currently_active
    assert person.waits_until(60).state == UserPresenceState(
        ALICE, ONLINE, at(0), 0, at(0), None, False
    )


# After a restart.


@pytest.mark.parametrize("event", [BEGINS, ACTS, puts(ONLINE)], ids=["poll", "activity", "put"])
def test_the_first_device_takes_over_the_restored_one(event: Event) -> None:
    """The first device that polls or acts takes over the restored one; the second is new."""
    person = restored(ONLINE).hears(event, 10)
    assert person.presences == {PHONE: ONLINE}

    assert person.hears(says(UNAVAILABLE), 10).hears(Syncing(ALICE, LAPTOP), 11).presences == {
        PHONE: UNAVAILABLE,
        LAPTOP: ONLINE,
    }


@pytest.mark.parametrize("presence", [UNAVAILABLE, ONLINE, BUSY])
def test_going_on_polling_after_a_restart_is_steady(presence: Presence) -> None:
    """A restart does not make steady polling an activity, nor an idle device active."""
    assert restored(presence).hears(BEGINS, 29).device == Device(
        PHONE, presence, at(-1), last_sync_ts=at(29), set_presence=ONLINE, is_polling=True
    )


def test_a_logout_leaves_the_restored_device_alone() -> None:
    """The restored device is for devices that poll or act."""
    assert restored(ONLINE).hears(GONE).presences == {RESTORED: ONLINE}


# Modules.


def test_a_module_s_state_leaves_devices_and_last_active_alone() -> None:
    """SetByModule changes state and message; devices and the last activity stay."""
    assert polling().hears(IN_CALL, 10).user == TrackedUser(
        UserPresenceState(ALICE, BUSY, at(0), 0, at(0), "in a call", False),
        StateSource.MODULE,
        (Device(PHONE, ONLINE, at(0), at(0), set_presence=ONLINE, is_polling=True),),
    )


@pytest.mark.parametrize(
    "event", [BEGINS, ENDS, ACTS, ACTIVE, FIRST, DeviceGone(ALICE, LAPTOP)], ids=str
)
def test_a_module_s_state_stands_while_the_devices_stay_the_same(event: Event) -> None:
    """Polls, answers and activity that change no device's presence do not end it."""
    person = polling().hears(IN_CALL, 10).hears(event, 20)

    assert (person.user.source, person.state.state) == (StateSource.MODULE, BUSY)
    assert person.state.status_msg == "in a call"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (says(UNAVAILABLE), UNAVAILABLE),
        (Syncing(ALICE, LAPTOP), ONLINE),
        (GONE, OFFLINE),
        (puts(ONLINE), ONLINE),
        (AccountDeactivated(ALICE), OFFLINE),
    ],
    ids=str,
)
def test_a_module_s_state_ends_with_a_device_s(event: Event, expected: Presence) -> None:
    """It ends when the presence of a device changes, or with a PUT, even one of the same state."""
    person = polling().hears(IN_CALL, 10).hears(event, 20)

    assert (person.user.source, person.state.state) == (StateSource.DEVICES, expected)


def test_a_module_s_state_ends_when_time_changes_a_device() -> None:
    """A device that becomes idle has changed its presence."""
    person = polling().hears(IN_CALL, 10)

    assert person.waits_until(299.999).state.state == BUSY
    assert person.waits_until(300).state.state == UNAVAILABLE


def test_a_user_who_is_online_by_a_module_stops_being_currently_active() -> None:
    """A user whom a module has set online is currently active by the last activity."""
    person = Person().hears(puts(OFFLINE)).hears(SetByModule(ALICE, ONLINE), 1)

    assert person.state.currently_active
    assert deadline(person.user, EXPLICIT) == at(30)
    person.user = msgspec.structs.replace(person.user, devices=())
    assert deadline(person.user, EXPLICIT) == at(60)
    assert not person.waits_until(60).state.currently_active


# Remote users.


def remote(
    seconds: float = 0, ago: timedelta | None = None, *, currently_active: bool = False
) -> Person:
    """Return a remote user whose server sent an update at *seconds*."""
    update = RemoteUpdate(DAVE, ONLINE, "hi", ago, currently_active)
    return Person(nobody(DAVE, StateSource.SERVER)).hears(update, seconds)


def updated_without_a_time() -> Person:
    """Return a remote user whose server sent a second update, without a last_active_ago."""
    return remote(100, timedelta(0)).hears(RemoteUpdate(DAVE, UNAVAILABLE), 200)


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (remote(100, timedelta(seconds=40), currently_active=True), (ONLINE, 60, 100, "hi", True)),
        (updated_without_a_time(), (UNAVAILABLE, 100, 200, None, False)),
        (remote(100, timedelta(days=10**5)), (ONLINE, None, 100, "hi", False)),
        (remote(currently_active=True).waits_until(1_799.999), (ONLINE, None, 0, "hi", True)),
        (remote(currently_active=True).waits_until(1_800), (OFFLINE, None, 0, "hi", False)),
    ],
    ids=["by our clock", "no time: the known one", "before the epoch: never", "until", "silence"],
)
def test_a_remote_user(
    person: Person, expected: tuple[Presence, float | None, float, str | None, bool]
) -> None:
    """The last activity is an instant of our clock; silence for 30 minutes makes a user offline."""
    presence, active, heard, message, is_active = expected
    active_ts = 0 if active is None else at(active)
    assert person.user == TrackedUser(
        UserPresenceState(DAVE, presence, active_ts, at(heard), 0, message, is_active),
        StateSource.SERVER,
    )


@pytest.mark.parametrize("presence", [OFFLINE, UNAVAILABLE, BUSY])
def test_only_online_users_are_currently_active(presence: Presence) -> None:
    """A server's `currently_active` counts for online users only."""
    person = remote().hears(RemoteUpdate(DAVE, presence, currently_active=True))

    assert not person.state.currently_active


def test_a_module_s_state_of_a_remote_user_stands_until_the_next_update() -> None:
    """It outlasts the silence of the user's server, and ends with the server's next update."""
    person = remote().hears(SetByModule(DAVE, BUSY, "in a call"), 10).waits_until(10**5)
    assert (person.user.source, person.state.state) == (StateSource.MODULE, BUSY)

    person.hears(RemoteUpdate(DAVE, UNAVAILABLE), 10**5)
    assert (person.user.source, person.state.state) == (StateSource.SERVER, UNAVAILABLE)


# Deadlines.


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (Person(), None),
        (polled(), at(30)),  # the grace
        (polling(), at(60)),  # stops being currently active
        (polling().waits_until(60), at(300)),  # idles
        (polling().waits_until(300), None),
        (Person().hears(puts(BUSY)), at(3_600)),
        (Person().hears(puts(BUSY)).hears(BEGINS), None),
        (Person().hears(SetByModule(ALICE, UNAVAILABLE)), None),
        (remote(), at(1_800)),
        (remote().waits_until(1_800), None),
    ],
)
def test_the_deadline_is_the_first_instant_that_changes_something(
    person: Person, expected: Timestamp | None
) -> None:
    """Nothing changes before the deadline, and something does at it."""
    assert deadline(person.user, EXPLICIT) == expected
    if expected is not None:
        seconds = (expected - START) / 1000
        before = person.user
        assert person.waits_until(seconds - 0.001).user == before
        assert person.waits_until(seconds).user != before


def test_the_rules_can_be_set() -> None:
    """The machine uses the durations that it gets; the default is explicit activity."""
    rules = Rules(Timers(sync_online_timeout=timedelta(milliseconds=7)), SyncIsActivity.NEVER)

    assert Rules() == Rules(Timers(), SyncIsActivity.EXPLICIT)
    assert deadline(polled().user, rules) == at(0.007)


def test_what_is_no_event_is_an_error() -> None:
    """A programming error is not mistaken for an event."""
    with pytest.raises(TypeError, match="'hello' is not an event"):
        apply(nobody(ALICE), cast("Event", "hello"), START, EXPLICIT)
