"""One user: what polls make of devices and presence."""

import msgspec
import pytest

from lamplighter.presence.device import Device
from lamplighter.presence.events import Event, StatusSet, Syncing
from lamplighter.presence.machine import SyncIsActivity, TrackedUser, Word
from lamplighter.presence.state import Presence, UserPresenceState
from tests.presence.people import (
    ACTIVE,
    ACTS,
    ALICE,
    BEGINS,
    BUSY,
    ENDS,
    FIRST,
    LAPTOP,
    OFFLINE,
    ONLINE,
    PHONE,
    UNAVAILABLE,
    Person,
    at,
    polled,
    polling,
    puts,
    restored,
    says,
)

# A device that is not there.


def test_a_poll_brings_an_absent_device_online() -> None:
    """A poll without set_presence starts an absent device as online, which is an activity."""
    assert polling().user == TrackedUser(
        UserPresenceState(ALICE, ONLINE, at(0), 0, at(0), None, True),
        Word.DEVICES,
        (Device(PHONE, ONLINE, at(0), at(0), set_presence=ONLINE, is_polling=True),),
    )


@pytest.mark.parametrize(("presence", "last_active"), [(UNAVAILABLE, -1), (ONLINE, 9), (BUSY, -1)])
def test_an_absent_device_starts_as_its_polls_say(presence: Presence, last_active: int) -> None:
    """What an absent device's polls say it becomes; only where that is online is it activity."""
    person = restored(OFFLINE).waits_until(30)
    person.user = msgspec.structs.replace(person.user, devices=())
    person.hears(says(presence), 9)

    assert person.presences == {PHONE: presence}
    assert person.state.last_active_ts == at(last_active)


@pytest.mark.parametrize("presence", [UNAVAILABLE, ONLINE, BUSY])
def test_who_was_never_seen_is_seen(presence: Presence) -> None:
    """The first poll of a new user is the user's first activity, whatever it says."""
    assert Person().hears(says(presence)).state.last_active_ts == at(0)


# The same again.


@pytest.mark.parametrize("presence", list(Presence))
def test_steady_polling_changes_nothing(presence: Presence) -> None:
    """What a PUT has set stays while the polls go on saying the same; it is no activity."""
    person = polling().hears(puts(presence), 1).hears(BEGINS, 10).hears(ENDS, 20)

    assert person.user == TrackedUser(
        UserPresenceState(ALICE, presence, at(1), 0, at(20), None, presence is ONLINE),
        Word.DEVICES,
        (Device(PHONE, presence, at(1), at(20), set_presence=ONLINE),),
    )


def test_an_idle_device_stays_idle_while_its_polls_say_the_same() -> None:
    """Steady polling does not bring a device back that has idled."""
    assert polling().waits_until(300).hears(BEGINS, 301).presences == {PHONE: UNAVAILABLE}


def test_who_acts_in_the_background_stays_online_until_idle() -> None:
    """What the person does counts more than polls that say unavailable, as they did."""
    person = Person().hears(says(UNAVAILABLE)).hears(ACTS, 10).hears(says(UNAVAILABLE), 20)
    assert person.presences == {PHONE: ONLINE}

    assert person.waits_until(310).presences == {PHONE: UNAVAILABLE}


# Something else.


def test_to_the_background_and_back() -> None:
    """A client that polls with unavailable, and then without set_presence, is online again."""
    person = polling().hears(says(UNAVAILABLE), 10)
    assert person.device == Device(
        PHONE, UNAVAILABLE, at(0), at(10), set_presence=UNAVAILABLE, is_polling=True
    )
    assert person.state.last_active_ts == at(0)

    assert person.hears(BEGINS, 20).device == Device(
        PHONE, ONLINE, at(20), at(20), set_presence=ONLINE, is_polling=True
    )
    assert person.state.last_active_ts == at(20)


@pytest.mark.parametrize("put", [OFFLINE, UNAVAILABLE])
def test_a_change_of_what_polls_say_counts_more_than_an_older_put(put: Presence) -> None:
    """What a PUT has set ends when the polls come to say something else."""
    person = Person().hears(says(UNAVAILABLE)).hears(puts(put), 10).hears(BEGINS, 20)

    assert person.presences == {PHONE: ONLINE}


# Anew.


@pytest.mark.parametrize("put", [OFFLINE, UNAVAILABLE])
def test_a_first_sync_begins_anew(put: Presence) -> None:
    """What a first sync says counts as a change, also where it is the same again."""
    assert polling().hears(puts(put), 10).hears(FIRST, 11).device == Device(
        PHONE, ONLINE, at(11), at(11), set_presence=ONLINE, is_polling=True
    )


