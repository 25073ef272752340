"""In front of a homeserver: presence of other servers comes in, and ours goes out."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from signedjson.key import decode_signing_key_base64, get_verify_key

from lamplighter.app import listeners
from lamplighter.federation.discovery import Target
from lamplighter.federation.signing import parse_authorization, request_object, verify_request
from lamplighter.federation.transport import Answer, Transport
from lamplighter.ids import RoomId, ServerName, UserId
from lamplighter.routing.reasons import Module, Reason, SharedRoom
from tests.homeserver.upstream.front import LOBBY, Front, front
from tests.homeserver.upstream.small import Asked

# A name that is an address: discovery is real, and asks nobody.
THERE = "192.0.2.1"
DAVE, BOB = f"@dave:{THERE}", "@bob:demo"
SEED = "A" * 43
SEND = "/_matrix/federation/v1/send/"

CONFIG = f"""\
federation: {{enabled: true, allow_addresses: [192.0.2.0/24]}}
modules:
- module: tests.scenarios.federated_worlds.Routing
  config: {{pushes: {{"{DAVE}": ["{BOB}"]}}, hides: {{}}, names: {{}}}}
"""


class OtherServers(Transport):
    """Answers for all other servers, and remembers what they were asked."""

    def __init__(self) -> None:
        super().__init__(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lambda _: True)
        self.asked: list[tuple[str, str, str, str, dict[str, Any]]] = []

    async def exchange(
        self,
        target: Target,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int,
    ) -> Answer:
        header = (headers or {})["Authorization"]
        self.asked.append((target.host_header, method, path, header, json.loads(body or b"null")))
        return Answer(200, CIMultiDictProxy(CIMultiDict()), b'{"pdus": {}}')


@pytest.fixture
def others() -> OtherServers:
    """All other servers."""
    return OtherServers()


@pytest.fixture
async def door(tmp_path: Path, others: OtherServers) -> AsyncIterator[Front]:
    """Both servers, with federation."""
    (tmp_path / "signing.key").write_text(f"ed25519 a_1 {SEED}\n")
    async with front(tmp_path, CONFIG, others) as door:
        yield door


async def send(door: Front, txn_id: str, status: int, presence: str) -> tuple[bytes, Asked, int]:
    """Let Dave's server send a transaction; return its body, what came of it, and the answer."""
    door.small.instead[SEND + txn_id] = (status, {"pdus": {}})
    edu = {"edu_type": "m.presence", "content": {"push": [{"user_id": DAVE, "presence": presence}]}}
    content = {"origin": THERE, "origin_server_ts": int(txn_id), "edus": [edu], "pdus": [{}]}
    body = msgspec.json.format(msgspec.json.encode(content))  # as no encoder of ours writes it
    answer = await door.server.http.request(
        "PUT",
        SEND + txn_id,
        body=body,
        headers={"authorization": f'X-Matrix origin="{THERE}",key="ed25519:1",sig="abc"'},
    )
    await door.server.settled()
    return body, door.small.asked[-1], answer.status


async def test_in(door: Front) -> None:
    """What the homeserver accepts comes unchanged to it, and its presence to who shares a room."""
    for user_id in ("@alice:demo", DAVE):
        door.small.join(user_id, LOBBY)
    alice = door.person("alice")
    await alice.sync()
    body, asked, status = await send(door, "1", 200, "online")
    assert (asked.method, asked.path, asked.body, status) == ("PUT", f"{SEND}1", body, 200)
    assert asked.headers["authorization"].startswith("X-Matrix ")
    await alice.sync()
    assert alice.sees(DAVE, "online")

    body, asked, status = await send(door, "2", 401, "unavailable")
    assert (asked.body, status) == (body, 401)
    await send(door, "1", 200, "unavailable")
    await alice.sync()
    assert alice.sees(DAVE, "online")


async def test_out(door: Front, others: OtherServers) -> None:
    """A state that a module sends elsewhere is signed with the homeserver's key."""
    bob = door.person("bob")
    await bob.sync()
    await bob.set_status("online", "brb")
    await door.server.advance(seconds=1)
    _, method, path, header, content = others.asked[-1]
    [entry] = content["edus"][0]["content"]["push"]
    assert (entry["user_id"], entry["status_msg"]) == (BOB, "brb")
    signed = request_object(
        origin=ServerName("demo"),
        destination=ServerName(THERE),
        method=method,
        uri=path,
        content=content,
    )
    key = get_verify_key(decode_signing_key_base64("ed25519", "a_1", SEED))
    verify_request(signed, parse_authorization(header), key)


