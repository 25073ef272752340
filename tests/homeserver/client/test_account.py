"""The requester's account, its password, and its devices."""

from typing import Any

import pytest

from lamplighter.errors import Forbidden
from lamplighter.homeserver.client.account import MOST_AT_ONCE
from lamplighter.ids import DeviceId
from tests.homeserver.world import Person, World, q

AUTH = {"type": "m.login.password", "user": "alice", "password": "secret"}
BETTER: dict[str, Any] = {"new_password": "better", "auth": AUTH}


@pytest.fixture
async def alice(world: World) -> Person:
    """A user with a password and the devices PHONE, LAPTOP and "a/b"."""
    alice = await world.person("alice", "secret")
    for device in ("LAPTOP", "a/b"):
        await world.directory.log_in(alice.user_id, device_id=DeviceId(device))
    return alice


async def device_ids(person: Person) -> list[str]:
    """Return the IDs of all devices, sorted."""
    devices: list[dict[str, Any]] = (await person.get("/devices")).json["devices"]
    return sorted(device["device_id"] for device in devices)


async def test_whoami_tells_user_and_device(alice: Person) -> None:
    """A token belongs to a user and a device."""
    assert (await alice.get("/account/whoami")).json == {
        "user_id": "@alice:demo",
        "device_id": "PHONE",
        "is_guest": False,
    }


async def test_an_account_is_closed_with_the_password(world: World, alice: Person) -> None:
    """With the password the account goes, and its tokens with it."""
    response = await alice.post("/account/deactivate", {"auth": AUTH, "erase": True})
    assert response.json == {"id_server_unbind_result": "no-support"}
    assert (await alice.get("/account/whoami")).json["errcode"] == "M_UNKNOWN_TOKEN"
    account = await world.directory.account(alice.user_id)
    assert account is not None
    assert account.is_deactivated


async def test_a_token_alone_closes_no_account(alice: Person) -> None:
    """Without the password the answer is the wanted stage, and nothing has happened."""
    response = await alice.post("/account/deactivate", {})
    assert response.status == 401
    assert response.json["flows"] == [{"stages": ["m.login.password"]}]
    assert (await alice.get("/account/whoami")).status == 200


@pytest.mark.parametrize("log_out", [True, False, None])
async def test_a_new_password(world: World, alice: Person, log_out: bool | None) -> None:
    """The password is replaced; other devices are logged out unless the client says not to."""
    laptop = await world.directory.log_in(alice.user_id)
    more = {} if log_out is None else {"logout_devices": log_out}
    response = await alice.post("/account/password", BETTER | more)
    assert (response.status, response.json) == (200, {})
    await world.directory.check_password(alice.user_id, "better")
    with pytest.raises(Forbidden):
        await world.directory.check_password(alice.user_id, "secret")
    assert (await alice.get("/account/whoami")).status == 200
    other = await Person(alice.user_id, laptop.access_token, world.client).get("/account/whoami")
    assert other.status == (200 if log_out is False else 401)


@pytest.mark.parametrize(
    ("changes", "status", "errcode"),
    [
        ({"auth": None}, 401, None),
        ({"auth": AUTH | {"password": "x"}}, 401, "M_FORBIDDEN"),
        ({"new_password": ""}, 400, "M_INVALID_PARAM"),
        ({"new_password": "x" * 513}, 413, "M_TOO_LARGE"),
        ({"new_password": 5}, 400, "M_BAD_JSON"),
    ],
)
async def test_a_new_password_that_is_refused(
    world: World, alice: Person, changes: dict[str, Any], status: int, errcode: str | None
) -> None:
    """Without the old password, or with a new one that cannot be, nothing changes."""
    response = await alice.post("/account/password", BETTER | changes)
    assert (response.status, response.json.get("errcode")) == (status, errcode)
    await world.directory.check_password(alice.user_id, "secret")


async def test_devices_are_listed(alice: Person, bob: Person) -> None:
    """A user sees all of their own devices, and nobody else's."""
    assert await device_ids(alice) == ["LAPTOP", "PHONE", "a/b"]
    assert await device_ids(bob) == ["PHONE"]


@pytest.mark.parametrize("device_id", ["LAPTOP", "a/b"])
async def test_a_device_is_renamed(alice: Person, device_id: str) -> None:
    """A device has the name that it was given, until that is taken away."""
    path = f"/devices/{q(device_id)}"
    assert (await alice.put(path, {"display_name": "Ünïque"})).json == {}
    device = (await alice.get(path)).json
    assert (device["device_id"], device["display_name"]) == (device_id, "Ünïque")
    assert (await alice.put(path, {})).json == {}
    assert (await alice.get(path)).json["display_name"] == "Ünïque"
    assert (await alice.put(path, {"display_name": None})).json == {}
    assert "display_name" not in (await alice.get(path)).json


async def test_an_unknown_device_is_not_found(alice: Person, bob: Person) -> None:
    """A device that is not there, or is another user's, is M_NOT_FOUND."""
    for person, device_id in ((alice, "NONE"), (bob, "LAPTOP")):
        responses = [
            await person.get(f"/devices/{device_id}"),
            await person.put(f"/devices/{device_id}", {"display_name": "x"}),
            await person.put(f"/devices/{device_id}", {}),
        ]
        assert [(r.status, r.json["errcode"]) for r in responses] == [(404, "M_NOT_FOUND")] * 3


async def test_a_name_has_a_limit(alice: Person) -> None:
    """A name of more than 1024 bytes is M_TOO_LARGE."""
    response = await alice.put("/devices/PHONE", {"display_name": "ä" * 513})
    assert response.json == {
        "errcode": "M_TOO_LARGE",
        "error": "display_name: longer than 1024 bytes",
    }


async def test_a_device_is_deleted_with_the_password(alice: Person) -> None:
    """Deleting wants the password; then the device is gone."""
    wanted = await alice.delete("/devices/LAPTOP", {})
    assert (wanted.status, wanted.json["flows"]) == (401, [{"stages": ["m.login.password"]}])
    assert await device_ids(alice) == ["LAPTOP", "PHONE", "a/b"]
    assert (await alice.delete("/devices/LAPTOP", {"auth": AUTH})).json == {}
    assert await device_ids(alice) == ["PHONE", "a/b"]


async def test_several_devices_are_deleted_at_once(alice: Person) -> None:
    """One password deletes several devices; one that is not there does no harm."""
    wanted = await alice.post("/delete_devices", {"devices": ["LAPTOP"]})
    assert wanted.status == 401
    body = {"devices": ["LAPTOP", "NONE", "a/b"], "auth": AUTH}
    assert (await alice.post("/delete_devices", body)).json == {}
    assert await device_ids(alice) == ["PHONE"]


async def test_so_many_devices_at_once_and_no_more(alice: Person) -> None:
    """A list that is longer than any user's devices is refused before the password is looked at."""
    body = {"devices": ["x"] * (MOST_AT_ONCE + 1), "auth": AUTH}
    response = await alice.post("/delete_devices", body)
    assert (response.status, response.json["errcode"]) == (400, "M_BAD_JSON")
    body = {"devices": ["x"] * MOST_AT_ONCE, "auth": AUTH}
    assert (await alice.post("/delete_devices", body)).status == 200


async def test_nobody_deletes_the_devices_of_others(alice: Person, bob: Person) -> None:
    """A password confirms for its own user only."""
    response = await bob.delete("/devices/LAPTOP", {"auth": AUTH})
    assert (response.status, response.json["errcode"]) == (401, "M_FORBIDDEN")
    assert await device_ids(alice) == ["LAPTOP", "PHONE", "a/b"]
