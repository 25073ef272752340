"""Who shares a room, as another homeserver says: asked for, and hinted at."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lamplighter.database.known_members import KnownMembers
from lamplighter.database.memory import open_memory
from lamplighter.database.migrate import migrate
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.findings import Findings
from lamplighter.homeserver.upstream.members_saving import KEPT, MembersSaving
from lamplighter.homeserver.upstream.rooms import UpstreamRooms
from lamplighter.homeserver.upstream.service import AppService
from lamplighter.ids import ServerName, UserId
from lamplighter.service.background import Background
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.homeserver.upstream.front import LOBBY, Front, front
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import AS_TOKEN, SmallHomeserver
from tests.service.counting import counted_calls

ALICE, BOB = "@alice:demo", "@bob:demo"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Front]:
    """A server in front of a homeserver, where nobody shares a room."""
    async with front(tmp_path) as running:
        yield running


async def together(door: Front) -> tuple[Client, Client]:
    """Return alice and bob, who share a room and have synced; bob is online."""
    for user_id in (ALICE, BOB):
        door.small.join(user_id, LOBBY)
    alice, bob = door.person("alice"), door.person("bob")
    for client in (bob, alice):
        await client.sync()
    await bob.set_status("online", "brb")
    for client in (bob, alice):
        while (await client.sync()).presence:
            pass
    return alice, bob


async def test_the_first_answer(door: Front) -> None:
    """The rooms of a user are asked for before the user's first request is answered."""
    for user_id in (ALICE, BOB):
        door.small.join(user_id, LOBBY)
    bob = door.person("bob")
    await bob.set_status("online", "brb")
    alice = door.person("alice")
    assert (await alice.status_of(BOB))["status_msg"] == "brb"
    await alice.sync()
    assert alice.reads(BOB) == "brb"


async def test_a_large_room_of_strangers(door: Front) -> None:
    """Members who are neither connected nor known cost no delivery; who is known is seen."""
    door.small.members[LOBBY] = [ALICE, BOB, *(f"@{number}:demo" for number in range(2_000))]
    bob = door.person("bob")
    await bob.set_status("online", "brb")
    alice = door.person("alice")
    with counted_calls() as calls:
        await alice.sync()
    assert alice.reads(BOB) == "brb"
    assert calls() < 100 * 2_000


async def test_an_old_join_gives_no_visibility(door: Front) -> None:
    """The first transactions hold the past: who has left since sees nobody."""
    alice, bob = await together(door)
    door.small.join("@carol:demo", LOBBY)
    door.small.leave("@carol:demo", LOBBY)
    carol = door.person("carol")
    await carol.sync()
    assert await door.told() == 200
    await bob.set_status("online", "back")
    await carol.sync()
    assert not carol.sees(BOB)
    assert alice.access_token


async def test_a_join_past_us(door: Front) -> None:
    """A join that a transaction tells of makes both visible to each other."""
    alice, bob = door.person("alice"), door.person("bob")
    door.small.join(ALICE, LOBBY)
    for client in (alice, bob):
        await client.sync()
    await bob.set_status("online", "brb")
    poll = await alice.polls()
    door.small.join(BOB, LOBBY)
    await poll.answer()
    poll = await alice.polls()
    assert await door.told() == 200
    if not alice.sees(BOB):
        await poll.answer()
    assert alice.reads(BOB) == "brb"


async def test_a_leave_that_passes_through(door: Front) -> None:
    """Once the answer is at the client, visibility has ended."""
    alice, bob = await together(door)
    await alice.call("POST", f"/rooms/{LOBBY}/leave", {})
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(BOB)
    await bob.set_status("online", "secret")
    await alice.sync()
    assert not alice.sees(BOB)


async def test_an_answer_that_is_older_than_a_leave(door: Front) -> None:
    """What the homeserver said of a room before a leave does not bring visibility back."""
    alice, bob = await together(door)
    path = f"/_matrix/client/v3/rooms/{quote(LOBBY)}/joined_members"
    door.small.held[path] = asyncio.Event()
    assert await door.told() == 200  # the homeserver is asked, and its answer is under way
    await alice.call("POST", f"/rooms/{LOBBY}/leave", {})
    door.small.held.pop(path).set()
    await door.server.settled()
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(BOB)
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await bob.status_of(ALICE)


async def test_a_kick_that_passes_through(door: Front) -> None:
    """The room is asked for again before the answer is at the client."""
    alice, bob = await together(door)
    await bob.call("POST", f"/rooms/{LOBBY}/kick", {"user_id": ALICE})
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(BOB)


async def test_a_leave_in_the_own_sync(door: Front) -> None:
    """An answer that says that its user has left a room ends visibility without a transaction."""
    alice, bob = await together(door)
    door.small.leave(ALICE, LOBBY)
    await alice.sync()
    await bob.set_status("online", "secret")
    await alice.sync()
    assert not alice.sees(BOB)


async def test_a_log_out_that_passes_through(door: Front) -> None:
    """The device is offline at once, and its token is asked for anew."""
    alice, bob = await together(door)
    poll = await alice.polls()
    await bob.call("POST", "/logout", {})
    await poll.answer()
    assert not alice.sees(BOB)
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await bob.sync()


