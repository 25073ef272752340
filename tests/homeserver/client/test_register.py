"""POST /register, GET /register/available."""

from typing import Any

import pytest

from lamplighter.devtools.http import Response
from lamplighter.ids import UserId
from tests.homeserver.world import V3, Person, World

DUMMY = {"type": "m.login.dummy"}
BODY = {"auth": DUMMY, "username": "alice", "password": "secret"}


async def test_without_auth_the_flows_are_told(world: World) -> None:
    """A first request gets 401 with the one stage and a session, and no account."""
    response = await world.post("/register", {"username": "alice", "password": "secret"})
    answer = response.json
    assert response.status == 401
    assert answer.pop("session")
    assert answer == {"flows": [{"stages": ["m.login.dummy"]}], "params": {}, "completed": []}
    assert await world.directory.account(UserId("@alice:demo")) is None


async def test_the_session_stays_the_same(world: World) -> None:
    """A request that names its session is answered with it."""
    response = await world.post("/register", {"auth": {"session": "mine"}})
    assert (response.status, response.json["session"]) == (401, "mine")


async def test_the_dummy_stage_makes_an_account(world: World) -> None:
    """A request with the stage creates the user, and logs the first device in."""
    body = BODY | {"device_id": "PHONE", "initial_device_display_name": "My phone"}
    answer = (await world.post("/register", body)).json
    token = answer.pop("access_token")
    assert answer == {"user_id": "@alice:demo", "device_id": "PHONE", "home_server": "demo"}
    alice = Person(UserId("@alice:demo"), token, world.client)
    devices = (await alice.get("/devices")).json["devices"]
    assert [(d["device_id"], d["display_name"]) for d in devices] == [("PHONE", "My phone")]


async def test_without_a_username_one_is_chosen(world: World) -> None:
    """The server chooses a user ID for a request without a username."""
    answer = (await world.post("/register", {"auth": DUMMY, "password": "secret"})).json
    assert answer["user_id"].endswith(":demo")


async def test_a_login_can_be_inhibited(world: World) -> None:
    """With inhibit_login there is an account, but no device and no token."""
    response = await world.post("/register", BODY | {"inhibit_login": True})
    assert response.json == {"user_id": "@alice:demo", "home_server": "demo"}
    assert await world.directory.devices(UserId("@alice:demo")) == []


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"username": "taken"}, "M_USER_IN_USE"),
        ({"username": "Alice!"}, "M_INVALID_USERNAME"),
        ({"username": ""}, "M_INVALID_USERNAME"),
        ({"username": "a" * 300}, "M_INVALID_USERNAME"),
        ({"username": 5}, "M_BAD_JSON"),
        ({"password": None}, "M_MISSING_PARAM"),
        ({"password": "x" * 513}, "M_TOO_LARGE"),
        ({"password": "a\0b"}, "M_INVALID_PARAM"),
        ({"device_id": ""}, "M_INVALID_PARAM"),
        ({"inhibit_login": "yes"}, "M_BAD_JSON"),
        ({"auth": []}, "M_BAD_JSON"),
    ],
)
async def test_what_cannot_be_registered(
    world: World, changes: dict[str, Any], errcode: str
) -> None:
    """A taken or impossible name, a missing or over-long password: each has its errcode."""
    await world.person("taken")
    response = await world.post("/register", BODY | changes)
    assert response.json["errcode"] == errcode
    assert await world.directory.account(UserId("@alice:demo")) is None


@pytest.mark.parametrize(
    ("kind", "status", "errcode"),
    [
        ("guest", 403, "M_GUEST_ACCESS_FORBIDDEN"),
        ("robot", 400, "M_INVALID_PARAM"),
        ("user", 401, None),
    ],
)
async def test_there_are_no_guests(
    world: World, kind: str, status: int, errcode: str | None
) -> None:
    """Guests are refused, other kinds than user are an error."""
    path = f"{V3}/register"
    response = await world.client.request("POST", path, json={}, query={"kind": kind})
    assert (response.status, response.json.get("errcode")) == (status, errcode)


async def test_a_closed_server_registers_nobody(closed_world: World) -> None:
    """With registration closed, both endpoints say M_FORBIDDEN."""
    responses: list[Response] = [
        await closed_world.post("/register", BODY),
        await closed_world.get("/register/available", {"username": "alice"}),
    ]
    assert [(r.status, r.json["errcode"]) for r in responses] == [(403, "M_FORBIDDEN")] * 2
    assert await closed_world.directory.account(UserId("@alice:demo")) is None


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"username": "alice"}, {"available": True}),
        ({"username": "taken"}, "M_USER_IN_USE"),
        ({"username": "Alice!"}, "M_INVALID_USERNAME"),
        ({}, "M_MISSING_PARAM"),
    ],
)
async def test_a_name_can_be_asked_for(world: World, query: dict[str, str], answer: object) -> None:
    """`available` says yes, or why not."""
    await world.person("taken")
    content = (await world.get("/register/available", query)).json
    assert content.get("errcode", content) == answer


async def test_registrations_are_limited(world: World) -> None:
    """An address gets three accounts at once; requests for the flows do not count."""
    for number in range(3):
        assert (await world.post("/register", BODY | {"username": f"u{number}"})).status == 200
    assert (await world.post("/register", BODY)).json["errcode"] == "M_LIMIT_EXCEEDED"
    assert (await world.post("/register", {})).status == 401
    assert (await world.post("/register", BODY, "192.0.2.2")).status == 200
