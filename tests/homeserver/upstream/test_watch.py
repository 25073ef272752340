"""Requests that pass: which are activity, and what ends with the homeserver's yes to them."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lamplighter.devtools.client import Client, RequestFailed, SyncQuery
from tests.homeserver.upstream.front import LOBBY, Front, front

ALICE, BOB = "@alice:demo", "@bob:demo"
V3 = "/_matrix/client/v3"
ROOM = f"{V3}/rooms/{quote(LOBBY, safe='')}"
UNSEEN: SyncQuery = {"set_presence": "offline"}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Front]:
    """A server in front of a homeserver where alice and bob share a room."""
    async with front(tmp_path, "presence: {sync_online_timeout: 1h}") as running:
        for user_id in (ALICE, BOB):
            running.small.join(user_id, LOBBY)
        yield running


@pytest.fixture
async def alice(door: Front) -> Client:
    """Alice, who sees that bob is online."""
    bob = door.person("bob")
    await bob.sync()
    alice = door.person("alice")
    await alice.sync(**UNSEEN)
    assert alice.sees(BOB, "online")
    return alice


async def passes(
    door: Front, method: str, path: str, body: bytes = b"{}", token: str = "token-bob-PHONE"
) -> int:
    """Let a request of bob's pass, to which the homeserver says yes."""
    door.small.instead[path] = (200, {})
    answer = await door.server.at_once(
        door.server.http.request(method, path, body=body, token=token)
    )
    assert (method, path, body) in [(it.method, it.path, it.body) for it in door.small.asked]
    return answer.status


@pytest.mark.parametrize(
    ("method", "path", "body", "is_activity"),
    [
        ("PUT", "/send/m.room.message/1", b'{"body": "hi"}', True),
        ("PUT", "/state/m.room.topic/", b"{}", True),
        ("PUT", "/redact/$1/1", b"{}", True),
        ("PUT", f"/typing/{BOB}", b'{"typing": true, "timeout": 30000}', True),
        ("PUT", f"/typing/{BOB}", b'{"typing": false}', False),
        ("PUT", f"/typing/{BOB}", b"{}", False),
        ("PUT", f"/typing/{BOB}", b'{"typing": true' + b" " * 20_000 + b"}", False),
        ("PUT", f"/typing/{BOB}", b"\xff", False),
        ("PUT", f"/typing/{BOB}", b"[" * 10_000, False),
        ("POST", "/receipt/m.read/$1", b"{}", True),
        ("POST", "/receipt/m.fully_read/$1", b"{}", True),
        ("POST", "/receipt/m.read.private/$1", b"{}", False),
        ("POST", "/read_markers", b'{"m.read": "$1"}', True),
        ("POST", "/read_markers", b'{"m.fully_read": "$1"}', True),
        ("POST", "/read_markers", b'{"m.read.private": "$1"}', False),
        ("POST", "/read_markers", b'{"m.fully_read": "$1", "m.read.private": "$1"}', False),
        ("POST", "/read_markers", b'{"m.read": null}', False),
        ("POST", "/read_markers", b"{}", False),
        ("POST", "/read_markers", b'["m.read"]', False),
    ],
)
async def test_activity(
    door: Front, alice: Client, method: str, path: str, body: bytes, is_activity: bool
) -> None:
    """Whoever sends, types or reads in public is online again; a body passes as it came."""
    await door.server.advance(minutes=6)
    await alice.sync(**UNSEEN)
    assert alice.sees(BOB, "unavailable")
    assert await passes(door, method, ROOM + path, body) == 200
    await alice.sync(**UNSEEN)
    assert alice.sees(BOB, "online" if is_activity else "unavailable")


