"""All users: which changes are announced, and when."""

from datetime import timedelta

import pytest

from lamplighter.clock import Timestamp
from lamplighter.ids import UserId
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.events import (
    AccountDeactivated,
    DeviceGone,
    RemoteUpdate,
    SetByModule,
    StatusSet,
)
from lamplighter.presence.machine import Rules, StateSource, TrackedUser
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.timers import Timers
from lamplighter.presence.tracker import PresenceTracker
from tests.presence.people import (
    ACTS,
    ALICE,
    BEGINS,
    BOB,
    BUSY,
    DAVE,
    ENDS,
    HERE,
    LAPTOP,
    OFFLINE,
    ONLINE,
    PHONE,
    START,
    UNAVAILABLE,
    at,
)

#: Alice's and Bob's pings would come in between; a long period keeps them out of a story.
UNDISTURBED = Rules(Timers(federation_ping=timedelta(days=36500)))


@pytest.fixture
def tracker() -> PresenceTracker:
    """A tracker without users."""
    return PresenceTracker(HERE, UNDISTURBED)


def reasons(changes: list[Change]) -> list[tuple[str, ChangeReason]]:
    """Return the users who changed, with the reasons."""
    return [(change.new.user_id, change.reason) for change in changes]


def test_a_change_tells_from_what_to_what_and_why(tracker: PresenceTracker) -> None:
    """The first poll of an unknown user is a change from the default state to online."""
    online = UserPresenceState(ALICE, ONLINE, at(0), at(0), at(0), None, True)

    assert tracker.feed(BEGINS, at(0)) == [
        Change(UserPresenceState.default(ALICE), online, ChangeReason.STATE)
    ]
    assert tracker.get(ALICE) == online


def test_a_day_of_a_phone(tracker: PresenceTracker) -> None:
    """Steady polling is announced once; then time makes the user inactive, idle and offline."""
    told = reasons(tracker.feed(BEGINS, at(0)))
    story = []
    for seconds in range(1, 400):
        story += [(seconds, reason) for _, reason in reasons(tracker.expire(at(seconds)))]
        if seconds <= 310:
            told += reasons(tracker.feed(ENDS, at(seconds)))
        if seconds < 310:
            told += reasons(tracker.feed(BEGINS, at(seconds)))

    assert told == [(ALICE, ChangeReason.STATE)]
    assert story == [
        (60, ChangeReason.CURRENTLY_ACTIVE),
        (300, ChangeReason.STATE),
        (340, ChangeReason.STATE),
    ]


def test_activity_is_announced_once_per_granularity(tracker: PresenceTracker) -> None:
    """Activity every 25 s is announced if it is more than 60 s after the one announced last."""
    tracker.feed(BEGINS, at(0))
    told = [
        seconds
        for seconds in range(25, 300, 25)
        if tracker.feed(ACTS, at(seconds)) + tracker.expire(at(seconds))
    ]

    assert told == [75, 150, 225]


def test_news_is_measured_by_what_was_announced(tracker: PresenceTracker) -> None:
    """A state is compared with the state announced last, and not with the last one."""
    tracker.feed(BEGINS, at(0))
    announced = tracker.get(ALICE)
    assert tracker.feed(ACTS, at(40)) == []
    (change,) = tracker.feed(ACTS, at(60.001))

    assert change == Change(
        announced,
        UserPresenceState(ALICE, ONLINE, at(60.001), at(60.001), at(0), None, True),
        ChangeReason.LAST_ACTIVE,
    )


def test_of_an_unknown_user_nothing_is_known(tracker: PresenceTracker) -> None:
    """Asking for a user does not make the user known."""
    assert tracker.get(BOB) == UserPresenceState.default(BOB)
    assert tracker.user(BOB) is None
    assert list(tracker.known()) == []


# The end of devices and users.


def test_logout_is_told_at_once_and_once(tracker: PresenceTracker) -> None:
    """A logout during a poll is announced at once; the poll's end announces nothing."""
    tracker.feed(BEGINS, at(0))

    assert reasons(tracker.feed(DeviceGone(ALICE, PHONE), at(1))) == [(ALICE, ChangeReason.STATE)]
    assert tracker.feed(ENDS, at(2)) == []
    assert tracker.get(ALICE).state == OFFLINE


def test_deactivation_is_told_with_the_message_gone(tracker: PresenceTracker) -> None:
    """A deactivated user is announced as offline, without a message."""
    tracker.feed(StatusSet(ALICE, PHONE, BUSY, "hi"), at(0))
    (change,) = tracker.feed(AccountDeactivated(ALICE), at(1))

    assert change.new == UserPresenceState(ALICE, OFFLINE, at(0), at(1), 0, None, False)
    assert change.reason is ChangeReason.STATUS_MSG


# Modules.


