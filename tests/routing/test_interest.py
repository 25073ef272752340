"""Which users share a room, and since when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import RoomId, ServerName, StreamPosition, UserId, server_of
from lamplighter.routing.interest import SharedRooms
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, HALL

CELLAR = RoomId("!cellar:demo")


def at(position: int) -> StreamPosition:
    """Return a stream position."""
    return StreamPosition(position)


@pytest.fixture
def rooms() -> SharedRooms:
    """An index that leaves the cellar out."""
    return SharedRooms(lambda room_id: room_id != CELLAR)


def test_sharing_since(rooms: SharedRooms) -> None:
    """Two users share a room since the later of their joins; the earliest of their rooms counts."""
    rooms.joined(HALL, ALICE, at(1))
    rooms.joined(HALL, BOB, at(5))
    rooms.joined(ATTIC, ALICE, at(3))
    rooms.joined(ATTIC, BOB, at(2))
    assert (rooms.shared_since(ALICE, BOB), rooms.shared_since(BOB, ALICE)) == (3, 3)
    rooms.left(ATTIC, ALICE)
    assert rooms.shared_since(ALICE, BOB) == 5
    assert rooms.shared_since(ALICE, CHARLIE) is None


def test_a_clock_that_was_ahead(rooms: SharedRooms) -> None:
    """No join is later than the position to which they are dated back, and none becomes later."""
    for position, user_id in enumerate((ALICE, BOB, CHARLIE), start=4):
        rooms.joined(HALL, user_id, at(position))
    rooms.date_back(at(5))
    assert list(rooms.members(HALL).items()) == [(ALICE, 4), (BOB, 5), (CHARLIE, 5)]


X, Y = UserId("@x:r.example"), UserId("@y:r.example")
USERS = [ALICE, BOB, CHARLIE, X, Y, UserId("@z:s.example")]
ROOMS = [HALL, ATTIC, CELLAR]
moves = st.lists(st.tuples(st.booleans(), st.sampled_from(ROOMS), st.sampled_from(USERS)))


@given(moves)
def test_any_moves(moves: list[tuple[bool, RoomId, UserId]]) -> None:
    """After any joins and leaves, the index is equal to a plain table of joins: a second join
    changes nothing, and a room that does not count has no members.
    """
    rooms = SharedRooms(lambda room_id: room_id != CELLAR, ServerName("demo"))
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
            assert (other in rooms.neighbours(one)) == rooms.share(one, other) == bool(both)
    for room in ROOMS:
        members = {user: number for (its, user), number in table.items() if its == room}
        assert dict(rooms.members(room)) == members
        by_server: dict[str, set[UserId]] = {}
        for user in members:
            by_server.setdefault(server_of(user), set()).add(user)
        assert {server: {*users} for server, users in rooms.servers(room).items()} == by_server
    for one in USERS:
        shared = [{*rooms.servers(room_id)} for room_id in rooms.rooms_of(one)]
        assert rooms.servers_of(one) == set[str]().union(*shared) - {"demo"}
        for server in ("r.example", "s.example"):
            there = ServerName(server)
            assert rooms.rooms_with(one, there) == sum(there in servers for servers in shared)


def test_no_servers(rooms: SharedRooms) -> None:
    """An index that does not know where it is at home finds no servers."""
    rooms.joined(HALL, ALICE, at(1))
    rooms.joined(HALL, X, at(2))
    assert (rooms.servers_of(ALICE), dict(rooms.servers(HALL))) == (set(), {})