@pytest.mark.parametrize("device", ["PHONE", "NEW"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/kick", b'{"user_id": "@alice:demo"}'),
        ("POST", "/ban", b'{"user_id": "@alice:demo", "reason": "no"}'),
        ("PUT", "/ban/t1", b'{"user_id": "@alice:demo"}'),
        ("PUT", f"/state/m.room.member/{ALICE}", b'{"membership": "ban"}'),
        ("PUT", f"/state/m.room.member/{quote(ALICE)}", b'{"membership": "leave"}'),
        ("POST", "/leave", b"{}"),
        ("POST", "/forget", b"{}"),
    ],
)
async def test_an_end_while_the_homeserver_does_not_say_who_is_there(
    door: Front, alice: Client, device: str, method: str, path: str, body: bytes
) -> None:
    """A yes to a leave, a kick, a ban or a forget ends visibility at once, by any device."""
    token = door.small.log_in("bob", device)
    door.small.instead[f"{ROOM}/joined_members"] = (500, {})
    assert await passes(door, method, ROOM + path, body, token) == 200
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await door.server.at_once(alice.status_of(BOB))
    assert (await alice.sync(**UNSEEN)).presence == {BOB: {"presence": "offline"}}


async def test_the_truth_is_asked_afterwards(door: Front, alice: Client) -> None:
    """If the homeserver says that the user is there all the same, the user is visible again."""
    await passes(door, "POST", f"{ROOM}/kick", b'{"user_id": "@alice:demo"}')
    await door.server.settled()
    assert (await alice.status_of(BOB))["presence"] == "online"


@pytest.mark.parametrize(
    "body", [b"", b'{"user_id": 7}', b'{"user_id": "@alice:demo"' + b" " * 20_000]
)
async def test_a_kick_of_nobody_knows_whom(door: Front, alice: Client, body: bytes) -> None:
    """If the body is not understood, the room is asked for before the answer is at the client."""
    door.small.leave(ALICE, LOBBY)
    await passes(door, "POST", f"{ROOM}/kick", body)
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(BOB)


async def test_a_join_waits_for_the_truth(door: Front, alice: Client) -> None:
    """A yes to a join alone makes nobody visible."""
    carol = door.person("carol")
    await carol.sync()
    members = f"{ROOM}/joined_members"
    door.small.instead[members] = (500, {})
    await door.server.in_time(carol.join(LOBBY))
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await carol.status_of(BOB)
    del door.small.instead[members]
    await door.server.advance(minutes=1)
    assert (await carol.status_of(BOB))["presence"] == "online"
    assert alice.sees(BOB)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/logout/all", b""),
        ("POST", "/account/deactivate", b'{"erase": true}'),
        ("DELETE", "/devices/PHONE", b"{}"),
        ("POST", "/delete_devices", b'{"devices": ["OTHER", "PHONE", 7]}'),
        ("POST", "/account/password", b'{"new_password": "x"}'),
    ],
)
async def test_an_end_of_devices_by_one_that_was_not_seen_since_the_start(
    door: Front, alice: Client, method: str, path: str, body: bytes
) -> None:
    """The other device of the user is offline at once, and its poll is refused."""
    token = door.small.log_in("bob", "LAPTOP")
    bob = door.person("bob")
    await bob.sync()
    poll = await bob.polls()
    await passes(door, method, V3 + path, body, token)
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await door.server.at_once(poll.answer())
    await alice.sync(**UNSEEN)
    assert not alice.sees(BOB)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/account/password", b'{"logout_devices": false}'),
        ("/account/password", b"?"),
        ("/delete_devices", b'{"devices": "PHONE"}'),
        ("/delete_devices", b'{"devices": ["LAPTOP"]}'),
    ],
)
async def test_devices_that_stay(door: Front, alice: Client, path: str, body: bytes) -> None:
    """Devices of which the request does not say that they end go on."""
    token = door.small.log_in("bob", "LAPTOP")
    bob = door.person("bob")
    while (await bob.sync()).presence:
        pass
    poll = await bob.polls()
    await passes(door, "POST", V3 + path, body, token)
    assert not poll.answered
    await alice.sync(**UNSEEN)
    assert alice.sees(BOB, "online")


async def test_a_homeserver_that_does_not_say_who_logs_out(door: Front, alice: Client) -> None:
    """A request waits two seconds until its sender is known, and then passes all the same."""
    token = door.small.log_in("bob", "LAPTOP")
    whoami = f"{V3}/account/whoami"
    door.small.instead[whoami] = (500, {})
    assert await passes(door, "POST", f"{V3}/logout/all", b"{}", token) == 200
    assert alice.sees(BOB)
