"""What hostile clients, and a homeserver that answers nonsense, cannot do."""

import asyncio
from urllib.parse import quote

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from tests.homeserver.upstream.front import LOBBY, Front
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SLIDING_SYNC

ALICE, BOB = "@alice:demo", "@bob:demo"
V3 = "/_matrix/client/v3"
STATUS = f"{V3}/presence/{BOB}/status"
SYNC, WHOAMI = f"{V3}/sync", f"{V3}/account/whoami"
ONLINE = b'{"presence": "online"}'


@pytest.fixture
async def bob(door: Front) -> Client:
    """Bob, who is online."""
    bob = door.person("bob")
    await bob.sync()
    await bob.set_status("online", "brb")
    return bob


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize("root", [V3, "/_matrix/client/api/v1"])
@pytest.mark.parametrize(
    ("method", "token", "end"),
    [("POST", "mod", "kick"), ("POST", "alice", "leave"), ("PUT", "alice", "leave/t1")],
)
async def test_an_end_by_an_unknown_device(
    door: Front, method: str, token: str, end: str, root: str
) -> None:
    """A device that was never seen here leaves or kicks, by each path that Synapse has for that."""
    alice = door.person("alice")
    assert (await alice.status_of(BOB))["presence"] == "online"
    path = f"{root}/rooms/{quote(LOBBY, safe='')}/{end}"
    door.small.leave(ALICE, LOBBY)
    door.small.instead[path] = (200, {})
    token = door.small.log_in(token, "OTHER")
    answer = await door.server.http.request(method, path, token=token, json={"user_id": ALICE})
    assert answer.status == 200
    with pytest.raises(RequestFailed):
        await alice.status_of(BOB)


async def test_a_kick_by_an_encoded_path(door: Front, bob: Client) -> None:
    """The type of a state event counts, however it is encoded."""
    alice = door.person("alice")
    assert (await alice.status_of(BOB))["presence"] == "online"
    door.small.leave(ALICE, LOBBY)
    await door.server.http.send(
        "PUT",
        f"{V3}/rooms/{quote(LOBBY, safe='')}/state/m%2eroom.%6Dember/{ALICE}",
        {"host": "demo", "authorization": f"Bearer {bob.access_token}", "content-length": "2"},
        b"{}",
    ).response()
    with pytest.raises(RequestFailed):
        await alice.status_of(BOB)


async def test_a_room_with_a_percent_sign(door: Front) -> None:
    """The room ID in a path is decoded once: a leave is one of the room that it names."""
    room_id = "!x%41:demo"
    for user_id in (ALICE, BOB):
        door.small.join(user_id, room_id)
        door.small.leave(user_id, LOBBY)
    bob, alice = door.person("bob"), door.person("alice")
    await bob.sync()
    await bob.set_status("online", "brb")
    assert (await alice.status_of(BOB))["presence"] == "online"
    await alice.leave(room_id)
    with pytest.raises(RequestFailed):
        await alice.status_of(BOB)


@pytest.mark.usefixtures("bob")
async def test_a_log_out_while_the_homeserver_is_asked(door: Front) -> None:
    """An answer to whose the token is that is older than the log-out is not believed."""
    alice = door.person("alice")
    held = door.small.held[WHOAMI] = asyncio.Event()
    pending = door.server.http.begin("GET", STATUS, token=alice.access_token)
    await door.server.settled()
    await door.server.in_time(alice.log_out())
    held.set()
    assert (await pending.response()).status == 401


@pytest.mark.parametrize("name", ["user_id", "user%5Fid", "%75ser_id"])
async def test_an_encoded_masquerade(door: Front, name: str) -> None:
    """A service is the user whom it names, however it writes the name of the parameter."""
    bob = door.small.log_in("bob")
    headers = {"host": "demo", "content-length": str(len(ONLINE))}
    headers["authorization"] = f"Bearer {AS_TOKEN}"
    target = f"{STATUS}?{name}={BOB}"
    answer = await door.server.http.send("PUT", target, headers, ONLINE).response()
    assert answer.status == 200
    door.small.filters["7"] = {}
    del headers["content-length"]
    target = f"{SYNC}?{name}={BOB}&filter=7"
    answer = await door.server.http.send("GET", target, headers).response()
    asked = [it.query for it in door.small.asked if "/filter/" in it.path]
    assert (answer.status, asked, bool(bob)) == (200, [{"user_id": BOB}], True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", SYNC), ("GET", STATUS), ("PUT", STATUS), ("POST", SLIDING_SYNC[0])],
)
@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ("access_token={bob}", "M_MISSING_TOKEN"),
        ("a=1;access_token={bob}", "M_MISSING_TOKEN"),
        ("a=1;user_id=@bob:demo", "M_INVALID_PARAM"),
        ("a=1;set_presence=online&filter={{}}", "M_INVALID_PARAM"),
    ],
)
async def test_a_query_that_two_servers_read_differently(
    door: Front, bob: Client, method: str, path: str, query: str, errcode: str
) -> None:
    """What is answered here has one access token, and parameters in which all servers agree."""
    alice = door.person("alice")
    await alice.sync()
    before = len(door.small.asked)
    headers = {"host": "demo", "authorization": f"Bearer {alice.access_token}"}
    body = b"" if method == "GET" else ONLINE
    if body:
        headers["content-length"] = str(len(body))
    target = f"{path}?{query.format(bob=bob.access_token)}"
    answer = await door.server.http.send(method, target, headers, body).response()
    assert answer.json["errcode"] == errcode
    assert len(door.small.asked) == before


