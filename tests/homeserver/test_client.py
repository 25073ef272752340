"""Bad input at every endpoint: the specification's errcode, and never a defect."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pytest

from lamplighter.devtools.http import Response
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.ids import DeviceId
from lamplighter.ports import Requester
from tests.homeserver.world import V3, Person, World, q

ROOM: Final = "!room:demo"
ALIAS: Final = "#alias:demo"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint, with a body it would take; None where it takes no notice of one."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    is_open: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def path_with(self, **params: str) -> str:
        """Return the path with *params*, or harmless values in their place."""
        harmless = {
            "room_id": q(ROOM),
            "user_id": q("@alice:demo"),
            "room_alias": q(ALIAS),
            "room_id_or_alias": q(ALIAS),
            "receipt_type": "m.read",
            "event_id": q("$event"),
        }
        for name in ("event_type", "state_key", "txn_id", "device_id", "data_type", "filter_id"):
            harmless[name] = "x"
        return self.path.format(**(harmless | params))

    @property
    def params(self) -> list[str]:
        """The names of the path's parameters."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


USER: Final = {"user_id": "@bob:demo", "reason": "x"}
AUTH: Final = {"type": "m.login.password", "user": "alice", "password": "x", "session": "x"}
IDENTIFIER: Final = {"type": "m.id.user", "user": "alice"}
STATE: Final = "/rooms/{room_id}/state/{event_type}"

