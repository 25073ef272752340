"""The worlds in which a module is asked."""

from itertools import product

from lamplighter.devtools.check.population import Names, populate
from lamplighter.devtools.check.worlds import STATES, first_world, worlds
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomAlias, RoomId, UserId, is_user_id

PEOPLE = populate(Names([UserId("@a:demo"), UserId("@b:else.org")], [RoomId("!r:demo")]))


def test_the_first_world() -> None:
    """The first world has everybody, and the rooms that the module knows, without members."""
    world, states = next(worlds(PEOPLE, 1))
    assert world.users == first_world(PEOPLE).users == PEOPLE.users
    assert "!r:demo" in [room.room_id for room in first_world(PEOPLE).rooms]
    assert [dict(room.members) for room in world.rooms] == [{}] * len(world.rooms)
    assert [state.user_id for state in states] == PEOPLE.users


def test_everybody_is_everything() -> None:
    """Over all worlds everybody is in every state, and, if local, an administrator."""
    made = list(worlds(PEOPLE, 24))
    seen = {
        (state.user_id, state.state, state.status_msg, state.currently_active)
        for _, states in made
        for state in states
    }
    assert seen == {(user_id, *state) for user_id, state in product(PEOPLE.users, STATES)}
    admins = {admin for world, _ in made for admin in world.admins}
    assert admins == {it for it in PEOPLE.users if made[0][0].is_local(it)}


def test_everybody_meets_everybody() -> None:
    """Any two people share a room in one world and none in another; some are only invited."""
    made = [world for world, _ in worlds(PEOPLE, 24)]
    for one, other in product(PEOPLE.users, PEOPLE.users):
        if one != other:
            meetings = {bool(list(world.shared_rooms(one, other))) for world in made}
            assert meetings == {True, False}
    memberships = {how for world in made for room in world.rooms for how in room.members.values()}
    assert memberships == {MemberState.JOIN, MemberState.INVITE, MemberState.LEAVE}


def test_many_people() -> None:
    """If there are too many people, each world has others, at least half of them named."""
    people = populate(Names([UserId(f"@u{number}:demo") for number in range(50)]))
    made = [world.users for world, _ in worlds(people, 24)]
    assert {len(users) for users in made} == {18}
    assert {it for users in made for it in users} >= set(people.named)
    assert all(is_user_id(it) for users in made for it in users)


def test_aliases() -> None:
    """An alias that the module knows names a room in every world."""
    people = populate(Names(aliases=[RoomAlias("#hall:demo")]))
    aliases = [[room.alias for room in world.rooms if room.alias] for world, _ in worlds(people, 3)]
    assert aliases == [["#hall:demo"]] * 3
