"""The shape of a load: its users, rooms and clients, the same on every server."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import cycle, islice

from bench.clients import ELEMENT, Client

__all__ = ["Shape", "alone", "crowd", "in_many_rooms", "mesh", "one_room", "rooms_apart", "routed"]


@dataclass(frozen=True)
class Shape:
    """Users by number, the rooms they share, and the watchers among them."""

    users: int
    rooms: tuple[tuple[int, ...], ...]
    watchers: tuple[int, ...]
    publishers: tuple[int, ...]
    #: Viewer to the users that a module shows to the viewer.
    shown: tuple[tuple[int, tuple[int, ...]], ...] = ()
    #: Whether users and rooms are in the database before the server starts.
    is_stored: bool = False
    #: The client of every user, where the protocol is Matrix.
    client: Client = ELEMENT

    def audiences(self) -> Sequence[AbstractSet[int]]:
        """Return, for each user, the watchers of that user's changes."""
        told: list[set[int]] = [set() for _ in range(self.users)]
        for room in self.rooms:
            watching = set(room) & set(self.watchers)
            for user in room:
                told[user] |= watching
        for viewer, users in self.shown:
            for user in users:
                told[user].add(viewer)
        return [frozenset(it - {user}) for user, it in enumerate(told)]


def alone(users: int) -> Shape:
    """Return *users* who share no room; all of them watch, and receive nothing."""
    everybody = tuple(range(users))
    return Shape(users, (), everybody, ())


def crowd(users: int, told: int) -> Shape:
    """Return *users* who all watch; only *told* of them receive what the first one publishes."""
    return Shape(users, (tuple(range(told + 1)),), tuple(range(users)), (0,))


def one_room(users: int, publishers: int) -> Shape:
    """Return a room in which everybody watches, and the first few *publishers* change."""
    everybody = tuple(range(users))
    return Shape(users, (everybody,), everybody, everybody[:publishers])


def rooms_apart(rooms: int, size: int) -> Shape:
    """Return *rooms* rooms without common members; the first member of each room publishes."""
    members = tuple(tuple(range(n * size, (n + 1) * size)) for n in range(rooms))
    everybody = tuple(range(rooms * size))
    return Shape(len(everybody), members, everybody, tuple(room[0] for room in members))


def in_many_rooms(users: int, sizes: Sequence[int]) -> Shape:
    """Return rooms of these *sizes*: the first user is in all of them, others by turns."""
    others = cycle(range(1, users))
    rooms = tuple((0, *islice(others, size - 1)) for size in sizes)
    return Shape(users, rooms, tuple(range(users)), ())


def mesh(users: int, rooms: int) -> Shape:
    """Return *users* of whom each is in two of the *rooms*, never with the same room-mates twice.

    Everybody watches and publishes.
    """
    everybody = range(users)
    half = rooms // 2
    # One room by the number's remainder and one by its quotient: columns and rows of a table.
    columns = (tuple(it for it in everybody if it % half == n) for n in range(half))
    size = -(-users // half)
    rows = (tuple(it for it in everybody if it // size == n) for n in range(half))
    return Shape(users, (*columns, *rows), tuple(everybody), tuple(everybody))


def routed(publishers: int) -> Shape:
    """Return *publishers* who share no room, and a last user to whom a module shows them."""
    numbers = tuple(range(publishers))
    return Shape(publishers + 1, (), (publishers,), numbers, ((publishers, numbers),))
