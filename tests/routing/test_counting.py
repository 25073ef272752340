"""Which rooms count, and since when, over restarts with other configurations."""

import pytest

from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.routing.counting import MOST_ROOMS, Counting, CountingRooms, FormerRooms
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, HALL

ALWAYS, NEVER = Counting(counts=True), Counting(counts=False)


def at(position: int) -> StreamPosition:
    """Return a stream position."""
    return StreamPosition(position)


#: Two runs of a server, each with `shared_rooms` and whether the attic is excluded; and since
#: when the attic and the hall count or do not, where the second run begins at position 7.
RUNS = [
    ((True, False), (True, False), ALWAYS, ALWAYS),
    ((True, False), (True, True), Counting(counts=False, since=at(7)), ALWAYS),
    ((True, True), (True, False), Counting(counts=True, since=at(7)), ALWAYS),
    ((True, True), (True, True), NEVER, ALWAYS),
    ((True, True), (False, False), NEVER, Counting(counts=False, since=at(7))),
    ((False, True), (True, True), NEVER, Counting(counts=True, since=at(7))),
    ((False, True), (False, False), NEVER, NEVER),
]


@pytest.mark.parametrize(("before", "now", "attic", "hall"), RUNS)
def test_another_configuration(
    before: tuple[bool, bool], now: tuple[bool, bool], attic: Counting, hall: Counting
) -> None:
    """A room counts, or does not, since the start at which the configuration changed that."""
    shared_rooms, excluded = before
    first = CountingRooms.always(shared_rooms=shared_rooms, excluded={ATTIC} if excluded else set())
    shared_rooms, excluded = now
    second = first.next(
        shared_rooms=shared_rooms, excluded={ATTIC} if excluded else set(), position=at(7)
    )
    assert (second.of(ATTIC), second.of(HALL)) == (attic, hall)
    assert (second == first) == (now == before or not (before[0] or now[0]))


def test_at_most_so_many_rooms() -> None:
    """Of the rooms that are excluded no more, those that changed longest ago are forgotten."""
    many = {RoomId(f"!{number}:demo") for number in range(MOST_ROOMS)}
    rooms = CountingRooms.always(shared_rooms=True, excluded={ATTIC})
    for number, excluded in enumerate((many, set[RoomId](), {HALL})):
        rooms = rooms.next(shared_rooms=True, excluded=excluded, position=at(number + 1))
    assert rooms.rooms.keys() == many | {HALL}
    assert rooms.of(ATTIC) == ALWAYS


@pytest.fixture
def former() -> FormerRooms:
    """The hall ceased to count at 5, the attic at 7; alice and bob were in both."""
    rooms = FormerRooms()
    for user_id in (ALICE, BOB, CHARLIE):
        rooms.joined(HALL, user_id, at(5))
    rooms.joined(ATTIC, ALICE, at(7))
    rooms.joined(ATTIC, BOB, at(7))
    return rooms


def test_seen_before(former: FormerRooms) -> None:
    """A viewer saw the members of the rooms that ceased to count after the position, no others."""
    seen = [former.seen_before(ALICE, at(position)) for position in (4, 5, 6, 7)]
    assert seen == [{BOB, CHARLIE}, {BOB}, {BOB}, set()]
    assert former.seen_before(UserId("@nobody:demo"), at(0)) == set()


def test_left(former: FormerRooms) -> None:
    """A member who leaves is seen there no more; who came later by the same name stays."""
    former.left(ATTIC, BOB, at(5))
    assert former.members(ATTIC) == {ALICE: at(7), BOB: at(7)}
    former.left(HALL, BOB, at(5))
    former.left(HALL, BOB, at(5))
    assert former.members(HALL) == {ALICE: at(5), CHARLIE: at(5)}
    assert former.seen_before(ALICE, at(4)) == {BOB, CHARLIE}
    assert former.seen_before(CHARLIE, at(4)) == {ALICE}
