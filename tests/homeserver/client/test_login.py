"""GET /login, POST /login, POST /logout, POST /logout/all."""

from typing import Any

import pytest

from lamplighter.ids import DeviceId, UserId
from tests.homeserver.world import Person, World


def body(**changes: Any) -> dict[str, Any]:
    """Return a login of alice, with *changes*; None leaves a field out."""
    fields = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "secret",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


async def test_the_flow_is_the_password(world: World) -> None:
    """The one flow offered is m.login.password."""
    assert (await world.get("/login")).json == {"flows": [{"type": "m.login.password"}]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"identifier": {"type": "m.id.user", "user": "@alice:demo"}},
        {"identifier": None, "user": "alice"},
        {"identifier": None, "user": "@alice:demo"},
    ],
)
async def test_a_password_gives_a_token(world: World, changes: dict[str, Any]) -> None:
    """Localpart or user ID, identifier or the older `user`: the token is the user's."""
    await world.person("alice", "secret")
    answer = (await world.post("/login", body(**changes))).json
    token = answer.pop("access_token")
    device = answer.pop("device_id")
    assert answer == {"user_id": "@alice:demo", "home_server": "demo"}
    whoami = await Person(UserId("@alice:demo"), token, world.client).get("/account/whoami")
    assert whoami.json == {"user_id": "@alice:demo", "device_id": device, "is_guest": False}


async def test_a_client_names_its_device(world: World) -> None:
    """A new device gets the ID and the name that the login gives."""
    alice = await world.person("alice", "secret")
    login = body(device_id="LAPTOP", initial_device_display_name="My laptop")
    assert (await world.post("/login", login)).json["device_id"] == "LAPTOP"
    laptop = await world.directory.device(alice.user_id, DeviceId("LAPTOP"))
    assert laptop.display_name == "My laptop"


async def test_a_known_device_gets_a_new_token(world: World) -> None:
    """A login with the ID of a known device replaces the device's token."""
    alice = await world.person("alice", "secret")
    answer = (await world.post("/login", body(device_id="PHONE"))).json
    assert answer["device_id"] == "PHONE"
    assert (await alice.get("/account/whoami")).json["errcode"] == "M_UNKNOWN_TOKEN"


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "wrong"},
        {"identifier": {"type": "m.id.user", "user": "nobody"}},
        {"identifier": {"type": "m.id.user", "user": "@alice:elsewhere"}},
    ],
)
async def test_a_wrong_password_and_no_user_look_alike(
    world: World, changes: dict[str, Any]
) -> None:
    """A wrong password, a user that is not there and one of elsewhere get the same answer."""
    await world.person("alice", "secret")
    response = await world.post("/login", body(**changes))
    wrong = await world.post("/login", body(password="also wrong"))
    assert (response.status, response.json) == (403, wrong.json)
    assert response.json["errcode"] == "M_FORBIDDEN"


@pytest.mark.parametrize(
    ("changes", "errcode", "error"),
    [
        ({"type": None}, "M_MISSING_PARAM", "type: missing"),
        ({"type": "m.login.sso"}, "M_INVALID_PARAM", "type: only m.login.password is known here"),
        ({"password": None}, "M_MISSING_PARAM", "password: missing"),
        ({"password": 5}, "M_BAD_JSON", "password: expected str | null, got int"),
        ({"identifier": None}, "M_MISSING_PARAM", "user: missing"),
        ({"identifier": {"user": "alice"}}, "M_MISSING_PARAM", "identifier.type: missing"),
        ({"identifier": {"type": "m.id.user"}}, "M_MISSING_PARAM", "identifier.user: missing"),
        (
            {"identifier": {"type": "m.id.phone"}},
            "M_INVALID_PARAM",
            "identifier.type: only m.id.user is known here",
        ),
        (
            {"identifier": {"type": "m.id.user", "user": "@a"}},
            "M_INVALID_PARAM",
            "'@a' is not a user ID (@localpart:server.name)",
        ),
        ({"device_id": ""}, "M_INVALID_PARAM", "device_id: must not be empty"),
        ({"device_id": "x" * 256}, "M_TOO_LARGE", "device_id: longer than 255 bytes"),
    ],
)
async def test_a_malformed_login_names_the_field(
    world: World, changes: dict[str, Any], errcode: str, error: str
) -> None:
    """The error for a malformed login names the field."""
    response = await world.post("/login", body(**changes))
    assert response.json == {"errcode": errcode, "error": error}


async def test_logins_from_one_address_are_limited(world: World) -> None:
    """An address gets five attempts at once, and then one a second, for all accounts together."""
    for number in range(5):
        await world.post("/login", body(type="x", user=f"u{number}"))
    refused = await world.post("/login", body(type="x"))
    assert (refused.status, refused.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert (refused.json["retry_after_ms"], refused.headers["retry-after"]) == (1000, "1")
    assert (await world.post("/login", body(type="x"), "192.0.2.2")).status == 400
    world.clock.advance(seconds=1)
    assert (await world.post("/login", body(type="x"))).status == 400


async def test_nobody_locks_an_account(world: World) -> None:
    """However often others guess an account's password, its owner gets in from elsewhere."""
    alice = await world.person("alice", "secret")
    for number in range(6):
        await world.post("/login", body(password="wrong"), f"192.0.2.{number}")
    login = await world.post("/login", body(device_id="LAPTOP"), "192.0.2.99")
    assert login.status == 200
    auth = {"type": "m.login.password", "user": "alice", "password": "secret"}
    assert (await alice.post("/account/deactivate", {"auth": auth})).status == 200


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