ENDPOINTS: Final = [
    Endpoint("GET", "/_matrix/client/versions", is_open=True),
    Endpoint("GET", "/capabilities"),
    Endpoint("GET", "/login", is_open=True),
    Endpoint(
        "POST",
        "/login",
        {
            "type": "m.login.password",
            "identifier": IDENTIFIER,
            "user": "alice",
            "password": "x",
            "device_id": "x",
            "initial_device_display_name": "x",
        },
        is_open=True,
    ),
    Endpoint(
        "POST",
        "/register",
        {
            "auth": {"type": "m.login.dummy", "session": "x"},
            "username": "carol",
            "password": "x",
            "device_id": "x",
            "initial_device_display_name": "x",
            "inhibit_login": False,
        },
        is_open=True,
    ),
    Endpoint("GET", "/register/available", is_open=True),
    Endpoint("POST", "/logout"),
    Endpoint("POST", "/logout/all"),
    Endpoint("GET", "/account/whoami"),
    Endpoint("POST", "/account/deactivate", {"auth": AUTH, "id_server": "x", "erase": True}),
    Endpoint("GET", "/devices"),
    Endpoint("GET", "/devices/{device_id}"),
    Endpoint("PUT", "/devices/{device_id}", {"display_name": "x"}),
    Endpoint("DELETE", "/devices/{device_id}", {"auth": AUTH}),
    Endpoint("POST", "/delete_devices", {"devices": ["x"], "auth": AUTH}),
    Endpoint(
        "POST",
        "/createRoom",
        {
            "preset": "private_chat",
            "visibility": "private",
            "name": "x",
            "topic": "x",
            "room_alias_name": "x",
            "invite": ["@bob:demo"],
            "initial_state": [{"type": "x", "state_key": "x", "content": {}}],
            "creation_content": {},
            "power_level_content_override": {},
            "is_direct": True,
        },
    ),
    Endpoint("POST", "/join/{room_id_or_alias}", {"reason": "x"}),
    Endpoint("POST", "/rooms/{room_id}/join", {"reason": "x"}),
    Endpoint("POST", "/rooms/{room_id}/leave", {"reason": "x"}),
    Endpoint("POST", "/rooms/{room_id}/invite", USER),
    Endpoint("POST", "/rooms/{room_id}/kick", USER),
    Endpoint("POST", "/rooms/{room_id}/ban", USER),
    Endpoint("POST", "/rooms/{room_id}/unban", USER),
    Endpoint("GET", "/joined_rooms"),
    Endpoint("GET", "/rooms/{room_id}/members"),
    Endpoint("GET", "/rooms/{room_id}/joined_members"),
    Endpoint("GET", "/rooms/{room_id}/state"),
    *(Endpoint("GET", STATE + key) for key in ("", "/", "/{state_key}")),
    *(Endpoint("PUT", STATE + key, {"x": 1}) for key in ("", "/", "/{state_key}")),
    Endpoint("PUT", "/rooms/{room_id}/send/{event_type}/{txn_id}", {"x": 1}),
    Endpoint("PUT", "/rooms/{room_id}/typing/{user_id}", {"typing": True, "timeout": 1}),
    Endpoint("POST", "/rooms/{room_id}/receipt/{receipt_type}/{event_id}", {"thread_id": "x"}),
    Endpoint("POST", "/rooms/{room_id}/read_markers", {"m.fully_read": "x", "m.read": "x"}),
    Endpoint("GET", "/directory/room/{room_alias}", is_open=True),
    Endpoint("PUT", "/directory/room/{room_alias}", {"room_id": ROOM}),
    Endpoint("DELETE", "/directory/room/{room_alias}"),
    Endpoint("GET", "/profile/{user_id}", is_open=True),
    Endpoint("GET", "/profile/{user_id}/displayname", is_open=True),
    Endpoint("PUT", "/profile/{user_id}/displayname", {"displayname": "x"}),
    Endpoint("GET", "/profile/{user_id}/avatar_url", is_open=True),
    Endpoint("PUT", "/profile/{user_id}/avatar_url", {"avatar_url": "x"}),
    Endpoint("POST", "/user/{user_id}/filter", {"presence": {"limit": 1}}),
    Endpoint("GET", "/user/{user_id}/filter/{filter_id}"),
    Endpoint("GET", "/user/{user_id}/account_data/{data_type}"),
    Endpoint("PUT", "/user/{user_id}/account_data/{data_type}", {"x": 1}),
    Endpoint("GET", "/user/{user_id}/rooms/{room_id}/account_data/{data_type}"),
    Endpoint("PUT", "/user/{user_id}/rooms/{room_id}/account_data/{data_type}", {"x": 1}),
    Endpoint(
        "POST", "/account/password", {"new_password": "x", "logout_devices": True, "auth": AUTH}
    ),
    Endpoint("GET", "/rooms/{room_id}/messages"),
    Endpoint("GET", "/rooms/{room_id}/context/{event_id}"),
    Endpoint("GET", "/rooms/{room_id}/event/{event_id}"),
    Endpoint("GET", "/rooms/{room_id}/aliases"),
    Endpoint("GET", "/publicRooms"),
    Endpoint(
        "POST", "/publicRooms", {"limit": 1, "since": "x", "filter": {"generic_search_term": "x"}}
    ),
    Endpoint("GET", "/directory/list/room/{room_id}"),
    Endpoint("PUT", "/directory/list/room/{room_id}", {"visibility": "public"}),
    Endpoint("POST", "/user_directory/search", {"search_term": "x", "limit": 1}),
    Endpoint("POST", "/keys/upload", {"device_keys": {}}),
    Endpoint("POST", "/keys/query", {"device_keys": {}}),
    Endpoint("POST", "/keys/claim", {"one_time_keys": {}}),
    Endpoint("GET", "/keys/changes"),
    Endpoint("GET", "/room_keys/version"),
    Endpoint("GET", "/pushers"),
    Endpoint("GET", "/thirdparty/protocols"),
    Endpoint("GET", "/voip/turnServer"),
    Endpoint("GET", "/_matrix/client/v1/media/config"),
    Endpoint("GET", "/_matrix/media/r0/config"),
    Endpoint("GET", "/_matrix/media/v3/config"),
    Endpoint("GET", "/pushrules/"),
    Endpoint("GET", "/pushrules/global/"),
]
WITH_BODY: Final = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
WITH_TOKEN: Final = [endpoint for endpoint in ENDPOINTS if not endpoint.is_open]
WITH_PARAMS: Final = [endpoint for endpoint in ENDPOINTS if endpoint.params]

DEEP: Final = b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"