def test_a_module_s_state_is_announced_even_if_nothing_differs(tracker: PresenceTracker) -> None:
    """SetByModule forces an announcement, each time."""
    in_call = SetByModule(ALICE, BUSY, "in a call")

    assert reasons(tracker.feed(in_call, at(0))) == [(ALICE, ChangeReason.STATUS_MSG)]
    assert reasons(tracker.feed(in_call, at(1))) == [(ALICE, ChangeReason.FORCED)]
    assert reasons(tracker.feed(SetByModule(ALICE, ONLINE, "in a call"), at(2))) == [
        (ALICE, ChangeReason.STATE)
    ]


def test_a_module_s_state_needs_no_device_and_does_not_end(tracker: PresenceTracker) -> None:
    """A module's state of a user without devices stands for ever."""
    tracker.feed(SetByModule(ALICE, UNAVAILABLE), at(0))

    assert tracker.expire(at(10**7)) == []
    assert tracker.get(ALICE).state == UNAVAILABLE


# Time.


def test_nothing_to_wait_for(tracker: PresenceTracker) -> None:
    """There is no deadline if time alone changes nothing."""
    assert tracker.next_deadline() is None
    tracker.feed(RemoteUpdate(DAVE, OFFLINE, "gone fishing"), at(0))

    assert tracker.next_deadline() is None
    assert tracker.expire(at(10**9)) == []


def test_everybody_whose_time_has_come_changes(tracker: PresenceTracker) -> None:
    """One `expire` returns all changes that are due, of local and remote users; a second none."""
    tracker.feed(StatusSet(ALICE, PHONE, UNAVAILABLE), at(0))
    tracker.feed(StatusSet(BOB, PHONE, UNAVAILABLE), at(1_000))
    tracker.feed(RemoteUpdate(DAVE, ONLINE), at(0))
    assert tracker.next_deadline() == at(30)

    assert reasons(tracker.expire(at(1_029.999))) == [(ALICE, ChangeReason.STATE)]
    assert reasons(tracker.expire(at(1_800))) == [
        (BOB, ChangeReason.STATE),
        (DAVE, ChangeReason.STATE),
    ]
    assert tracker.expire(at(1_800)) == []
    assert tracker.next_deadline() is None


def test_announcing_a_silent_server_s_user_keeps_the_time_of_its_last_update(
    tracker: PresenceTracker,
) -> None:
    """`last_federation_update_ts` of a remote user is the time of the server's last update."""
    tracker.feed(RemoteUpdate(DAVE, ONLINE, "hi"), at(0))
    (change,) = tracker.expire(at(2_000))

    assert change.new == UserPresenceState(DAVE, OFFLINE, 0, at(0), 0, "hi", False)


# Pings.


def test_other_servers_are_reminded_once_per_period() -> None:
    """A local user who is not offline has one ping per period, at the user's place in it."""
    tracker = PresenceTracker(HERE, Rules())
    tracker.feed(BEGINS, at(0))
    tracker.feed(StatusSet(ALICE, PHONE, UNAVAILABLE, "hi"), at(0))
    tracker.feed(RemoteUpdate(DAVE, UNAVAILABLE), at(0))
    pings: list[Timestamp] = []
    period = 1_500_000
    while (due := tracker.next_deadline()) is not None and due <= at(4 * 1_500):
        for change in tracker.expire(due):
            if change.new.user_id == ALICE:
                assert change.reason is ChangeReason.FEDERATION_PING
                assert change.new == change.old.copy_and_replace(last_federation_update_ts=due)
                pings.append(due)

    assert pings == [pings[0] + n * period for n in range(4)]


def test_a_ping_that_has_news_tells_the_news() -> None:
    """If something differs when a ping is due, the difference is the reason."""
    tracker = PresenceTracker(HERE, Rules())
    tracker.feed(StatusSet(ALICE, PHONE, UNAVAILABLE), at(0))

    assert reasons(tracker.expire(at(10**5))) == [(ALICE, ChangeReason.STATE)]


def test_a_ping_hides_no_activity_from_local_viewers() -> None:
    """An activity that a ping has sent to other servers is still announced to local viewers."""
    tracker = PresenceTracker(HERE, Rules(Timers(federation_ping=timedelta(seconds=50))))
    tracker.feed(StatusSet(ALICE, PHONE, ONLINE), at(0))
    heard = [change for second in range(1, 62) for change in _acts(tracker, second)]
    announced = [it for it in heard if it.reason is not ChangeReason.FEDERATION_PING]

    assert [it.reason for it in announced] == [ChangeReason.LAST_ACTIVE]
    assert announced[0].new.last_active_ts == at(61)


def _acts(tracker: PresenceTracker, second: int) -> list[Change]:
    """Let Alice's phone act at *second*; return that and what time has brought by then."""
    return [*tracker.expire(at(second)), *tracker.feed(ACTS, at(second))]


def test_nobody_is_reminded_of_remote_users(tracker: PresenceTracker) -> None:
    """There are no pings of remote users, not even of those whom a module has set."""
    tracker = PresenceTracker(HERE, Rules(Timers(federation_timeout=timedelta(days=3650))))
    tracker.feed(RemoteUpdate(DAVE, UNAVAILABLE), at(0))
    tracker.feed(SetByModule(UserId("@erin:there.example"), UNAVAILABLE), at(0))

    assert tracker.expire(at(10**6)) == []


