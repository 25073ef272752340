"""One user: what events and time make of devices and presence."""

from datetime import timedelta
from typing import cast

import msgspec
import pytest

from lamplighter.clock import Timestamp
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.events import (
    DeviceGone,
    Event,
    RemoteUpdate,
    SetByModule,
    StatusSet,
    Syncing,
    UserDeactivated,
)
from lamplighter.presence.machine import (
    Rules,
    SyncIsActivity,
    TrackedUser,
    Word,
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

# A PUT.


@pytest.mark.parametrize("presence", list(Presence))
def test_a_put_is_always_activity(presence: Presence) -> None:
    """A PUT names presence and message and counts as activity, offline included."""
    assert Person().hears(puts(presence, "hi")).user == TrackedUser(
        UserPresenceState(ALICE, presence, at(0), 0, 0, "hi", presence is ONLINE),
        Word.DEVICES,
        (Device(PHONE, presence, at(0)),),
    )


def test_a_put_of_a_polling_device_leaves_its_poll_alone() -> None:
    """A PUT changes what the device says and nothing about its polls."""
    person = Person().hears(says(UNAVAILABLE)).hears(puts(ONLINE), 10)

    assert person.device == Device(
        PHONE, ONLINE, at(10), at(0), set_presence=UNAVAILABLE, is_polling=True
    )


def test_a_put_without_a_message_clears_it() -> None:
    """A PUT without status_msg clears it."""
    assert Person().hears(puts(ONLINE, "hi")).hears(puts(ONLINE)).state.status_msg is None


@pytest.mark.parametrize(
    "event", [BEGINS, ACTIVE, ENDS, ACTS], ids=["poll", "explicit poll", "answer", "activity"]
)
def test_who_hides_stays_hidden(event: Event) -> None:
    """After PUT offline neither polls that say the same nor activity bring the device back."""
    person = polling().hears(puts(OFFLINE), 10).hears(event, 20)

    assert person.presences == {PHONE: OFFLINE}
    assert person.state.last_active_ts == at(10)


@pytest.mark.parametrize(
    ("event", "state", "last_active"),
    [(FIRST, ONLINE, 20), (says(UNAVAILABLE), UNAVAILABLE, 10), (puts(BUSY), BUSY, 20)],
    ids=["first sync", "something else", "put"],
)
def test_who_hides_comes_back_by_saying_so(
    event: Event, state: Presence, last_active: float
) -> None:
    """A hidden device shows again what its polls newly say, what a first sync says, or a PUT."""
    person = polling().hears(puts(OFFLINE), 10).hears(event, 20)

    assert (person.state.state, person.state.last_active_ts) == (state, at(last_active))


def test_a_hidden_device_lapses_like_any_other() -> None:
    """A hidden device is forgotten after its grace, and starts as any absent one."""
    person = Person().hears(puts(OFFLINE)).waits_until(29.999)
    assert person.presences == {PHONE: OFFLINE}

    assert person.waits_until(30).user.devices == ()
    assert person.hears(BEGINS, 30).presences == {PHONE: ONLINE}


def test_a_hidden_device_does_not_hide_the_others() -> None:
    """A user is offline only if all devices say so."""
    assert polling().hears(StatusSet(ALICE, LAPTOP, OFFLINE), 1).state.state == ONLINE


# Activity.


@pytest.mark.parametrize(
    ("before", "after"), [(UNAVAILABLE, ONLINE), (ONLINE, ONLINE), (BUSY, BUSY)]
)
def test_activity_lifts_unavailable(before: Presence, after: Presence) -> None:
    """Activity makes an unavailable device online, and leaves online and busy ones so."""
    assert Person().hears(puts(before)).hears(ACTS, 10).user == TrackedUser(
        UserPresenceState(ALICE, after, at(10), 0, 0, None, after is ONLINE),
        Word.DEVICES,
        (Device(PHONE, after, at(10)),),
    )


@pytest.mark.parametrize("person", [Person(), polling().hears(DeviceGone(ALICE, PHONE))])
def test_activity_of_a_device_that_is_not_there_does_nothing(person: Person) -> None:
    """Typing does not bring a device back that does not poll."""
    before = person.user

    assert person.hears(ACTS, 10).user == before


# The end of a device.


def test_a_device_that_is_gone_drops_at_once() -> None:
    """Logout drops a device even with a poll in flight; the poll's end does nothing."""
    person = polling().hears(DeviceGone(ALICE, PHONE), 10)
    expected = TrackedUser(
        UserPresenceState(ALICE, OFFLINE, at(0), 0, at(0), None, False), Word.DEVICES
    )

    assert person.user == expected
    assert person.hears(ENDS, 20).user == expected


def test_only_the_device_that_is_gone_drops() -> None:
    """The user's other devices stay, and the message does too."""
    person = Person().hears(puts(BUSY, "hi")).hears(Syncing(ALICE, LAPTOP))
    person.hears(DeviceGone(ALICE, PHONE), 10)

    assert person.presences == {LAPTOP: ONLINE}
    assert person.state.status_msg == "hi"


def test_deactivation_takes_devices_and_message() -> None:
    """A deactivated user has no device and no message, whoever had set them."""
    person = Person().hears(puts(ONLINE, "hi")).hears(Syncing(ALICE, LAPTOP))
    person.hears(SetByModule(ALICE, BUSY, "from a module")).hears(UserDeactivated(ALICE), 10)

    assert person.user == TrackedUser(
        UserPresenceState(ALICE, OFFLINE, at(0), 0, at(0), None, False), Word.DEVICES
    )


# Several devices, and time.


def test_a_user_is_as_present_as_the_most_present_device() -> None:
    """The user's state follows the highest device, down as well as up."""
    person = Person().hears(StatusSet(ALICE, LAPTOP, BUSY))
    states = [
        person.hears(says(UNAVAILABLE)).state.state,
        person.hears(StatusSet(ALICE, LAPTOP, OFFLINE)).state.state,
        person.hears(ACTS).state.state,
        person.hears(DeviceGone(ALICE, PHONE)).state.state,
    ]

    assert states == [BUSY, UNAVAILABLE, ONLINE, OFFLINE]


def test_an_online_device_idles() -> None:
    """Five minutes after the last activity an online device is unavailable, not earlier."""
    person = polling().hears(ACTS, 10)

    assert person.waits_until(309.999).presences == {PHONE: ONLINE}
    assert person.waits_until(310).presences == {PHONE: UNAVAILABLE}


def test_a_busy_device_has_a_longer_grace_and_never_idles() -> None:
    """A busy device that vanished stays busy for an hour and is then dropped."""
    person = Person().hears(puts(BUSY))

    assert person.waits_until(3_599.999).presences == {PHONE: BUSY}
    assert person.waits_until(3_600).user.devices == ()


def test_a_user_goes_quiet() -> None:
    """An online user is currently active until 60 s after an activity, exclusively."""
    person = polling()

    assert person.waits_until(59.999).state.currently_active
    assert person.waits_until(60).state == UserPresenceState(
        ALICE, ONLINE, at(0), 0, at(0), None, False
    )


def test_a_timeout_keeps_the_status_message() -> None:
    """Going idle and lapsing keep the message."""
    person = Person().hears(puts(ONLINE, "hi"))

    assert person.waits_until(10**5).state == UserPresenceState(
        ALICE, OFFLINE, at(0), 0, 0, "hi", False
    )


# After a restart.


@pytest.mark.parametrize("event", [BEGINS, ACTS, puts(ONLINE)], ids=["poll", "activity", "put"])
def test_the_first_device_to_speak_takes_the_restored_one_over(event: Event) -> None:
    """The restored device gets the name of the first to speak; the second is a new one."""
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


def test_nobody_takes_the_restored_device_by_leaving() -> None:
    """The restored device is for those who speak: a logout does not touch it."""
    assert restored(ONLINE).hears(DeviceGone(ALICE, PHONE)).presences == {RESTORED: ONLINE}


# Modules.


def test_a_module_s_word_leaves_devices_and_last_active_alone() -> None:
    """SetByModule changes state and message; devices and the last activity are untouched."""
    person = polling().hears(SetByModule(ALICE, BUSY, "in a call"), 10)

    assert person.user == TrackedUser(
        UserPresenceState(ALICE, BUSY, at(0), 0, at(0), "in a call", False),
        Word.MODULE,
        (Device(PHONE, ONLINE, at(0), at(0), set_presence=ONLINE, is_polling=True),),
    )


@pytest.mark.parametrize(
    "event", [BEGINS, ENDS, ACTS, ACTIVE, FIRST, DeviceGone(ALICE, LAPTOP)], ids=str
)
def test_a_module_s_word_stands_while_the_devices_say_the_same(event: Event) -> None:
    """Polls, answers and activity that change no device's state do not undo a module's word."""
    person = polling().hears(SetByModule(ALICE, BUSY, "in a call"), 10).hears(event, 20)

    assert (person.user.word, person.state.state) == (Word.MODULE, BUSY)
    assert person.state.status_msg == "in a call"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (says(UNAVAILABLE), UNAVAILABLE),
        (Syncing(ALICE, LAPTOP), ONLINE),
        (DeviceGone(ALICE, PHONE), OFFLINE),
        (puts(ONLINE), ONLINE),
        (UserDeactivated(ALICE), OFFLINE),
    ],
    ids=str,
)
def test_a_module_s_word_ends_with_a_device_s(event: Event, expected: Presence) -> None:
    """It stands until a device changes what it says, or a PUT, even one of the same state."""
    person = polling().hears(SetByModule(ALICE, BUSY), 10).hears(event, 20)

    assert (person.user.word, person.state.state) == (Word.DEVICES, expected)


