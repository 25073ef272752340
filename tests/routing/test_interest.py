"""Who shares a room with whom, since when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.routing.interest import SharedRooms
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, HALL

CELLAR = RoomId("!cellar:demo")


def at(position: int) -> StreamPosition:
    """Return the position of that number."""
    return StreamPosition(position)


@pytest.fixture
def rooms() -> SharedRooms:
    """An index that leaves the cellar out."""
    return SharedRooms(lambda room_id: room_id != CELLAR)


def test_members(rooms: SharedRooms) -> None:
    """Who joins is a member, and shares the room with the others, themselves included."""
    assert rooms.joined(HALL, ALICE, at(1))
    assert rooms.joined(HALL, BOB, at(2))
    assert rooms.joined(ATTIC, BOB, at(3))
    assert dict(rooms.members(HALL)) == {ALICE: 1, BOB: 2}
    assert set(rooms.rooms_of(BOB)) == {HALL, ATTIC}
    assert rooms.neighbours(ALICE) == {ALICE, BOB}
    assert rooms.neighbours(CHARLIE) == set()


def test_second_join(rooms: SharedRooms) -> None:
    """Who is joined already is not joined anew: the position stays."""
    rooms.joined(HALL, ALICE, at(1))
    assert not rooms.joined(HALL, ALICE, at(2))
    assert dict(rooms.members(HALL)) == {ALICE: 1}


def test_rooms_that_do_not_count(rooms: SharedRooms) -> None:
    """A room that does not count has no members, and gives sight of nobody."""
    assert not rooms.joined(CELLAR, ALICE, at(1))
    assert not rooms.joined(CELLAR, BOB, at(1))
    assert not rooms.left(CELLAR, ALICE)
    assert (dict(rooms.members(CELLAR)), rooms.neighbours(ALICE)) == ({}, set())
    assert rooms.shared_since(ALICE, BOB) is None


def test_leaving(rooms: SharedRooms) -> None:
    """Who leaves is forgotten; who was not there cannot leave."""
    rooms.joined(HALL, ALICE, at(1))
    rooms.joined(HALL, BOB, at(2))
    assert [rooms.left(HALL, ALICE), rooms.left(HALL, ALICE)] == [True, False]
    assert dict(rooms.members(HALL)) == {BOB: 2}
    assert (list(rooms.rooms_of(ALICE)), rooms.shared_since(ALICE, BOB)) == ([], None)


def test_sharing_since(rooms: SharedRooms) -> None:
    """Two share a room since the later of their joins; of several rooms the earliest counts."""
    rooms.joined(HALL, ALICE, at(1))
    rooms.joined(HALL, BOB, at(5))
    rooms.joined(ATTIC, ALICE, at(3))
    rooms.joined(ATTIC, BOB, at(2))
    assert (rooms.shared_since(ALICE, BOB), rooms.shared_since(BOB, ALICE)) == (3, 3)
    rooms.left(ATTIC, ALICE)
    assert rooms.shared_since(ALICE, BOB) == 5
    assert rooms.shared_since(ALICE, CHARLIE) is None


USERS = [ALICE, BOB, CHARLIE]
ROOMS = [HALL, ATTIC, CELLAR]
moves = st.lists(st.tuples(st.booleans(), st.sampled_from(ROOMS), st.sampled_from(USERS)))


@given(moves)
def test_any_moves(moves: list[tuple[bool, RoomId, UserId]]) -> None:
    """After any joins and leaves the index says what a plain table of joins says."""
    rooms = SharedRooms(lambda room_id: room_id != CELLAR)
    table: dict[tuple[RoomId, UserId], int] = {}
    for number, (joins, room_id, user_id) in enumerate(moves):
        key = room_id, user_id
        if joins:
            is_new = room_id != CELLAR and key not in table
            assert rooms.joined(room_id, user_id, at(number)) == is_new
            if is_new:
                table[key] = number
        else:
            assert rooms.left(room_id, user_id) == (table.pop(key, None) is not None)
    for one in USERS:
        assert set(rooms.rooms_of(one)) == {room for room, user in table if user == one}
        for other in USERS:
            both = [
                max(table[room, one], table[room, other])
                for room in ROOMS
                if (room, one) in table and (room, other) in table
            ]
            assert rooms.shared_since(one, other) == min(both, default=None)
            assert (other in rooms.neighbours(one)) == bool(both)
    for room in ROOMS:
        members = {user: number for (its, user), number in table.items() if its == room}
        assert dict(rooms.members(room)) == members
