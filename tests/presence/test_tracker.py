"""All users: which changes are announced, and when.

These are examples; `test_reference_model.py` compares the tracker with a slow and obvious model.
"""

from datetime import timedelta

import pytest

from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.events import RemoteUpdate, SetByModule
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
    ONLINE,
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


def test_changes_that_are_not_announced(tracker: PresenceTracker) -> None:
    """`take_unannounced` returns a state with a change that was not announced, once, and not after
    a later change of the user was announced.
    """
    tracker.feed(BEGINS, at(0))
    tracker.feed(ACTS, at(10))
    assert [tracker.take_unannounced() for _ in range(2)] == [[tracker.get(ALICE)], []]
    tracker.feed(ACTS, at(20))
    assert reasons(tracker.expire(at(80))) == [(ALICE, ChangeReason.CURRENTLY_ACTIVE)]
    assert tracker.take_unannounced() == []


def test_of_an_unknown_user_nothing_is_known(tracker: PresenceTracker) -> None:
    """Asking for a user does not make the user known."""
    assert tracker.get(BOB) == UserPresenceState.default(BOB)
    assert tracker.user(BOB) is None
    assert list(tracker.known()) == []


def test_a_module_s_state_is_announced_even_if_nothing_differs(tracker: PresenceTracker) -> None:
    """SetByModule forces an announcement, each time."""
    in_call = SetByModule(ALICE, BUSY, "in a call")

    assert reasons(tracker.feed(in_call, at(0))) == [(ALICE, ChangeReason.STATUS_MSG)]
    assert reasons(tracker.feed(in_call, at(1))) == [(ALICE, ChangeReason.FORCED)]
    assert reasons(tracker.feed(SetByModule(ALICE, ONLINE, "in a call"), at(2))) == [
        (ALICE, ChangeReason.STATE)
    ]


@pytest.mark.parametrize("presence", [UNAVAILABLE, ONLINE, BUSY])
def test_a_restart_keeps_presence_and_message(tracker: PresenceTracker, presence: Presence) -> None:
    """After a restart, a user who was not offline has one restored device with that presence."""
    state = UserPresenceState(ALICE, presence, at(0), at(0), at(0), "hi", presence is ONLINE)
    tracker.restore([TrackedUser(state, StateSource.DEVICES)], at(20))

    assert tracker.get(ALICE) == state
    assert tracker.user(ALICE) == TrackedUser(
        state,
        StateSource.DEVICES,
        (Device(RESTORED, presence, at(0), at(20), set_presence=ONLINE),),
    )
    assert tracker.take_unsaved() == []


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
