"""The roster: each user's state, and where in the stream the user last changed."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter import service
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.machine import StateSource, TrackedUser
from lamplighter.presence.state import UserPresenceState
from lamplighter.service.roster import KnownUser, Roster
from tests.routing.people import ALICE, BOB, CHARLIE, state

steps = st.lists(st.tuples(st.sampled_from([ALICE, BOB, CHARLIE]), st.booleans()))


def test_who_never_changed() -> None:
    """A user of whom nothing was heard is offline, and changed before every position."""
    roster = Roster()
    never = KnownUser(UserPresenceState.default(ALICE), StreamPosition(0), StreamPosition(0))
    assert (roster.last(ALICE), roster.last_of([ALICE, BOB])) == (never, {})
    assert list(roster.told_after(StreamPosition(0))) == []
    assert (roster.get(ALICE), roster.knows(ALICE)) == (UserPresenceState.default(ALICE), False)


def test_how_they_are() -> None:
    """The newest state counts, announced or not; who is forgotten was never heard of."""
    roster = Roster()
    roster.changed(state(ALICE, "one"), StreamPosition(1))
    roster.changed(state(BOB, "one"), StreamPosition(2))
    roster.refreshed(state(BOB, "two"))
    roster.changed(state(CHARLIE, "one"), StreamPosition(3))
    roster.forget(CHARLIE)
    states = {ALICE: state(ALICE, "one"), BOB: state(BOB, "two")}
    assert roster.known_of([ALICE, BOB, CHARLIE]) == states
    assert (roster.known(), roster.get(BOB)) == ([*states.values()], state(BOB, "two"))
    assert [it for it in (ALICE, BOB, CHARLIE) if roster.knows(it)] == [ALICE, BOB]
    assert (roster.last(BOB).changed, roster.last(CHARLIE).changed) == (2, 0)
    since = [roster.has_changed_since(BOB, StreamPosition(it)) for it in (1, 2)]
    assert since == [True, False]


def test_after_a_restart() -> None:
    """Saved users are known, in the order of their positions."""
    saved = [
        SavedPresence(TrackedUser(state(user), StateSource.DEVICES), StreamPosition(position))
        for user, position in ((BOB, 2), (ALICE, 1))
    ]
    roster = Roster(saved)
    assert list(roster.told_after(StreamPosition(0))) == [BOB, ALICE]
    assert roster.known() == [state(ALICE), state(BOB)]


@given(steps)
def test_any_changes(moves: list[tuple[UserId, bool]]) -> None:
    """A change counts as told from its position, or from where it was told late; whoever is told
    of after a position is found, newest first.
    """
    roster = Roster()
    table: dict[UserId, KnownUser] = {}
    for number, (user, is_late) in enumerate(moves, start=1):
        position = StreamPosition(number)
        if is_late and user in table:
            roster.told_late(user, position)
            table[user] = KnownUser(state(user), table[user].changed, position)
        else:
            roster.changed(state(user), position)
            table[user] = KnownUser(state(user), position, position)
    assert {user: roster.last(user) for user in table} == table
    assert roster.last_of([*table, UserId("@stranger:demo")]) == table
    newest_first = sorted(table, key=lambda it: table[it].told, reverse=True)
    for after in range(len(moves) + 1):
        assert list(roster.told_after(StreamPosition(after))) == [
            user for user in newest_first if table[user].told > after
        ]


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        (r"roster\.(changed|refreshed|told_late|forget)\(", {"announcing", "swap"}),
        (
            r"tracker\.\w+\(",
            {"connections", "core", "federated", "for_modules", "intake", "keeper", "owned_users"},
        ),
    ],
    ids=["writes the roster", "reads the tracker"],
)
def test_who_does(pattern: str, files: set[str]) -> None:
    """Only consumers of entries write the roster, and only the owner's side reads the tracker."""
    sources = Path(service.__file__).parent.glob("*.py")
    assert {it.stem for it in sources if re.search(pattern, it.read_text("utf-8"))} == files