# What is saved.


def test_it_is_saved_that_a_module_s_state_has_ended(tracker: PresenceTracker) -> None:
    """Where the devices determine the state again and nothing visible differs, it is saved too.

    Otherwise a restart would bring the module's state back, and it would stand for ever.
    """
    tracker.feed(StatusSet(ALICE, LAPTOP, UNAVAILABLE), at(0))
    tracker.feed(BEGINS, at(0))
    tracker.feed(SetByModule(ALICE, ONLINE), at(1))

    assert tracker.expire(at(30)) == []
    (user,) = tracker.take_unsaved()
    assert (user.state, user.source) == (tracker.get(ALICE), StateSource.DEVICES)


# Restarts.


def saved(presence: Presence, source: StateSource = StateSource.DEVICES) -> TrackedUser:
    """Return what was saved of Alice: active at the start, with a message."""
    return TrackedUser(
        UserPresenceState(ALICE, presence, at(0), at(0), at(0), "hi", presence is ONLINE), source
    )


@pytest.mark.parametrize("presence", [UNAVAILABLE, ONLINE, BUSY])
def test_a_restart_keeps_presence_and_message(tracker: PresenceTracker, presence: Presence) -> None:
    """After a restart, a user who was not offline has one restored device with that presence."""
    user = saved(presence)
    tracker.restore([user], at(20))

    assert tracker.get(ALICE) == user.state
    assert tracker.user(ALICE) == TrackedUser(
        user.state,
        StateSource.DEVICES,
        (Device(RESTORED, presence, at(0), at(20), set_presence=ONLINE),),
    )
    assert tracker.take_unsaved() == []


def test_an_offline_user_is_restored_without_device(tracker: PresenceTracker) -> None:
    """An offline user has no device after a restart, and nothing to wait for."""
    tracker.restore([saved(OFFLINE)], at(20))

    assert tracker.user(ALICE) == saved(OFFLINE)
    assert tracker.next_deadline() is None


def test_the_grace_begins_anew_with_the_restart(tracker: PresenceTracker) -> None:
    """The grace begins with the restart, so that clients have time to return."""
    tracker.restore([saved(UNAVAILABLE)], at(1_000))

    assert tracker.expire(at(1_029.999)) == []
    (change,) = tracker.expire(at(1_030))
    assert change == Change(
        saved(UNAVAILABLE).state,
        UserPresenceState(ALICE, OFFLINE, at(0), at(1_030), at(0), "hi", False),
        ChangeReason.STATE,
    )


def test_a_client_that_comes_back_in_time_tells_nobody(tracker: PresenceTracker) -> None:
    """If the client polls within the grace, a restart announces nothing."""
    tracker.restore([saved(UNAVAILABLE)], at(10))

    assert tracker.feed(BEGINS, at(39)) == []
    assert tracker.expire(at(10**5)) == []


def test_a_module_s_state_outlives_a_restart(tracker: PresenceTracker) -> None:
    """A module's state stands after a restart, without any device."""
    tracker.restore([saved(BUSY, StateSource.MODULE)], at(10))

    assert tracker.expire(at(10**7)) == []
    assert tracker.get(ALICE).state == BUSY


@pytest.mark.parametrize(
    "user", [saved(OFFLINE), saved(ONLINE), saved(BUSY, StateSource.MODULE)], ids=str
)
def test_a_poll_from_before_the_restart_is_forgotten(
    tracker: PresenceTracker, user: TrackedUser
) -> None:
    """Saved devices are dropped: their polls are not in flight any more."""
    lost = Device(PHONE, OFFLINE, at(0), at(0), set_presence=ONLINE, is_polling=True)
    tracker.restore([TrackedUser(user.state, user.source, (lost,))], at(10))
    restored = tracker.user(ALICE)

    assert restored is not None
    assert lost not in restored.devices


def test_the_silence_of_a_remote_server_counts_from_its_last_update(
    tracker: PresenceTracker,
) -> None:
    """A restart gives remote users no new grace."""
    state = UserPresenceState(DAVE, ONLINE, START, at(0), 0, "hi", True)
    tracker.restore([TrackedUser(state, StateSource.SERVER)], at(1_799))

    assert tracker.get(DAVE) == state
    assert tracker.next_deadline() == at(1_800)


def test_who_is_forgotten_is_new(tracker: PresenceTracker) -> None:
    """A forgotten user is unknown: there is no state, no deadline, and nothing to save."""
    dave = RemoteUpdate(DAVE, Presence.ONLINE, "Tea")
    announced = tracker.feed(dave, at(0))
    tracker.feed(dave, at(1))
    tracker.forget(DAVE)
    tracker.forget(BOB)
    assert (tracker.user(DAVE), list(tracker.known()), tracker.take_unsaved()) == (None, [], [])
    assert tracker.expire(at(86_400)) == []
    again = tracker.feed(dave, at(86_401))
    assert [change.old for change in again] == [change.old for change in announced]