BAD_BODIES: Final = [
    (b"nonsense", 400, "M_NOT_JSON"),
    (b"{", 400, "M_NOT_JSON"),
    (b'{"a": NaN}', 400, "M_NOT_JSON"),
    (b'{"a": "\xff"}', 400, "M_NOT_JSON"),
    (b"[]", 400, "M_BAD_JSON"),
    (b"null", 400, "M_BAD_JSON"),
    (b'"text"', 400, "M_BAD_JSON"),
    (b"1", 400, "M_BAD_JSON"),
    (DEEP, 400, "M_BAD_JSON"),
    (b"[" * 50_000, 400, "M_BAD_JSON"),
    (b'{"a": "' + b"x" * 70_000 + b'"}', 413, "M_TOO_LARGE"),
]

WRONG_VALUES: Final[list[Any]] = [
    None,
    5,
    -1.5,
    10**40,
    True,
    "",
    "x",
    "a\0b",
    "\u202e",
    [],
    [[]],
    {},
    {"a": {}},
]
BAD_PARAMS: Final = [
    "x",
    "!",
    "@",
    "%23",
    "%00",
    "%FF",
    "%2F",
    "@a%00:demo",
    "!a%00:demo",
    "a" * 300,
]
BAD_PARAMS_OF_IDS: Final = {"room_id", "user_id", "room_alias", "room_id_or_alias"}


def url_of(endpoint: Endpoint, **params: str) -> str:
    """Return the path of *endpoint* with *params*: those that name no version are of version 3."""
    path = endpoint.path_with(**params)
    return path if path.startswith("/_matrix") else V3 + path


async def send(
    world: World, person: Person | None, endpoint: Endpoint, body: bytes, **params: str
) -> Response:
    """Send a request to *endpoint*, as *person* or without a token, at a gentle pace."""
    world.clock.advance(seconds=10)
    return await world.client.request(
        endpoint.method,
        url_of(endpoint, **params),
        body=body,
        token=person.token if person else None,
    )


def is_sound(response: Response) -> bool:
    """Tell whether a response is a JSON success, or an error of the client with its errcode."""
    if response.status == 200:
        return isinstance(response.json, dict | list)
    return 400 <= response.status < 500 and (
        response.json.get("errcode", "").startswith("M_") or "flows" in response.json
    )


