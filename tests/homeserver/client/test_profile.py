"""Profiles."""

import pytest

from tests.homeserver.world import Person, World

PATH = "/profile/@alice:demo"


async def test_a_profile_is_shown_to_anybody(world: World, alice: Person) -> None:
    """What a user sets, everybody sees, whole and by its parts, without a token too."""
    await alice.put(f"{PATH}/displayname", {"displayname": "Alice ☃"})
    await alice.put(f"{PATH}/avatar_url", {"avatar_url": "mxc://demo/a"})
    assert (await world.get(PATH)).json == {"displayname": "Alice ☃", "avatar_url": "mxc://demo/a"}
    assert (await world.get(f"{PATH}/displayname")).json == {"displayname": "Alice ☃"}
    assert (await world.get(f"{PATH}/avatar_url")).json == {"avatar_url": "mxc://demo/a"}


@pytest.mark.parametrize("name", ["displayname", "avatar_url"])
async def test_null_takes_it_away(world: World, alice: Person, name: str) -> None:
    """A field that is null is not set any more, and one that is not set is not shown."""
    await alice.put(f"{PATH}/{name}", {name: "x"})
    assert (await world.get(f"{PATH}/{name}")).json == {name: "x"}
    assert (await alice.put(f"{PATH}/{name}", {name: None})).json == {}
    assert (await world.get(f"{PATH}/{name}")).json == {}


@pytest.mark.parametrize("name", ["displayname", "avatar_url"])
async def test_a_profile_is_ones_own(world: World, alice: Person, bob: Person, name: str) -> None:
    """Nobody changes another user's profile."""
    before = (await world.get(PATH)).json
    response = await bob.put(f"{PATH}/{name}", {name: "x"})
    assert (response.status, response.json["errcode"]) == (403, "M_FORBIDDEN")
    assert (await world.get(PATH)).json == before


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "displayname: missing"),
        ({"displayname": 5}, "displayname: expected str | null, got int"),
        ({"displayname": "x" * 1025}, "displayname: longer than 1024 bytes"),
        ({"displayname": "a\0b"}, "displayname: must not contain a NUL"),
    ],
)
async def test_a_malformed_name_is_refused(alice: Person, body: object, error: str) -> None:
    """A missing, wrong or over-long display name is an error that names it."""
    assert (await alice.put(f"{PATH}/displayname", body)).json["error"] == error


async def test_unknown_users_have_no_profile(world: World) -> None:
    """The profile of a user who does not exist is M_NOT_FOUND."""
    for user_id in ("@nobody:demo", "@alice:elsewhere"):
        response = await world.get(f"/profile/{user_id}")
        assert (response.status, response.json["errcode"]) == (404, "M_NOT_FOUND")


async def test_new_names_are_limited(world: World, alice: Person) -> None:
    """A user has 50 new names or avatars at once, and then ten a second."""
    path = f"/profile/{alice.user_id}"
    for number in range(50):
        await alice.put(f"{path}/displayname", {"displayname": f"{number}"})
    statuses = [(await alice.put(f"{path}/avatar_url", {"avatar_url": "x"})).status]
    world.clock.advance(milliseconds=100)
    statuses.append((await alice.put(f"{path}/avatar_url", {"avatar_url": "x"})).status)
    assert statuses == [429, 200]