@pytest.mark.parametrize("tells", [True, False])
async def test_by_rooms(tmp_path: Path, others: OtherServers, tells: bool) -> None:
    """The servers in a user's rooms are sent the user's presence, until their last user leaves."""
    (tmp_path / "signing.key").write_text(f"ed25519 a_1 {SEED}\n")
    config = CONFIG.partition("modules:")[0].replace(
        "enabled: true", f"enabled: true, shared_rooms: {json.dumps(tells)}"
    )
    async with front(tmp_path, config, others) as door:
        for user_id in (BOB, DAVE):
            door.small.join(user_id, LOBBY)
        bob = door.person("bob")
        await bob.sync()
        await bob.set_status("online", "one")
        await door.server.advance(seconds=1)
        await bob.set_status("online", "two")
        door.small.leave(DAVE, LOBBY)
        await door.told(door.small.position - 1)
        await bob.set_status("online", "three")
        await door.server.advance(minutes=1)
        push = [it[4]["edus"][0]["content"]["push"] for it in others.asked]
        assert [[it["status_msg"] for it in entries] for entries in push] == [["one"]] * tells


async def test_a_large_room_tells_no_server(tmp_path: Path, others: OtherServers) -> None:
    """A room that becomes too large is a reason for nothing, on other servers either."""
    (tmp_path / "signing.key").write_text(f"ed25519 a_1 {SEED}\n")
    config = CONFIG.partition("modules:")[0] + "routing: {largest_room: 2}\n"
    async with front(tmp_path, config, others) as door:
        for user_id in (BOB, DAVE):
            door.small.join(user_id, LOBBY)
        bob = door.person("bob")
        await bob.sync()
        await bob.set_status("online", "two members")
        await door.server.advance(seconds=1)
        door.small.join("@carol:demo", LOBBY)
        await door.told()
        await bob.set_status("online", "three members")
        await door.server.advance(minutes=1)
    push = [it[4]["edus"][0]["content"]["push"] for it in others.asked]
    assert [[it["status_msg"] for it in entries] for entries in push] == [["two members"]]


@pytest.mark.parametrize("pushes", [True, False])
@pytest.mark.parametrize("tells", [True, False])
async def test_why_a_viewer_elsewhere_sees_somebody(
    tmp_path: Path, others: OtherServers, tells: bool, pushes: bool
) -> None:
    """A shared room is a reason for a user of another server only if rooms tell servers."""
    (tmp_path / "signing.key").write_text(f"ed25519 a_1 {SEED}\n")
    config = CONFIG.replace("enabled: true", f"enabled: true, shared_rooms: {json.dumps(tells)}")
    config = config if pushes else config.partition("modules:")[0]
    async with front(tmp_path, config, others) as door:
        for user_id in (BOB, DAVE):
            door.small.join(user_id, LOBBY)
        bob = door.person("bob")
        await bob.sync()
        await bob.set_status("online", "brb")
        explanations = door.server.lamplighter.admin.explanations
        explained = await explanations.explain(UserId(DAVE), UserId(BOB))
        seen_by = await explanations.seen_by(UserId(BOB), None, 10)
        sees = await explanations.sees(UserId(DAVE), None, 10)
    reasons: list[Reason] = [SharedRoom(RoomId(LOBBY))] if tells else []
    reasons += [Module("Routing")] if pushes else []
    assert set(explained.answer.reasons) == set(reasons)
    assert explained.answer.sees is bool(reasons)
    assert [it.viewer for it in seen_by.answers] == [BOB, *([DAVE] if reasons else [])]
    assert [it.subject for it in sees.answers] == ([BOB] if reasons else [])


async def test_no_listener(door: Front) -> None:
    """Only the listeners for clients are open: other servers come by them."""
    running = door.server.lamplighter
    assert len(listeners(running, door.server.clock)) == len(running.config.listen)
    door.small.instead["/_matrix/key/v2/server"] = (200, {"homeserver": "says it"})
    answer = await door.server.http.request("GET", "/_matrix/key/v2/server")
    assert answer.json == {"homeserver": "says it"}
