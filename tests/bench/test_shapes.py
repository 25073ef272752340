"""Who shares rooms with whom."""

from bench.shapes import alone, crowd, mesh, one_room, rooms_apart, routed


def test_one_room() -> None:
    """In one room everybody is told of everybody else."""
    shape = one_room(3, publishers=1)
    assert shape.audiences() == [{1, 2}, {0, 2}, {0, 1}]
    assert (shape.watchers, shape.publishers) == ((0, 1, 2), (0,))


def test_mesh() -> None:
    """500 users in 50 rooms of 20 are each in two rooms, and told of 38 others."""
    shape = mesh(500, 50)
    assert {len(room) for room in shape.rooms} == {20}
    assert len(shape.rooms) == 50
    members = [user for room in shape.rooms for user in room]
    assert sorted(members) == sorted([*range(500), *range(500)])
    assert {len(told) for told in shape.audiences()} == {38}


def test_routed() -> None:
    """Publishers who share no room are shown to one watcher."""
    shape = routed(2)
    assert shape.audiences() == [{2}, {2}, set()]
    assert (shape.rooms, shape.watchers, shape.publishers) == ((), (2,), (0, 1))


def test_rooms_apart() -> None:
    """Nobody is told of anything outside their room; the first of each room publishes."""
    shape = rooms_apart(2, size=2)
    assert shape.audiences() == [{1}, {0}, {3}, {2}]
    assert shape.publishers == (0, 2)


def test_crowd() -> None:
    """Of a crowd that watches, some are told what the first one publishes."""
    shape = crowd(5, told=2)
    assert shape.audiences()[0] == {1, 2}
    assert (len(shape.watchers), shape.publishers) == (5, (0,))


def test_alone() -> None:
    """Who shares no room is told nothing."""
    assert alone(2).audiences() == [set(), set()]
