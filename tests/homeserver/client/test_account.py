"""GET /account/whoami, POST /account/deactivate, POST /account/password."""

from typing import Any

import pytest

from lamplighter.errors import Forbidden
from tests.homeserver.world import Person, World


async def test_whoami_tells_user_and_device(alice: Person) -> None:
    """A token belongs to a user and a device."""
    assert (await alice.get("/account/whoami")).json == {
        "user_id": "@alice:demo",
        "device_id": "PHONE",
        "is_guest": False,
    }


async def test_an_account_is_closed_with_the_password(world: World) -> None:
    """With the password the account goes, and its tokens with it."""
    alice = await world.person("alice", "secret")
    auth = {"type": "m.login.password", "user": "alice", "password": "secret"}
    response = await alice.post("/account/deactivate", {"auth": auth, "erase": True})
    assert response.json == {"id_server_unbind_result": "no-support"}
    assert (await alice.get("/account/whoami")).json["errcode"] == "M_UNKNOWN_TOKEN"
    account = await world.directory.account(alice.user_id)
    assert account is not None
    assert account.is_deactivated


async def test_a_token_alone_closes_no_account(world: World) -> None:
    """Without the password the answer is the wanted stage, and nothing has happened."""
    alice = await world.person("alice", "secret")
    response = await alice.post("/account/deactivate", {})
    assert response.status == 401
    assert response.json["flows"] == [{"stages": ["m.login.password"]}]
    assert (await alice.get("/account/whoami")).status == 200


def new_password(**changes: Any) -> dict[str, Any]:
    """Return the body of a change of alice's password, with *changes*."""
    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "secret",
    }
    return {"new_password": "better", "auth": auth} | changes


@pytest.mark.parametrize("log_out", [True, False, None])
async def test_a_new_password(world: World, log_out: bool | None) -> None:
    """The password is replaced; other devices are logged out unless the client says not to."""
    alice = await world.person("alice", "secret")
    laptop = await world.directory.log_in(alice.user_id)
    more = {} if log_out is None else {"logout_devices": log_out}
    response = await alice.post("/account/password", new_password(**more))
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
        (
            {"auth": {"type": "m.login.password", "user": "alice", "password": "x"}},
            401,
            "M_FORBIDDEN",
        ),
        ({"new_password": ""}, 400, "M_INVALID_PARAM"),
        ({"new_password": "x" * 513}, 413, "M_TOO_LARGE"),
        ({"new_password": 5}, 400, "M_BAD_JSON"),
    ],
)
async def test_a_new_password_that_is_refused(
    world: World, changes: dict[str, Any], status: int, errcode: str | None
) -> None:
    """Without the old password, or with a new one that cannot be, nothing changes."""
    alice = await world.person("alice", "secret")
    response = await alice.post("/account/password", new_password(**changes))
    assert (response.status, response.json.get("errcode")) == (status, errcode)
    await world.directory.check_password(alice.user_id, "secret")
