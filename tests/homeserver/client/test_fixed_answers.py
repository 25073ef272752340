"""Answers that are the same for everybody: clients learn from them what is not here."""

from typing import Any

import pytest

from lamplighter.devtools.http import Response
from tests.homeserver.world import V3, Person, World

RULES: dict[str, list[object]] = {
    kind: [] for kind in ("override", "content", "room", "sender", "underride")
}
ANSWERS: list[tuple[str, str, Any]] = [
    ("GET", f"{V3}/pushrules/", {"global": RULES}),
    ("GET", f"{V3}/pushrules/global/", RULES),
    ("POST", f"{V3}/keys/upload", {"one_time_key_counts": {}}),
    ("POST", f"{V3}/keys/query", {"device_keys": {}, "failures": {}}),
    ("POST", f"{V3}/keys/claim", {"one_time_keys": {}, "failures": {}}),
    ("GET", f"{V3}/keys/changes", {"changed": [], "left": []}),
    ("GET", f"{V3}/pushers", {"pushers": []}),
    ("GET", f"{V3}/voip/turnServer", {}),
    ("GET", f"{V3}/thirdparty/protocols", {}),
    ("GET", "/_matrix/client/v1/media/config", {"m.upload.size": 0}),
    ("GET", "/_matrix/media/v3/config", {"m.upload.size": 0}),
]

#: What would have to claim that something was done.
UNKNOWN = [
    ("PUT", f"{V3}/sendToDevice/m.room_key/1"),
    ("POST", f"{V3}/keys/device_signing/upload"),
    ("POST", f"{V3}/keys/signatures/upload"),
    ("POST", f"{V3}/pushers/set"),
    ("POST", "/_matrix/media/v3/upload"),
    ("GET", "/_matrix/client/v1/media/download/demo/x"),
    ("GET", "/_matrix/client/unstable/org.matrix.msc2697.v2/dehydrated_device"),
    ("GET", "/_matrix/client/v1/auth_metadata"),
    ("POST", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"),
]


async def ask(person: Person, method: str, path: str) -> Response:
    """Send a request with an empty object as its body."""
    body: Any = {} if method in ("PUT", "POST") else None
    return await person.client.request(method, path, token=person.token, json=body)


@pytest.mark.parametrize(("method", "path", "content"), ANSWERS)
async def test_there_is_nothing(alice: Person, method: str, path: str, content: Any) -> None:
    """Nobody has keys or pushers, and no file is small enough: each in the form of its answer."""
    response = await ask(alice, method, path)
    assert (response.status, response.json) == (200, content)


@pytest.mark.parametrize(
    ("method", "path"), [*(it[:2] for it in ANSWERS), ("GET", f"{V3}/capabilities")]
)
async def test_a_token_is_asked_for(world: World, method: str, path: str) -> None:
    """A client that is not logged in gets no such answer."""
    response = await world.client.request(method, path, json={} if method == "POST" else None)
    assert (response.status, response.json["errcode"]) == (401, "M_MISSING_TOKEN")


async def test_capabilities(alice: Person) -> None:
    """A client learns what it can change here, and the room version that new rooms have."""
    capabilities = (await alice.get("/capabilities")).json["capabilities"]
    for name in ("m.set_displayname", "m.change_password"):
        assert capabilities[name] == {"enabled": True}
    create = (await alice.get(f"/rooms/{await alice.room()}/state/m.room.create")).json
    versions = capabilities["m.room_versions"]
    assert [versions["default"]] == list(versions["available"]) == [create["room_version"]]


async def test_there_is_no_backup(alice: Person) -> None:
    """A client that looks for a backup of keys is told that there is none."""
    response = await alice.get("/room_keys/version")
    assert (response.status, response.json["errcode"]) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
async def test_nothing_is_claimed_that_is_not_done(alice: Person, method: str, path: str) -> None:
    """A request that this server cannot fulfil is M_UNRECOGNIZED."""
    response = await ask(alice, method, path)
    assert (response.status, response.json["errcode"]) == (404, "M_UNRECOGNIZED")


async def test_rooms_are_not_encrypted(alice: Person) -> None:
    """A room with encryption is refused, new or later: nobody else could read it."""
    content = {"algorithm": "m.megolm.v1.aes-sha2"}
    event = {"type": "m.room.encryption", "state_key": "", "content": content}
    new = await alice.post("/createRoom", {"initial_state": [event]})
    room = await alice.room()
    later = await alice.put(f"/rooms/{room}/state/m.room.encryption", content)
    said = "End-to-end encryption is not here: leave it off for rooms of this server"
    refusal = {"errcode": "M_FORBIDDEN", "error": said}
    assert [(it.status, it.json) for it in (new, later)] == [(403, refusal)] * 2
    assert (await alice.get("/joined_rooms")).json == {"joined_rooms": [room]}


async def test_versions_need_no_token(world: World) -> None:
    """Anybody is told the versions and the unstable features, under the one path without v3."""
    response = await world.client.request("GET", "/_matrix/client/versions")
    assert response.status == 200
    assert "v1.1" in response.json["versions"]
    assert "r0.6.1" in response.json["versions"]
    assert response.json["unstable_features"] == {"org.example.feature": True}
