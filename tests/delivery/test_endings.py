"""The remembered ends of visibility."""

from lamplighter.delivery.endings import MOST_ENDINGS, Endings
from lamplighter.ids import StreamPosition, UserId
from tests.routing.people import ALICE, BOB, CHARLIE, DORA


def at(position: int) -> StreamPosition:
    """Return the position of that number."""
    return StreamPosition(position)


def test_after_a_position() -> None:
    """An end of visibility is news to tokens from before its position, and to no later ones."""
    endings = Endings()
    endings.put(ALICE, {BOB: at(5)})
    endings.put(ALICE, {CHARLIE: at(7)})
    assert [endings.after(ALICE, at(n)) for n in (4, 5, 7)] == [{BOB, CHARLIE}, {CHARLIE}, set()]
    assert endings.after(BOB, at(0)) == set()


def test_the_later_end_counts() -> None:
    """The later of two ends counts, in whichever order they come."""
    endings = Endings()
    endings.put(ALICE, {BOB: at(5)})
    endings.put(ALICE, {BOB: at(3)})
    assert (endings.of(ALICE), len(endings)) == ({BOB: at(5)}, 1)


def test_viewers_are_forgotten_who_lost_visibility_longest_ago() -> None:
    """Beyond the limit the viewer whose last end of visibility is oldest is forgotten."""
    endings = Endings(3)
    endings.put(ALICE, {BOB: at(1)})
    endings.put(BOB, {ALICE: at(2)})
    endings.put(ALICE, {CHARLIE: at(3)})
    endings.put(DORA, {BOB: at(4)})
    assert [len(endings), len(endings.of(ALICE)), len(endings.of(BOB))] == [3, 2, 0]


def test_one_viewer_alone() -> None:
    """One viewer cannot pass the limit: that viewer's oldest ends are forgotten first."""
    endings = Endings(2)
    for number, user_id in enumerate((BOB, CHARLIE, DORA)):
        endings.put(ALICE, {user_id: at(number + 1)})
    assert endings.of(ALICE) == {CHARLIE: at(2), DORA: at(3)}
    assert len(endings) == 2


PEOPLE = frozenset(UserId(f"@u{number}:demo") for number in range(5_000))


def test_a_crowd() -> None:
    """A viewer who ceases to see a crowd has lost each of them, but those who are spared; an end of
    one of them before or after it counts as well.
    """
    endings = Endings()
    endings.put(ALICE, {BOB: at(3)})
    endings.put_crowd(ALICE, {BOB, CHARLIE, DORA}, {DORA}, at(5))
    endings.put(ALICE, {CHARLIE: at(7)})
    after = [endings.after(ALICE, at(n)) for n in (4, 5, 7)]
    assert after == [{BOB, CHARLIE}, {CHARLIE}, set()]
    assert endings.of(ALICE) == {BOB: at(5), CHARLIE: at(7)}


def test_crowds_displace_nobody() -> None:
    """Thousands of users who end for a viewer at once take the room of one, and of those who are
    spared, as long as not many are new among them.
    """
    endings = Endings(20)
    endings.put(ALICE, {BOB: at(1)})
    for number, viewer in enumerate((BOB, CHARLIE, DORA)):
        new = frozenset(UserId(f"@new{it}:demo") for it in range(number))
        endings.put_crowd(viewer, PEOPLE | new, {ALICE}, at(2))
        assert endings.of(viewer) == dict.fromkeys(PEOPLE | new, at(2))
    assert (endings.of(ALICE), len(endings)) == ({BOB: at(1)}, 1 + 2 + 3 + 4)


def test_crowds_that_differ() -> None:
    """A crowd that has grown a lot, or lost somebody, is another one."""
    endings = Endings(20)
    grown = PEOPLE | {UserId(f"@new{it}:demo") for it in range(2_000)}
    fewer = frozenset(sorted(PEOPLE)[1:])
    for viewer, crowd in ((BOB, PEOPLE), (CHARLIE, grown), (DORA, fewer)):
        endings.put_crowd(viewer, crowd, frozenset(), at(2))
    assert [endings.of(it).keys() for it in (BOB, CHARLIE, DORA)] == [PEOPLE, grown, fewer]
    assert len(endings) == 3


def test_who_is_forgotten() -> None:
    """A viewer who does not return takes no room."""
    endings = Endings()
    endings.put(ALICE, {BOB: at(1)})
    endings.forget(ALICE)
    endings.forget(BOB)
    assert (len(endings), endings.of(ALICE)) == (0, {})


def test_the_room_there_is() -> None:
    """A server remembers 200,000 pairs."""
    endings = Endings()
    for number in range(MOST_ENDINGS + 10):
        endings.put(ALICE, {type(BOB)(f"@u{number}:demo"): at(number)})
    assert len(endings) == MOST_ENDINGS == 200_000
