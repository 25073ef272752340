"""A whole server around a homeserver that is not the built-in one."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from lamplighter.config import parse_config_text
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer, module_entry
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import Requester
from lamplighter.presence.state import UserPresenceState
from tests.contract.fake_homeserver import FakeHomeserver

PHONE = DeviceId("PHONE")
LOBBY = RoomId("!lobby:demo")
ALICE, BOB = UserId("@alice:demo"), UserId("@bob:demo")


class Curious:
    """A module that asks for people."""

    def __init__(self, config: Any, api: Any) -> None:
        self.api = api
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(
        self, states: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        return {}

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set()


@dataclass
class Around:
    """A server around a fake, with alice and bob, who share a room."""

    fake: FakeHomeserver
    server: InMemoryServer
    alice: Client
    bob: Client


@pytest.fixture
async def around() -> AsyncIterator[Around]:
    """The server, running."""
    fake = FakeHomeserver()
    tokens = {it: fake.log_in(it, PHONE) for it in (ALICE, BOB)}
    for user_id in tokens:
        fake.join(user_id, LOBBY, "Lobby")
    config = parse_config_text("server_name: demo\nrate_limits: off\n", Path("fake.yaml"))
    server = InMemoryServer(config, [module_entry(Curious, 0)], None, homeserver=fake)
    await server.start()
    clients = [Client(server.http, it, PHONE, token) for it, token in tokens.items()]
    yield Around(fake, server, *clients)
    await server.stop()
    assert fake.writes_refused


async def test_presence_of_those_who_share_a_room(around: Around) -> None:
    """Alice sees bob come online, though rooms and accounts are another homeserver's."""
    await around.alice.sync()
    await around.bob.sync()
    await around.bob.set_status("online", "brb")
    await around.alice.sync()
    assert around.alice.reads(BOB) == "brb"
    assert (await around.alice.status_of(BOB))["status_msg"] == "brb"


async def test_what_the_homeserver_says_comes_as_it_is(around: Around) -> None:
    """Keys of the rooms half that are unknown here reach the client beside presence."""
    beside = {"to_device": {"events": [{"type": "m.x"}]}, "device_one_time_keys_count": {"a": 9}}
    around.fake.beside[ALICE] = beside
    await around.bob.set_status("online")
    first = await around.alice.sync()
    assert {key: first.content[key] for key in beside} == beside
    assert list(first.joined) == [LOBBY]
    assert BOB in first.presence
    assert set(first.content) == {"next_batch", "presence", "rooms", *beside}


async def test_a_poll_waits_at_the_homeserver(around: Around) -> None:
    """The waiting is the homeserver's own: a message ends it, and presence ends it without one;
    then the request there is cancelled, and the rooms part of the token stays as it was.
    """
    await around.bob.sync()
    before = (await around.alice.sync()).next_batch
    before = (await around.alice.sync()).next_batch  # alice has heard of herself
    poll = await around.alice.polls()
    assert [it.requester for it in around.fake.waiting] == [Requester(ALICE, PHONE)]
    await around.bob.set_status("online", "brb")
    answer = await poll.answer()
    assert set(answer.content) == {"next_batch", "presence"}
    assert answer.next_batch.rpartition("~")[0] == before.rpartition("~")[0]
    assert around.fake.waiting == []
    poll = await around.alice.polls()
    around.fake.say(LOBBY, "hello")
    answer = await poll.answer()
    assert set(answer.content) == {"next_batch", "rooms"}
    assert answer.next_batch.rpartition("~")[0] != before.rpartition("~")[0]


async def test_the_time_is_over(around: Around) -> None:
    """A poll without news is answered with the client's own token."""
    for _ in range(2):
        await around.alice.sync()
    before = around.alice.next_batch
    poll = await around.alice.polls(timeout=1_000)
    await around.server.advance(seconds=1)
    assert (await poll.answer()).content == {"next_batch": before}
    assert around.fake.waiting == []


async def test_a_request_is_passed_on_as_it_was_sent(around: Around) -> None:
    """The homeserver is asked with the client's own query and headers; a filter keeps its ID."""
    around.fake.filters[ALICE, "7"] = {"presence": {"not_senders": [BOB]}}
    await around.alice.sync(filter="7")
    await around.bob.set_status("online", "brb")
    asked = {"filter": "7", "since": around.alice.next_batch or "", "unknown": "x"}
    around.alice.learn(await around.alice.request("GET", "/sync", query=asked))
    assert not around.alice.sees(BOB)
    requester, request, head = around.fake.asked[-1]
    assert requester == Requester(ALICE, PHONE)
    assert (request.filter, request.since) == ("7", "fake2")
    assert parse_qs(request.query) == {name: [value] for name, value in asked.items()}
    assert (b"authorization", f"Bearer {around.alice.access_token}".encode()) in head.headers


async def test_a_log_out_ends_the_poll(around: Around) -> None:
    """A device that is logged out at the homeserver is refused in the middle of its poll."""
    await around.alice.sync()
    poll = await around.alice.polls()
    around.fake.log_out(Requester(ALICE, PHONE))
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await poll.answer()
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await around.alice.sync()


async def test_a_leave_ends_what_is_seen(around: Around) -> None:
    """A leave at the homeserver ends visibility."""
    await around.bob.set_status("online")
    await around.alice.sync()
    assert around.alice.sees(BOB)
    around.fake.leave(BOB, LOBBY)
    await around.server.settled()
    await around.alice.sync()
    assert not around.alice.sees(BOB)


async def test_modules_and_operators_look_up(around: Around) -> None:
    """Modules and explanations look up accounts and rooms at the homeserver."""
    api = around.server.api
    assert await api.check_user_exists(ALICE) == ALICE
    assert await api.check_user_exists("@nobody:demo") is None
    explanation = await around.server.lamplighter.admin.explanations.explain(ALICE, BOB)
    assert explanation.room_names == {LOBBY: "Lobby"}


async def test_endpoints_of_the_built_in_homeserver(around: Around) -> None:
    """Endpoints of the built-in homeserver are not served."""
    for method, path in (("POST", "/login"), ("POST", "/createRoom"), ("GET", "/joined_rooms")):
        answer = await around.alice.request(method, path, {})
        assert (answer.status, answer.json["errcode"]) == (404, "M_UNRECOGNIZED")
    with pytest.raises(LookupError):
        _ = around.server.lamplighter.directory