@pytest.mark.usefixtures("bob")
async def test_a_log_out_of_whom_is_not_clear(door: Front) -> None:
    """A request that passes on with such a query says nothing about its sender's device."""
    alice = door.person("alice")
    await alice.sync()
    door.small.instead[f"{V3}/logout"] = (200, {})
    target = f"{V3}/logout?a=1;access_token=x&access_token={alice.access_token}"
    answer = await door.server.http.send("POST", target, {"host": "demo"}).response()
    assert answer.status == 200
    assert (await alice.status_of(ALICE))["presence"] == "online"


async def test_two_users_in_one_request(door: Front, bob: Client) -> None:
    """No header takes away the token from a request that goes on with another one in its query."""
    alice = door.person("alice")
    await door.server.http.request(
        "GET",
        f"{V3}/joined_rooms",
        token=alice.access_token,
        headers={"connection": "authorization"},
        query={"access_token": bob.access_token},
    )
    assert door.small.asked[-1].headers["authorization"] == f"Bearer {alice.access_token}"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"user_id": "\xff"}',
        b'{"\xff": 1}',
        b'{"user_id": "@alice:other"}',
        b'{"user_id": "@alice"}',
        b'{"user_id": "@alice:demo\\u0000"}',
    ],
)
async def test_nonsense_about_the_user(door: Front, body: bytes) -> None:
    """Only a user of the homeserver can be the sender of a request."""
    alice = door.person("alice")
    door.small.instead[WHOAMI] = (200, body)
    for user_id in (ALICE, "@alice:other"):
        path = f"{V3}/presence/{user_id}/status"
        token = alice.access_token
        answer = await door.server.http.request("PUT", path, token=token, body=ONLINE)
        assert answer.status == 502


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 502),
        (b'{"next_batch": "\xff"}', 502),
        (b'{"next_batch": "s1", "\xff": 1}', 502),
        (b'{"next_batch": "s1", "x": "\xff"}', 200),
        (b'{"next_batch": "s1", "rooms": {"join": {"\xff": {"timeline": {"events": []}}}}}', 200),
        (b'{"next_batch": "s1", "rooms": {"join": {"!a:b": {"\xff": "m.room.member"}}}}', 200),
    ],
)
async def test_nonsense_in_a_sync(door: Front, body: bytes, status: int) -> None:
    """What cannot be read is passed on where it is the client's alone."""
    alice = door.person("alice")
    door.small.instead[SYNC] = (200, body)
    answer = await door.server.http.request("GET", SYNC, token=alice.access_token)
    assert answer.status == status


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"events": [{"type": "\xff"}]}'])
async def test_nonsense_in_a_transaction(door: Front, body: bytes) -> None:
    """Each transaction is answered with 200: after another answer none comes for minutes."""
    path = "/_matrix/app/v1/transactions/1"
    answer = await door.server.http.request("PUT", path, body=body, token=HS_TOKEN)
    assert answer.status == 200


@pytest.mark.usefixtures("bob")
async def test_a_homeserver_that_does_not_wait(door: Front) -> None:
    """A poll asks at most twice a homeserver that answers at once, with nothing."""
    alice = door.person("alice")
    while (await alice.sync()).presence:
        pass
    counts = {"signed_curve25519": 50}
    empty = {"device_one_time_keys_count": counts, "device_unused_fallback_key_types": []}
    door.small.instead[SYNC] = (200, {"next_batch": "s9", **empty})
    door.small.asked.clear()
    answer = await alice.begin_poll().answer()
    assert len(door.small.asked) == 2
    assert answer.next_batch.startswith("s9~")


async def test_a_parameter_that_is_there_twice(door: Front, bob: Client) -> None:
    """The first counts, as at the homeserver: both have the same filter in mind."""
    alice = door.person("alice")
    await bob.set_status("online", "brb")
    nobody, everybody = quote('{"presence": {"types": []}}'), quote("{}")
    headers = {"host": "demo", "authorization": f"Bearer {alice.access_token}"}
    for first, second, told in ((nobody, everybody, False), (everybody, nobody, True)):
        target = f"{SYNC}?filter={first}&filter={second}"
        answer = await door.server.http.send("GET", target, headers).response()
        assert ("presence" in answer.json) is told