def test_the_table_is_complete(world: World) -> None:
    """Every endpoint that is served stands in the table of this file."""
    served = {
        (method, route.path.removeprefix(V3))
        for route in world.routes
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert served == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", WITH_TOKEN, ids=str)
async def test_without_a_token_nothing_is_done(world: World, endpoint: Endpoint) -> None:
    """No token is M_MISSING_TOKEN, one never given out M_UNKNOWN_TOKEN, before the body is read."""
    path = url_of(endpoint)
    for headers, query, errcode in (
        ({}, {}, "M_MISSING_TOKEN"),
        ({"Authorization": "Basic x"}, {}, "M_MISSING_TOKEN"),
        ({"Authorization": "Bearer"}, {}, "M_MISSING_TOKEN"),
        ({"Authorization": "Bearer \xe9"}, {}, "M_UNKNOWN_TOKEN"),
        ({"Authorization": f"Bearer {'x' * 5000}"}, {}, "M_UNKNOWN_TOKEN"),
        ({}, {"access_token": ""}, "M_MISSING_TOKEN"),
        ({}, {"access_token": "x\0☃"}, "M_UNKNOWN_TOKEN"),
    ):
        response = await world.client.request(
            endpoint.method, path, body=b"nonsense", headers=headers, query=query
        )
        assert (response.status, response.json["errcode"]) == (401, errcode)


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
async def test_a_bad_body_has_its_errcode(world: World, alice: Person, endpoint: Endpoint) -> None:
    """A body that is no JSON, no object, too deep or too long has the errcode of its fault."""
    person = None if endpoint.is_open else alice
    for body, status, errcode in BAD_BODIES:
        response = await send(world, person, endpoint, body)
        assert (response.status, response.json.get("errcode"), body[:20]) == (
            status,
            errcode,
            body[:20],
        )
    assert world.acted == []


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
async def test_wrong_types_are_no_defect(world: World, alice: Person, endpoint: Endpoint) -> None:
    """With any value in a field, or in a field of a field, the answer is a sound one."""
    person = None if endpoint.is_open else alice
    for body in _spoiled(endpoint.body or {}):
        response = await send(world, person, endpoint, msgspec.json.encode(body))
        assert is_sound(response), (body, response)


@pytest.mark.parametrize("endpoint", WITH_PARAMS, ids=str)
async def test_malformed_ids_are_no_defect(world: World, alice: Person, endpoint: Endpoint) -> None:
    """A malformed ID in the path is M_INVALID_PARAM; other parameters get a sound answer."""
    person = None if endpoint.is_open else alice
    body = msgspec.json.encode(endpoint.body or {})
    for name in endpoint.params:
        for value in BAD_PARAMS:
            response = await send(world, person, endpoint, body, **{name: value})
            assert is_sound(response), (name, value, response)
            if name in BAD_PARAMS_OF_IDS:
                answer = (response.status, response.json["errcode"], value)
                assert answer == (400, "M_INVALID_PARAM", value)


@pytest.mark.parametrize(
    "event_type",
    [
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.name",
        "m.room.member",
        "m.room.create",
        "m.room.history_visibility",
        "m.room.canonical_alias",
        "m.room.guest_access",
    ],
)
async def test_a_spoiled_room_is_no_defect(
    world: World, alice: Person, bob: Person, event_type: str
) -> None:
    """With any content in a room's state, the room still gives sound answers."""
    room = await alice.room(preset="public_chat", name="Kitchen", room_alias_name="kitchen")
    await bob.post(f"/join/{room}", {})
    key = q(alice.user_id) if event_type == "m.room.member" else ""
    current = (await alice.get(f"/rooms/{room}/state/{event_type}/{key}")).json
    contents = _spoiled(current, [None, 10**40, "x", [], {"a": {}}])
    for content in contents:
        responses = [
            await alice.put(f"/rooms/{room}/state/{event_type}/{key}", content),
            await alice.post("/createRoom", _creation(event_type, content)),
            await bob.put(f"/rooms/{room}/send/m/{contents.index(content)}", content),
            await bob.put(f"/rooms/{room}/state/x", {}),
            await bob.post(f"/rooms/{room}/kick", {"user_id": "@nobody:demo"}),
            await alice.post(f"/rooms/{room}/invite", {"user_id": "@nobody:demo"}),
            await bob.post(f"/rooms/{room}/join", {}),
            await alice.get(f"/rooms/{room}/members", {"membership": "join"}),
            await alice.get(f"/rooms/{room}/joined_members"),
            await alice.get(f"/rooms/{room}/state"),
            await alice.get("/joined_rooms"),
        ]
        assert [r for r in responses if not is_sound(r)] == [], content
        requester = Requester(alice.user_id, DeviceId("PHONE"))
        sync = await world.directory.sync_rooms(requester, None, RoomFilter(), full_state=True)
        assert sync.body != b"{}"


def _creation(event_type: str, content: object) -> dict[str, object]:
    """Return the body that creates a room with such a state event, in whichever way there is."""
    body: dict[str, object] = {"initial_state": [{"type": event_type, "content": content}]}
    if event_type == "m.room.power_levels":
        body["power_level_content_override"] = content
    if event_type == "m.room.create":
        body["creation_content"] = content
    return body


def _spoiled(body: dict[str, Any], values: Sequence[object] = WRONG_VALUES) -> list[dict[str, Any]]:
    """Return copies of *body* with wrong *values* in every place, and with every field gone."""
    copies: list[dict[str, Any]] = []
    for name, value in body.items():
        copies.append({key: kept for key, kept in body.items() if key != name})
        copies += [body | {name: wrong} for wrong in values]
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(value, list):
            copies += [body | {name: [wrong]} for wrong in values]
        if isinstance(inner, dict):
            wrap = isinstance(value, list)
            copies += [body | {name: [part] if wrap else part} for part in _spoiled(inner, values)]
    return copies