def test_a_module_s_word_ends_when_time_changes_a_device() -> None:
    """A device that idles has changed what it says."""
    person = polling().hears(SetByModule(ALICE, BUSY), 10)

    assert person.waits_until(299.999).state.state == BUSY
    assert person.waits_until(300).state.state == UNAVAILABLE


def test_a_module_s_online_goes_quiet_like_any_other() -> None:
    """Who is online by a module's word is currently active by the last activity."""
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
    """Return a remote user whose server spoke at *seconds*."""
    update = RemoteUpdate(DAVE, ONLINE, "hi", ago, currently_active)
    return Person(nobody(DAVE, Word.SERVER)).hears(update, seconds)


def test_a_remote_user_s_activity_is_told_by_our_clock() -> None:
    """last_active_ago becomes an instant by our clock."""
    person = remote(100, timedelta(seconds=40), currently_active=True)

    assert person.user == TrackedUser(
        UserPresenceState(DAVE, ONLINE, at(60), at(100), 0, "hi", True), Word.SERVER
    )


def test_a_server_that_says_no_time_leaves_the_known_one() -> None:
    """Without last_active_ago the last known activity stays, and the message is replaced."""
    person = remote(100, timedelta(0)).hears(RemoteUpdate(DAVE, UNAVAILABLE), 200)

    assert person.state == UserPresenceState(DAVE, UNAVAILABLE, at(100), at(200), 0, None, False)


