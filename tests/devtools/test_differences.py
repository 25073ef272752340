"""How decisions differ."""

from lamplighter.clock import Timestamp
from lamplighter.devtools.differences import Difference, DifferenceKind, Differences
from lamplighter.recording.events import AS_THEY_ARE, Seen
from lamplighter.routing.reasons import AllUsers, Module, SharedRoom
from tests.routing.people import ALICE, BOB, CHARLIE, HALL

GAINED, LOST, ALTERED = DifferenceKind
BY_ROOM: Seen = (AS_THEY_ARE, (SharedRoom(HALL),))
BY_ONE: Seen = (AS_THEY_ARE, (Module("One"), SharedRoom(HALL)))
HIDDEN: Seen = ((("status_msg", None),), (AllUsers("Other"),))


def test_nothing_differs() -> None:
    """The same state for other reasons is no difference."""
    differences = Differences()
    differences.compare(Timestamp(1), ALICE, BOB, BY_ROOM, BY_ONE)
    differences.compare(Timestamp(1), ALICE, BOB, None, None)
    assert (list(differences), len(differences), differences.compared) == ([], 0, 2)


def test_differences() -> None:
    """Each pair is there once for each kind, with its first difference and a count."""
    differences = Differences()
    for second, (before, after) in enumerate(
        [(None, BY_ONE), (None, HIDDEN), (BY_ONE, None), (BY_ROOM, HIDDEN)]
    ):
        differences.compare(Timestamp(second), ALICE, BOB, before, after)
    differences.compare(Timestamp(9), CHARLIE, BOB, BY_ROOM, None)
    assert list(differences) == [
        Difference(GAINED, ALICE, BOB, Timestamp(0), None, BY_ONE, 2),
        Difference(LOST, ALICE, BOB, Timestamp(2), BY_ONE, None, 1),
        Difference(ALTERED, ALICE, BOB, Timestamp(3), BY_ROOM, HIDDEN, 1),
        Difference(LOST, CHARLIE, BOB, Timestamp(9), BY_ROOM, None, 1),
    ]
    assert [it.viewer for it in differences.of(LOST)] == [ALICE, CHARLIE]


def test_by_module() -> None:
    """Pairs are counted for each module that makes the difference."""
    differences = Differences()
    differences.compare(Timestamp(0), ALICE, BOB, None, BY_ONE)
    differences.compare(Timestamp(0), CHARLIE, BOB, BY_ONE, HIDDEN)
    differences.compare(Timestamp(0), BOB, CHARLIE, BY_ROOM, None)
    assert differences.by_module() == {
        "One": {GAINED: 1, ALTERED: 1},
        "Other": {ALTERED: 1},
    }
