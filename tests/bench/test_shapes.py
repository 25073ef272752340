"""The users, rooms and watchers of each shape."""

import pytest

from bench.shapes import Shape, alone, crowd, in_many_rooms, mesh, one_room, rooms_apart, routed


@pytest.mark.parametrize(
    ("shape", "watchers", "publishers", "audiences"),
    [
        (one_room(3, publishers=1), (0, 1, 2), (0,), [{1, 2}, {0, 2}, {0, 1}]),
        (routed(2), (2,), (0, 1), [{2}, {2}, set()]),
        (rooms_apart(2, size=2), (0, 1, 2, 3), (0, 2), [{1}, {0}, {3}, {2}]),
        (in_many_rooms(4, (2, 3)), (0, 1, 2, 3), (), [{1, 2, 3}, {0}, {0, 3}, {0, 2}]),
        (crowd(4, told=2), (0, 1, 2, 3), (0,), [{1, 2}, {0, 2}, {0, 1}, set()]),
        (alone(2), (0, 1), (), [set(), set()]),
    ],
    ids=["one-room", "routed", "rooms-apart", "many-rooms", "crowd", "alone"],
)
def test_who_is_told(
    shape: Shape, watchers: object, publishers: object, audiences: list[set[int]]
) -> None:
    """A shape has its watchers, its publishers, and for each user the watchers of the changes."""
    assert (shape.watchers, shape.publishers) == (watchers, publishers)
    assert shape.audiences() == audiences


def test_mesh() -> None:
    """500 users in 50 rooms of 20 are each in two rooms, and told of 38 others."""
    shape = mesh(500, 50)
    assert [len(room) for room in shape.rooms] == [20] * 50
    members = [user for room in shape.rooms for user in room]
    assert sorted(members) == sorted([*range(500), *range(500)])
    assert {len(told) for told in shape.audiences()} == {38}