def test_longer_ago_than_the_epoch_is_never() -> None:
    """An absurd last_active_ago means never, and no negative instant."""
    assert remote(0, timedelta(days=10**5)).state.last_active_ts == 0


@pytest.mark.parametrize("presence", [OFFLINE, UNAVAILABLE, BUSY])
def test_only_online_users_are_currently_active(presence: Presence) -> None:
    """A server that calls somebody active who is not online is not believed in that."""
    person = remote().hears(RemoteUpdate(DAVE, presence, currently_active=True))

    assert not person.state.currently_active


def test_a_silent_server_s_user_is_offline() -> None:
    """After 30 minutes of silence a remote user is offline and keeps the message."""
    person = remote(currently_active=True)

    assert person.waits_until(1_799.999).state.state == ONLINE
    assert person.waits_until(1_800).user == TrackedUser(
        UserPresenceState(DAVE, OFFLINE, 0, at(0), 0, "hi", False), Word.SERVER
    )


def test_a_remote_user_is_active_as_long_as_the_server_says() -> None:
    """Our granularity does not make a remote user quiet."""
    assert remote(currently_active=True).waits_until(1_799).state.currently_active


def test_a_module_s_word_on_a_remote_user_stands_until_the_server_speaks() -> None:
    """It outlasts the server's silence, and ends with the server's next word."""
    person = remote().hears(SetByModule(DAVE, BUSY, "in a call"), 10).waits_until(10**5)
    assert (person.user.word, person.state.state) == (Word.MODULE, BUSY)

    person.hears(RemoteUpdate(DAVE, UNAVAILABLE), 10**5)
    assert (person.user.word, person.state.state) == (Word.SERVER, UNAVAILABLE)


# Deadlines.


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (Person(), None),
        (polled(), at(30)),
        (polling(), at(60)),
        (polling().waits_until(60), at(300)),
        (polling().waits_until(300), None),
        (Person().hears(puts(BUSY)), at(3_600)),
        (Person().hears(puts(BUSY)).hears(BEGINS), None),
        (Person().hears(SetByModule(ALICE, UNAVAILABLE)), None),
        (remote(), at(1_800)),
        (remote().waits_until(1_800), None),
    ],
    ids=[
        "nobody",
        "grace",
        "goes quiet",
        "idles",
        "idle and polling",
        "busy",
        "busy and polling",
        "by a module",
        "remote",
        "remote and offline",
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
    """Other durations and modes rule as the default ones do."""
    rules = Rules(Timers(sync_online_timeout=timedelta(milliseconds=7)), SyncIsActivity.NEVER)

    assert Rules() == Rules(Timers(), SyncIsActivity.EXPLICIT)
    assert deadline(polled().user, rules) == at(0.007)


def test_what_is_no_event_is_an_error() -> None:
    """A programming error is not mistaken for an event."""
    with pytest.raises(TypeError, match="'hello' is not an event"):
        apply(nobody(ALICE), cast("Event", "hello"), START, EXPLICIT)
