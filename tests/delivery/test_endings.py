"""The remembered ends of visibility."""

from lamplighter.delivery.endings import MOST_ENDINGS, Endings
from lamplighter.ids import StreamPosition
from tests.routing.people import ALICE, BOB, CHARLIE, DORA


def at(position: int) -> StreamPosition:
    """Return the position of that number."""
    return StreamPosition(position)


def test_after_a_position() -> None:
    """An end of visibility is news to tokens from before its position, and to no later ones."""
    endings = Endings()
    endings.put(ALICE, BOB, at(5))
    endings.put(ALICE, CHARLIE, at(7))
    assert [endings.after(ALICE, at(n)) for n in (4, 5, 7)] == [{BOB, CHARLIE}, {CHARLIE}, set()]
    assert endings.after(BOB, at(0)) == set()


def test_the_later_end_counts() -> None:
    """The later of two ends counts, in whichever order they come."""
    endings = Endings()
    endings.put(ALICE, BOB, at(5))
    endings.put(ALICE, BOB, at(3))
    assert (endings.of(ALICE), len(endings)) == ({BOB: at(5)}, 1)


def test_viewers_are_forgotten_who_lost_visibility_longest_ago() -> None:
    """Beyond the limit the viewer whose last end of visibility is oldest is forgotten."""
    endings = Endings(3)
    endings.put(ALICE, BOB, at(1))
    endings.put(BOB, ALICE, at(2))
    endings.put(ALICE, CHARLIE, at(3))
    endings.put(DORA, BOB, at(4))
    assert [len(endings), len(endings.of(ALICE)), len(endings.of(BOB))] == [3, 2, 0]


def test_one_viewer_alone() -> None:
    """One viewer cannot pass the limit: that viewer's oldest ends are forgotten first."""
    endings = Endings(2)
    for number, user_id in enumerate((BOB, CHARLIE, DORA)):
        endings.put(ALICE, user_id, at(number + 1))
    assert endings.of(ALICE) == {CHARLIE: at(2), DORA: at(3)}
    assert len(endings) == 2


def test_who_is_forgotten() -> None:
    """A viewer who does not return takes no room."""
    endings = Endings()
    endings.put(ALICE, BOB, at(1))
    endings.forget(ALICE)
    endings.forget(BOB)
    assert (len(endings), endings.of(ALICE)) == (0, {})


def test_the_room_there_is() -> None:
    """A server remembers 200,000 pairs."""
    endings = Endings()
    for number in range(MOST_ENDINGS + 10):
        endings.put(ALICE, type(BOB)(f"@u{number}:demo"), at(number))
    assert len(endings) == MOST_ENDINGS == 200_000
