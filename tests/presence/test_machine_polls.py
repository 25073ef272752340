"""One user: what polls make of devices and presence."""

import pytest

from lamplighter.presence.device import Device
from lamplighter.presence.events import (
    StatusSet,
    SyncStarted,
)
from lamplighter.presence.machine import (
    Rules,
    TrackedUser,
    Word,
)
from lamplighter.presence.state import Presence, UserPresenceState
from tests.presence.people import (
    ACTS,
    ALICE,
    ALWAYS,
    BEGINS,
    BUSY,
    ENDS,
    EXPLICIT,
    LAPTOP,
    MODES,
    NEVER,
    OFFLINE,
    ONLINE,
    PHONE,
    UNAVAILABLE,
    Person,
    asks,
    at,
    polled,
    polling,
    puts,
    restored,
)

# A sync begins.


def test_an_implicit_poll_brings_an_absent_device_online() -> None:
    """A poll without set_presence starts an absent device as online, which is an activity."""
    assert polling().user == TrackedUser(
        UserPresenceState(ALICE, ONLINE, at(0), 0, at(0), None, True),
        Word.DEVICES,
        (Device(PHONE, ONLINE, at(0), last_sync_ts=at(0), polls_in_flight=1),),
    )


@pytest.mark.parametrize("presence", [UNAVAILABLE, ONLINE, BUSY])
@pytest.mark.parametrize("rules", MODES)
def test_an_absent_device_starts_as_it_asks(rules: Rules, presence: Presence) -> None:
    """What an absent device's poll asks for it gets, and starting is an activity in every mode."""
    assert Person(rules=rules).hears(asks(presence)).device == Device(
        PHONE, presence, at(0), last_sync_ts=at(0), asked=presence, polls_in_flight=1
    )


@pytest.mark.parametrize("presence", list(Presence))
@pytest.mark.parametrize("rules", [EXPLICIT, NEVER])
def test_steady_polling_is_not_activity(rules: Rules, presence: Presence) -> None:
    """On a present device a poll without set_presence changes nothing but the time of the sync."""
    person = Person(rules=rules).hears(puts(presence)).hears(BEGINS, 10).hears(ENDS, 20)

    assert person.user == TrackedUser(
        UserPresenceState(ALICE, presence, at(0), 0, at(20), None, presence is ONLINE),
        Word.DEVICES,
        (Device(PHONE, presence, at(0), last_sync_ts=at(20)),),
    )


@pytest.mark.parametrize(("rules", "last_active"), [(EXPLICIT, 10), (ALWAYS, 10), (NEVER, 0)])
def test_explicit_online_is_activity_unless_no_sync_is(rules: Rules, last_active: int) -> None:
    """set_presence=online in the query is activity each time; in mode never it is not."""
    person = Person(rules=rules).hears(asks(ONLINE), 0).hears(asks(ONLINE), 10)

    assert person.device == Device(
        PHONE, ONLINE, at(last_active), at(10), asked=ONLINE, polls_in_flight=2
    )
    assert person.state.last_active_ts == at(last_active)


@pytest.mark.parametrize(("rules", "last_active"), [(EXPLICIT, 0), (ALWAYS, 10), (NEVER, 0)])
def test_asking_for_unavailable_again_is_steady_polling(rules: Rules, last_active: int) -> None:
    """An explicit value equal to the one its polls last asked for is steady polling."""
    person = Person(rules=rules).hears(asks(UNAVAILABLE), 0).hears(asks(UNAVAILABLE), 10)

    assert person.state.last_active_ts == at(last_active)


def test_what_polls_last_asked_for_is_remembered_over_silent_ones() -> None:
    """A poll that asks for nothing does not make the next explicit one new."""
    person = Person().hears(asks(UNAVAILABLE)).hears(ACTS, 10)
    person.hears(BEGINS, 20).hears(asks(UNAVAILABLE), 30)

    assert person.device == Device(
        PHONE, ONLINE, at(10), at(30), asked=UNAVAILABLE, polls_in_flight=3
    )


