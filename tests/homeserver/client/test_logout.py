"""POST /logout, POST /logout/all."""

from lamplighter.ids import DeviceId
from tests.homeserver.world import Person, World


async def logged_in(world: World, alice: Person, device: str) -> Person:
    """Return alice at another device."""
    login = await world.directory.log_in(alice.user_id, device_id=DeviceId(device))
    return Person(alice.user_id, login.access_token, world.client)


async def test_logout_ends_one_device(world: World, alice: Person) -> None:
    """The token is worth nothing any more, the device is gone, the others stay."""
    laptop = await logged_in(world, alice, "LAPTOP")
    assert (await alice.post("/logout", {})).json == {}
    gone = await alice.get("/account/whoami")
    assert (gone.status, gone.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    assert gone.json["soft_logout"] is False
    devices = (await laptop.get("/devices")).json["devices"]
    assert [device["device_id"] for device in devices] == ["LAPTOP"]


async def test_logout_all_ends_every_device(world: World, alice: Person) -> None:
    """No token of the user is worth anything any more."""
    laptop = await logged_in(world, alice, "LAPTOP")
    assert (await alice.post("/logout/all", {})).json == {}
    for person in (alice, laptop):
        assert (await person.get("/account/whoami")).json["errcode"] == "M_UNKNOWN_TOKEN"
