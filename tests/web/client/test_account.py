"""GET /account/whoami, POST /account/deactivate."""

from tests.web.world import Person, World


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
