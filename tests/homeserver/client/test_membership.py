"""Joins, leaves, invites, kicks and bans."""

import pytest

from tests.homeserver.world import Person, q


async def membership(person: Person, room: str, target: Person) -> str:
    """Return the membership of *target* as *person* sees it."""
    content = (await person.get(f"/rooms/{room}/state/m.room.member/{target.user_id}")).json
    return str(content["membership"])


@pytest.fixture
async def room(alice: Person) -> str:
    """A public room of alice's, #kitchen:demo."""
    return await alice.room(preset="public_chat", room_alias_name="kitchen")


@pytest.mark.parametrize("by", ["/join/{id}", "/join/{alias}", "/rooms/{id}/join"])
async def test_a_room_is_joined_by_id_or_alias(
    alice: Person, bob: Person, room: str, by: str
) -> None:
    """All three ways into a room lead into it, and say which it is."""
    path = by.format(id=q(room), alias=q("#kitchen:demo"))
    assert (await bob.post(path, {})).json == {"room_id": room}
    assert (await bob.get("/joined_rooms")).json == {"joined_rooms": [room]}


async def test_a_room_is_left(alice: Person, bob: Person, room: str) -> None:
    """A user who leaves a room is not joined any more."""
    await bob.post(f"/rooms/{room}/join", {})
    assert (await bob.post(f"/rooms/{room}/leave", {"reason": "bored"})).json == {}
    assert (await bob.get("/joined_rooms")).json == {"joined_rooms": []}
    assert await membership(alice, room, bob) == "leave"


async def test_an_invite_is_not_a_membership(alice: Person, bob: Person) -> None:
    """An invited user is not joined, until the user joins."""
    room = await alice.room()
    target = {"user_id": bob.user_id}
    assert (await bob.post(f"/join/{room}", {})).json["errcode"] == "M_FORBIDDEN"
    assert (await alice.post(f"/rooms/{room}/invite", target)).json == {}
    assert (await bob.get("/joined_rooms")).json == {"joined_rooms": []}
    assert (await bob.post(f"/join/{room}", {})).json == {"room_id": room}


async def test_members_are_kicked_banned_and_unbanned(
    alice: Person, bob: Person, room: str
) -> None:
    """Each of the three does what it says, with its reason."""
    await bob.post(f"/join/{room}", {})
    target = {"user_id": bob.user_id, "reason": "noise"}
    assert (await alice.post(f"/rooms/{room}/kick", target)).json == {}
    content = (await alice.get(f"/rooms/{room}/state/m.room.member/{bob.user_id}")).json
    assert (content["membership"], content["reason"]) == ("leave", "noise")
    assert (await alice.post(f"/rooms/{room}/ban", target)).json == {}
    assert await membership(alice, room, bob) == "ban"
    assert (await bob.post(f"/join/{room}", {})).status == 403
    assert (await alice.post(f"/rooms/{room}/unban", target)).json == {}
    assert await membership(alice, room, bob) == "leave"
    assert (await bob.post(f"/join/{room}", {})).status == 200


@pytest.mark.parametrize(
    ("path", "status", "errcode"),
    [
        ("/join/%23nothing%3Ademo", 404, "M_NOT_FOUND"),
        ("/join/%23nothing%3Aelsewhere", 404, "M_NOT_FOUND"),
        ("/join/%23nothing", 400, "M_INVALID_PARAM"),
        ("/join/kitchen", 400, "M_INVALID_PARAM"),
        ("/rooms/kitchen/join", 400, "M_INVALID_PARAM"),
    ],
)
async def test_what_cannot_be_joined(bob: Person, path: str, status: int, errcode: str) -> None:
    """An unknown alias is not found, and what is neither an ID nor an alias is invalid."""
    response = await bob.post(path, {})
    assert (response.status, response.json["errcode"]) == (status, errcode)


@pytest.mark.parametrize("action", ["invite", "kick", "ban", "unban"])
async def test_the_other_user_must_be_named(alice: Person, room: str, action: str) -> None:
    """Without a user ID, or with a malformed one, it is said which field is wrong."""
    path = f"/rooms/{room}/{action}"
    assert (await alice.post(path, {})).json["error"] == "user_id: missing"
    assert (await alice.post(path, {"user_id": "bob"})).json["errcode"] == "M_INVALID_PARAM"