async def test_whoever_sends_is_active(tmp_path: Path) -> None:
    """A message that passes through makes an idle user online again; a private receipt does not."""
    async with front(tmp_path, "presence: {sync_online_timeout: 1h}") as door:
        alice, bob = await together(door)
        await door.server.advance(minutes=6)
        await alice.sync()
        assert alice.sees(BOB, "unavailable")
        await bob.call("POST", f"/rooms/{LOBBY}/receipt/m.read.private/$1", {})
        await alice.sync()
        assert alice.sees(BOB, "unavailable")
        await bob.call("PUT", f"/rooms/{LOBBY}/send/m.room.message/1", {"body": "hi"})
        await alice.sync()
        assert alice.sees(BOB, "online")


async def test_only_the_homeserver_sends_transactions(door: Front) -> None:
    """Another token is refused, and nothing of it is believed."""
    assert await door.told(token="guessed") == 403
    answer = await door.server.http.request(
        "GET", "/_matrix/app/v1/users/@x:demo", token="hs-secret"
    )
    assert (answer.status, answer.json["errcode"]) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    ["/_lamplighter/admin/v1/users", "/_lamplighter/admn", "/_lamplighter/%61dmin/v1/server",
     "/_matrix/app/v1/thirdparty/user", "/_matrix/app/v1/transactions/1", "/_matrix/%61pp/v1/ping"],
)  # fmt: skip
async def test_what_is_never_passed_on(door: Front, path: str) -> None:
    """Operators' paths, and those of application services, do not reach the homeserver."""
    door.small.asked.clear()
    answer = await door.server.http.request("GET", path, token="admin-token")
    assert answer.status in (403, 404, 405)
    assert door.small.asked == []


async def test_a_since_token_in_another_request(door: Front) -> None:
    """The homeserver gets its own part of the token; Element asks for members in this way."""
    alice, _ = await together(door)
    query = {"at": str(alice.next_batch), "not_membership": "leave"}
    await alice.request("GET", f"/rooms/{LOBBY}/members", query=query)
    asked = door.small.asked[-1]
    assert asked.path.endswith("/members")
    assert asked.query == {"at": "s2~2.2", "not_membership": "leave"}


async def test_everything_else_passes(door: Front) -> None:
    """A request that is not of presence is the homeserver's, with its headers and its errors."""
    alice = door.person("alice")
    answer = await alice.request("GET", "/profile/@alice:demo")
    assert (answer.json, answer.headers["x-homeserver"]) == ({"displayname": "alice"}, "small")
    answer = await alice.request("GET", "/nothing/here")
    assert (answer.status, answer.headers["x-homeserver"]) == (404, "small")
    assert "access-control-allow-origin" not in answer.headers


def asked_for_rooms(door: Front) -> int:
    """Return how often the homeserver was asked which rooms somebody is in."""
    return sum(it.path == "/_matrix/client/v3/joined_rooms" for it in door.small.asked)


async def test_many_moves(door: Front) -> None:
    """Moves that pass while the homeserver is asked for a user's rooms cause one question more; the
    answers that are older than a move do not count.
    """
    alice, bob = door.person("alice"), door.person("bob")
    for client in (alice, bob):
        await client.sync()
    await bob.set_status("online", "brb")
    door.small.join(BOB, LOBBY)
    path = "/_matrix/client/v3/joined_rooms"
    held = door.small.held[path] = asyncio.Event()
    before = asked_for_rooms(door)
    for _ in range(5):
        await door.server.in_time(alice.call("POST", "/join/!nowhere:demo", {}))
    door.small.join(ALICE, LOBBY)
    joining = asyncio.ensure_future(alice.call("POST", f"/join/{quote(LOBBY)}", {}))
    await door.server.settled()
    assert asked_for_rooms(door) - before == 1
    held.set()
    await joining
    assert asked_for_rooms(door) - before == 2
    assert (await alice.status_of(BOB))["status_msg"] == "brb"


async def test_a_move_while_a_room_is_not_known(door: Front) -> None:
    """A move counts although the homeserver does not say who is in another room of the user."""
    door.small.join(ALICE, "!broken:demo")
    broken = f"/_matrix/client/v3/rooms/{quote('!broken:demo', safe='')}/joined_members"
    door.small.instead[broken] = (500, {})
    door.small.join(BOB, LOBBY)
    alice, bob = door.person("alice"), door.person("bob")
    await bob.sync()
    await bob.set_status("online", "brb")
    await door.server.in_time(alice.sync())
    await door.server.in_time(alice.call("POST", f"/join/{quote(LOBBY)}", {}))
    assert (await alice.status_of(BOB))["status_msg"] == "brb"


async def test_users_who_were_displaced(clock: FakeClock) -> None:
    """Only of so many users it is remembered that their rooms were asked for."""
    small = SmallHomeserver(clock)
    behind = HttpServer(small, clock, MATRIX)
    client = UpstreamClient(Pipe(behind), b"hs", clock)
    database, background = open_memory(), Background(clock)
    await migrate(database)
    service = AppService(client, AS_TOKEN, ServerName("demo"), lambda: None)
    saving = MembersSaving(KnownMembers(database, KEPT), clock, background)
    findings = Findings(saving, clock, background)
    rooms = UpstreamRooms(service, saving, findings, clock, background, most_users=2)
    names = [UserId(f"@{name}:demo") for name in "abcca"]
    for name in names:
        await rooms.appeared(name)
    assert [it.query["user_id"] for it in small.asked] == [names[it] for it in (0, 1, 2, 4)]
    await client.close()
    await database.close()
    behind.abort()