@pytest.mark.parametrize("rules", MODES)
def test_a_poll_that_changes_the_device_is_activity(rules: Rules) -> None:
    """What changes a device's state is activity, in mode never too."""
    person = polled(rules).hears(asks(UNAVAILABLE), 10)

    assert person.device == Device(
        PHONE, UNAVAILABLE, at(10), at(10), asked=UNAVAILABLE, polls_in_flight=1
    )
    assert person.state.last_active_ts == at(10)


def test_asking_anew_for_what_already_is_changes_nothing() -> None:
    """A poll that asks for the state which the device already has is no activity."""
    person = Person().hears(puts(UNAVAILABLE)).hears(asks(UNAVAILABLE), 10)

    assert person.device == Device(
        PHONE, UNAVAILABLE, at(0), at(10), asked=UNAVAILABLE, polls_in_flight=1
    )


def test_in_mode_always_every_poll_asks_for_online() -> None:
    """In mode always a poll counts as activity and asks for online unless it says otherwise."""
    person = Person(rules=ALWAYS).hears(puts(UNAVAILABLE)).hears(BEGINS, 10)

    assert person.device == Device(PHONE, ONLINE, at(10), at(10), asked=ONLINE, polls_in_flight=1)


def test_in_mode_never_an_idle_device_stays_idle_while_it_polls() -> None:
    """In mode never a client that always says online does not look busy at its keyboard."""
    person = Person(rules=NEVER).hears(asks(ONLINE)).waits_until(300).hears(asks(ONLINE), 301)

    assert person.presences == {PHONE: UNAVAILABLE}


def test_in_mode_explicit_saying_online_ends_idleness() -> None:
    """In mode explicit set_presence=online lifts an idle device."""
    person = Person().hears(asks(ONLINE)).waits_until(300).hears(asks(ONLINE), 301)

    assert person.presences == {PHONE: ONLINE}


@pytest.mark.parametrize("rules", MODES)
@pytest.mark.parametrize("event", [BEGINS, asks(ONLINE), asks(UNAVAILABLE)])
def test_a_sync_cannot_override_busy(rules: Rules, event: SyncStarted) -> None:
    """Whatever a poll asks for, a busy device stays busy."""
    assert Person(rules=rules).hears(puts(BUSY)).hears(event, 10).state.state == BUSY


@pytest.mark.parametrize("presence", [OFFLINE, UNAVAILABLE, ONLINE])
def test_a_put_can_override_busy(presence: Presence) -> None:
    """A PUT takes a device out of busy."""
    assert Person().hears(puts(BUSY)).hears(puts(presence), 10).state.state == presence


def test_a_sync_keeps_the_status_message() -> None:
    """A sync does not touch the message."""
    assert Person().hears(puts(ONLINE, "hi")).hears(asks(UNAVAILABLE)).state.status_msg == "hi"


def test_a_quiet_device_s_poll_does_not_turn_back_the_user_s_activity() -> None:
    """The user's last activity is the latest of the devices'."""
    person = polled().hears(StatusSet(ALICE, LAPTOP, ONLINE), 10).hears(BEGINS, 20)

    assert person.state.last_active_ts == at(10)


# A sync ends.


def test_the_grace_counts_from_the_end_of_the_last_poll() -> None:
    """A device drops 30 s after its last poll has ended, not a millisecond earlier."""
    person = polling().hears(ENDS, 100)

    assert person.waits_until(129.999).presences == {PHONE: ONLINE}
    assert person.waits_until(130).user.devices == ()


def test_two_polls_of_one_device_end_one_by_one() -> None:
    """A device polls until the last of its polls has ended."""
    person = polling().hears(BEGINS, 1).hears(ENDS, 2).waits_until(299)
    assert person.presences == {PHONE: ONLINE}

    assert person.hears(ENDS, 299).waits_until(329).user.devices == ()


def test_a_poll_in_flight_keeps_a_device_for_ever() -> None:
    """A device with a poll in flight never drops; without activity it idles."""
    assert polling().waits_until(10**6).presences == {PHONE: UNAVAILABLE}


@pytest.mark.parametrize("person", [Person(), polled(), restored(ONLINE)])
def test_the_end_of_an_unknown_poll_does_nothing(person: Person) -> None:
    """A poll that ends without having begun, for all we know, changes nothing."""
    before = person.user

    assert person.hears(ENDS, 5).user == before
