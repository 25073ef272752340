"""Which rooms have too many members, and the index from which they are taken out."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import MembershipChange
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.room_sizes import RoomSizes, SizeChanges, begins_again
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, HALL

USERS = tuple(UserId(f"@{number}:demo") for number in range(14))
CELLAR = RoomId("!cellar:demo")
#: The cellar is excluded.
ROOMS = (HALL, ATTIC, CELLAR)


def at(position: int) -> StreamPosition:
    """Return a stream position."""
    return StreamPosition(position)


class Index:
    """The index as a node keeps it, with the sizes."""

    def __init__(self, most: int | None) -> None:
        self.sizes = RoomSizes(most)
        self.rooms = SharedRooms(lambda room_id: room_id != CELLAR)
        self.position = at(0)

    def changed(self, changes: list[MembershipChange]) -> None:
        """Take in what happens together."""
        sizes = self.sizes.changed(changes)
        for room_id in sizes.ceased:
            self.rooms.cease(room_id)
        for it in changes:
            self.position = at(self.position + 1)
            if it.joined:
                self.rooms.joined(it.room_id, it.user_id, self.position)
            else:
                self.rooms.left(it.room_id, it.user_id)
        for room_id in sizes.begun:
            self.rooms.begin(room_id, self.position)


class Model:
    """Who is in which room, and which rooms count, worked out anew each time."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._members: dict[RoomId, set[UserId]] = {it: set() for it in ROOMS}
        self._large = dict.fromkeys(ROOMS, False)

    def changed(self, changes: list[MembershipChange]) -> None:
        """Take in what happens together."""
        for it in changes:
            members = self._members[it.room_id]
            members.add(it.user_id) if it.joined else members.remove(it.user_id)
        for room_id in {it.room_id for it in changes}:
            size, most = len(self._members[room_id]), self._most
            if most is not None and size > most:
                self._large[room_id] = True
            elif most is None or most - size >= most // 10:
                self._large[room_id] = False

    def shares(self) -> set[tuple[UserId, UserId]]:
        """Return who sees whom."""
        counting = [
            members
            for room_id, members in self._members.items()
            if room_id != CELLAR and not self._large[room_id]
        ]
        return {(one, other) for it in counting for one in it for other in it}

    def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """Tell whether the user is in the room."""
        return user_id in self._members[room_id]


@given(
    most=st.sampled_from((None, 2, 3, 5, 9, 10, 11)),
    steps=st.lists(
        st.lists(
            st.tuples(st.sampled_from(ROOMS), st.sampled_from(USERS)), max_size=12, unique=True
        ),
        max_size=30,
    ),
)
def test_as_the_model_says(most: int | None, steps: list[list[tuple[RoomId, UserId]]]) -> None:
    """Whatever joins and leaves happen together, those see each other who are in one room that is
    not excluded, and that has, and had, not too many members; and no pair sees only in one way.
    """
    index, model = Index(most), Model(most)
    for step in steps:
        changes = [
            MembershipChange(room_id, user_id, not model.is_member(room_id, user_id))
            for room_id, user_id in step
        ]
        index.changed(changes)
        model.changed(changes)
        shares = {(it, other) for it in USERS for other in USERS if index.rooms.share(it, other)}
        assert shares == model.shares()
        since = {pair for pair in shares if index.rooms.shared_since(*pair) is not None}
        assert since == shares
        assert {(it, other) for it in USERS for other in index.rooms.neighbours(it)} == shares


def moves(joined: Mapping[RoomId, AbstractSet[UserId]]) -> list[MembershipChange]:
    """Return joins."""
    return [
        MembershipChange(it, user, joined=True) for it, users in joined.items() for user in users
    ]


def test_a_room_that_comes_to_be_known() -> None:
    """A room whose many members come to be known at once ceases before the first of them joins."""
    sizes = RoomSizes(2)
    changes = moves({HALL: {ALICE, BOB, CHARLIE}, ATTIC: {ALICE, BOB}})
    assert sizes.changed(changes) == SizeChanges([HALL], [])


def test_one_who_comes_and_goes() -> None:
    """One user who joins and leaves causes one change: the room begins again a tenth smaller."""
    sizes = RoomSizes(10, [HALL] * 10)
    changes = [
        sizes.changed([MembershipChange(HALL, ALICE, joined=joined)])
        for joined in (True, False, True, False)
    ]
    assert changes == [SizeChanges([HALL], []), *[SizeChanges([], [])] * 3]
    assert sizes.too_large == {HALL}
    assert sizes.changed([MembershipChange(HALL, BOB, joined=False)]) == SizeChanges([], [HALL])


@pytest.mark.parametrize(("most", "again"), [(2, 2), (9, 9), (10, 9), (1_000, 900)])
def test_begins_again(most: int, again: int) -> None:
    """A room begins again a tenth below the limit; below ten that is the limit itself."""
    assert begins_again(most) == again


def test_at_the_start() -> None:
    """A start looks at the sizes alone; without a limit no room is too large."""
    joined = [HALL, HALL, HALL, ATTIC, ATTIC]
    assert (RoomSizes(2, joined).too_large, RoomSizes(None, joined).too_large) == ({HALL}, set())


def test_since_when() -> None:
    """Members of a room that begins again share it since then, whenever they joined."""
    index = Index(2)
    index.changed(moves({HALL: {ALICE}}))
    index.changed(moves({HALL: {BOB}}))
    index.changed(moves({HALL: {CHARLIE}}))
    assert index.rooms.apart(HALL) == {ALICE: None, BOB: None, CHARLIE: None}
    index.changed([MembershipChange(HALL, ALICE, joined=False)])
    assert (index.rooms.apart(HALL), index.position) == (None, 4)
    assert index.rooms.members(HALL) == {BOB: 4, CHARLIE: 4}
    assert index.rooms.met_after(BOB, at(3)) is not None
    assert set(index.rooms.met_after(BOB, at(3))) == {BOB, CHARLIE}
