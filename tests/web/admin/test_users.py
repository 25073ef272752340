"""The admin API on accounts and their devices."""

import pytest

from lamplighter.devtools.client import RequestFailed
from lamplighter.devtools.server import InMemoryServer
from lamplighter.errors import UnknownToken
from tests.web.admin.operator import Operator, online

NEVER = {"presence": "offline", "status_msg": None, "last_active_ts": 0, "currently_active": False}


async def test_all_users(server: InMemoryServer, operator: Operator) -> None:
    """All accounts are listed, in pages, with their presence."""
    alice, _, carl = [await server.register(name) for name in ("alice", "bob", "carl")]
    await alice.set_status("online", "hello")
    await server.lamplighter.directory.deactivate(carl.user_id)
    pages = await operator.pages("/users", limit="2")
    assert [len(page["users"]) for page in pages] == [2, 1]
    common = {"created_ts": server.clock.now(), "is_admin": False, "is_deactivated": False}
    assert pages[0]["users"] == [
        {"user_id": "@alice:demo", **common, "presence": online(server.clock.now(), "hello")},
        {"user_id": "@bob:demo", **common, "presence": NEVER},
    ]
    assert pages[1]["users"][0]["is_deactivated"]


async def test_one_user(server: InMemoryServer, operator: Operator) -> None:
    """An account is shown with its devices, their presence, and its rooms."""
    alice = await server.register("alice", device="PHONE")
    await server.register("alice", device="LAPTOP")
    room = await alice.create_room(name="The hall")
    await alice.set_status("online")
    await alice.sync()
    polls = [await alice.polls() for _ in range(2)]
    shown = await operator.get("/users/alice")
    now = server.clock.now()
    for poll in polls:
        await poll.go_away()
    phone = {
        "device_id": "PHONE",
        "display_name": None,
        "last_seen_ts": now,
        "presence": "online",
        "last_active_ts": now,
        "polls": 2,
    }
    laptop = {**phone, "device_id": "LAPTOP", "presence": None, "last_active_ts": None, "polls": 0}
    assert shown == {
        "user_id": "@alice:demo",
        "created_ts": now,
        "is_admin": False,
        "is_deactivated": False,
        "displayname": None,
        "presence": online(server.clock.now()),
        "devices": [laptop, phone],
        "rooms": [{"room_id": room, "name": "The hall"}],
    }


async def test_refusals(server: InMemoryServer, operator: Operator) -> None:
    """Unknown users and devices are a 404; malformed user IDs and changes are refused."""
    await server.register("alice")
    for method, path, body, expected in (
        ("GET", "/users/@nobody:demo", None, (404, "M_NOT_FOUND")),
        ("POST", "/users/@nobody:demo/logout", None, (404, "M_NOT_FOUND")),
        ("POST", "/users/@nobody:demo/devices/X/logout", None, (404, "M_NOT_FOUND")),
        ("POST", "/users/@nobody:demo/password", {"password": "x"}, (404, "M_NOT_FOUND")),
        ("POST", "/users/@nobody:demo/deactivate", {}, (404, "M_NOT_FOUND")),
        ("POST", "/users/@alice:demo/devices/X/logout", None, (404, "M_NOT_FOUND")),
        ("GET", "/users/nobody", None, (404, "M_NOT_FOUND")),
        ("GET", "/users/a%20b", None, (400, "M_INVALID_PARAM")),
        ("POST", "/users/%ff/logout", None, (400, "M_INVALID_PARAM")),
        ("POST", "/users/nobody/password", {"password": "x"}, (400, "M_INVALID_PARAM")),
        ("POST", "/users/@alice:demo/password", {}, (400, "M_MISSING_PARAM")),
        ("POST", "/users/@alice:demo/password", {"password": ""}, (400, "M_INVALID_PARAM")),
        ("POST", "/users/@alice:demo/password", {"password": "x" * 513}, (413, "M_TOO_LARGE")),
        ("DELETE", "/users/@alice:demo", None, (405, "M_UNRECOGNIZED")),
    ):
        response = await operator.request(method, path, json=body)
        assert (response.status, response.json["errcode"]) == expected, (method, path)


async def test_logging_out(server: InMemoryServer, operator: Operator) -> None:
    """The operator logs out one device, or all: the user is offline at once, without tokens."""
    phone = await server.register("alice", device="PHONE")
    laptop = await server.register("alice", device="LAP/TOP")
    await phone.set_status("online")
    assert await operator.post("/users/@alice:demo/devices/LAP%2FTOP/logout") == {}
    with pytest.raises(RequestFailed, match="401 M_UNKNOWN_TOKEN"):
        await laptop.sync()
    await phone.sync()
    assert await operator.post("/users/@alice:demo/logout") == {}
    assert server.presence_of(phone).state == "offline"
    with pytest.raises(RequestFailed, match="401 M_UNKNOWN_TOKEN"):
        await phone.sync()


async def test_who_is_online(server: InMemoryServer, operator: Operator) -> None:
    """All users who are not offline are listed and counted."""
    for name in ("alice", "bob", "carl"):
        client = await server.register(name)
        await client.set_status("offline" if name == "bob" else "online")
    pages = await operator.pages("/online", limit="1")
    assert [page["total"] for page in pages] == [2, 2]
    assert [user for page in pages for user in page["users"]] == [
        {"user_id": "@alice:demo", "presence": online(server.clock.now())},
        {"user_id": "@carl:demo", "presence": online(server.clock.now())},
    ]


async def test_search(server: InMemoryServer, operator: Operator) -> None:
    """Accounts are found by a part of the localpart or of the display name, in pages."""
    clients = [await server.register(name) for name in ("alice", "alina", "bob", "al_x")]
    path = f"/profile/{clients[2].user_id}/displayname"
    await clients[2].call("PUT", path, {"displayname": "Big Alfred"})

    async def found(containing: str) -> list[str]:
        pages = await operator.pages("/users", containing=containing, limit="2")
        return [user["user_id"] for page in pages for user in page["users"]]

    assert await found("AL") == ["@al_x:demo", "@alice:demo", "@alina:demo", "@bob:demo"]
    assert await found("l_x") == ["@al_x:demo"]
    assert [await found(text) for text in ("demo", "%", "nobody")] == [[], [], []]
    too_long = await operator.request("GET", "/users", {"containing": "x" * 256})
    assert too_long.status == 413


async def test_a_new_password(server: InMemoryServer, operator: Operator) -> None:
    """The operator gives an account a new password, and logs its devices out or not."""
    directory = server.lamplighter.directory
    bob = await directory.register("bob", "old")
    path = f"/users/{bob.user_id}/password"
    kept = {"password": "new", "logout_devices": False}
    assert (await operator.request("POST", path, json=kept)).json == {}
    await directory.check_password(bob.user_id, "new")
    await directory.authenticate(bob.access_token)
    assert (await operator.request("POST", path, json={"password": "newer"})).json == {}
    with pytest.raises(UnknownToken):
        await directory.authenticate(bob.access_token)


async def test_the_end_of_an_account(server: InMemoryServer, operator: Operator) -> None:
    """The operator deactivates an account, which then has no devices and rooms."""
    bob = await server.register("bob")
    await bob.create_room()
    assert await operator.post(f"/users/{bob.user_id}/deactivate") == {}
    shown = await operator.get(f"/users/{bob.user_id}")
    assert (shown["is_deactivated"], shown["devices"], shown["rooms"]) == (True, [], [])
