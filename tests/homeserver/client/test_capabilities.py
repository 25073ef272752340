"""GET /capabilities."""

from tests.homeserver.world import Person, World


async def test_capabilities_tell_what_works(alice: Person) -> None:
    """A client learns that names can be changed here and passwords cannot."""
    capabilities = (await alice.get("/capabilities")).json["capabilities"]
    assert capabilities["m.set_displayname"] == {"enabled": True}
    assert capabilities["m.change_password"] == {"enabled": True}


async def test_the_room_version_is_the_one_rooms_have(alice: Person) -> None:
    """The default room version is that of a room which is created here."""
    versions = (await alice.get("/capabilities")).json["capabilities"]["m.room_versions"]
    room = await alice.room()
    create = (await alice.get(f"/rooms/{room}/state/m.room.create")).json
    assert versions["default"] == create["room_version"]
    assert list(versions["available"]) == [versions["default"]]


async def test_capabilities_need_a_token(world: World) -> None:
    """Who is not logged in is not told."""
    response = await world.get("/capabilities")
    assert (response.status, response.json["errcode"]) == (401, "M_MISSING_TOKEN")