@pytest.mark.parametrize(("back_at", "presence"), [(29.999, OFFLINE), (30, ONLINE)])
def test_ten_seconds_without_a_poll_begin_anew(back_at: float, presence: Presence) -> None:
    """A bot that says offline as it quits is online again if it is back after ten seconds."""
    person = polling().hears(puts(OFFLINE), 19).hears(ENDS, 20).hears(BEGINS, back_at)

    assert person.presences == {PHONE: presence}


@pytest.mark.parametrize("event", [BEGINS, FIRST], ids=["since", "first"])
def test_who_said_offline_before_the_client_polled(event: Event) -> None:
    """A PUT before the first poll of all does not hide: the poll begins anew."""
    assert Person().hears(puts(OFFLINE)).hears(event, 1).presences == {PHONE: ONLINE}


# Activity.


def test_a_poll_that_is_activity() -> None:
    """Explicit online is activity each time."""
    person = polling().hears(ACTIVE, 10)

    assert person.device == Device(PHONE, ONLINE, at(10), at(10), ONLINE, is_polling=True)
    assert person.state.last_active_ts == at(10)


def test_a_poll_that_is_activity_ends_idleness() -> None:
    """Explicit online lifts a device that is unavailable only because nothing was done on it."""
    assert polling().waits_until(300).hears(ACTIVE, 301).presences == {PHONE: ONLINE}


@pytest.mark.parametrize("put", [OFFLINE, UNAVAILABLE])
def test_a_poll_that_is_activity_leaves_a_put_alone(put: Presence) -> None:
    """What a PUT has set stays while polls go on saying online, explicitly too."""
    person = polling().hears(puts(put), 10).hears(ACTIVE, 20).hears(ACTIVE, 1_000)

    assert person.presences == {PHONE: put}
    assert person.state.last_active_ts == at(10)


def test_who_was_set_unavailable_acts_and_idles() -> None:
    """Once the person has done something the PUT is over, and what comes after it is idleness."""
    person = polling().hears(puts(UNAVAILABLE), 10).hears(ACTS, 20).waits_until(320)
    assert person.presences == {PHONE: UNAVAILABLE}

    assert person.hears(ACTIVE, 330).presences == {PHONE: ONLINE}


@pytest.mark.parametrize(
    ("mode", "counting"),
    [
        (SyncIsActivity.EXPLICIT, {ONLINE}),
        (SyncIsActivity.ALWAYS, {None, ONLINE}),
        (SyncIsActivity.NEVER, set()),
    ],
)
def test_which_polls_are_activity(mode: SyncIsActivity, counting: set[Presence | None]) -> None:
    """Only those that say online are, and among them those that the operator lets count."""
    assert {it for it in (None, *Presence) if mode.counts(it)} == counting


# Busy, and what is left alone.


@pytest.mark.parametrize("event", [BEGINS, FIRST, ACTIVE, says(UNAVAILABLE)], ids=str)
def test_a_sync_cannot_override_busy(event: Syncing) -> None:
    """Whatever polls say, a busy device stays busy; also where they begin anew."""
    person = Person().hears(puts(BUSY)).hears(event, 10).hears(ENDS, 11).hears(event, 30)

    assert person.state.state == BUSY


@pytest.mark.parametrize("presence", [OFFLINE, UNAVAILABLE, ONLINE])
def test_a_put_can_override_busy(presence: Presence) -> None:
    """A PUT takes a device out of busy."""
    assert Person().hears(puts(BUSY)).hears(puts(presence), 10).state.state == presence


def test_a_sync_keeps_the_status_message() -> None:
    """A sync does not touch the message."""
    assert Person().hears(puts(ONLINE, "hi")).hears(says(UNAVAILABLE)).state.status_msg == "hi"


def test_a_quiet_device_s_poll_does_not_turn_back_the_user_s_activity() -> None:
    """The user's last activity is the latest of the devices'."""
    person = polled().hears(StatusSet(ALICE, LAPTOP, ONLINE), 10).hears(says(UNAVAILABLE), 20)

    assert person.state.last_active_ts == at(10)


# A sync ends.


def test_the_grace_counts_from_the_end_of_the_last_poll() -> None:
    """A device drops 30 s after its last poll has ended, not a millisecond earlier."""
    person = polling().hears(ENDS, 100)

    assert person.waits_until(129.999).presences == {PHONE: ONLINE}
    assert person.waits_until(130).user.devices == ()


def test_a_poll_in_flight_keeps_a_device_for_ever() -> None:
    """A device with a poll in flight never drops; without activity it idles."""
    assert polling().waits_until(10**6).presences == {PHONE: UNAVAILABLE}


@pytest.mark.parametrize("person", [Person(), polled(), restored(ONLINE)])
def test_the_end_of_an_unknown_poll_does_nothing(person: Person) -> None:
    """A poll that ends without having begun, for all we know, changes nothing."""
    before = person.user

    assert person.hears(ENDS, 5).user == before
