"""Coming into sight and going out of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.presence.state import UserPresenceState

#: What is told of somebody whom one may not see any more.
THE_END = {"presence": "offline"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server can be restarted."""
    return tmp_path / "data"


async def test_both_sides_of_a_join(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """After a join both sides get the other's presence with their next sync, however old it is."""
    room = await server.room(alice)
    await alice.set_status("offline", "alice")
    await bob.set_status("offline", "bob")
    await server.advance(hours=2)
    await alice.sync(set_presence="offline")
    await bob.sync(set_presence="offline")
    await bob.join(room)
    seen_by_alice = (await alice.sync(set_presence="offline")).presence
    seen_by_bob = (await bob.sync(set_presence="offline")).presence
    assert seen_by_alice == {bob.user_id: await alice.status_of(bob)}
    assert seen_by_bob == {alice.user_id: await bob.status_of(alice)}


async def test_join_wakes_polls(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """Whoever waits for news is told at once of somebody who joins."""
    room = await server.room(alice)
    await bob.set_status("unavailable")
    await alice.sync()
    poll = await alice.polls(filter='{"room": {"rooms": []}}')
    await bob.join(room)
    assert set((await poll.answer()).presence) == {bob.user_id}


async def test_join_after_a_long_absence(
    server: InMemoryServer, alice: Client, bob: Client
) -> None:
    """A join gives sight of people whose last change is older than the joiner's token."""
    room = await server.room(alice)
    await alice.set_status("offline", "long ago")
    await bob.sync(set_presence="offline")
    await server.advance(hours=1)
    await bob.join(room)
    await server.advance(hours=1)
    assert set((await bob.sync(set_presence="offline")).presence) == {alice.user_id}


async def test_restart_after_a_join(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A join between the token and a restart still shows both sides to each other."""
    room = await server.room(alice)
    await alice.set_status("offline", "alice")
    await bob.set_status("offline", "bob")
    await server.advance(seconds=1)
    await alice.sync(set_presence="offline")
    await bob.sync(set_presence="offline")
    await bob.join(room)
    await server.restart(alice, bob)
    assert set((await alice.sync(set_presence="offline")).presence) == {bob.user_id}
    assert set((await bob.sync(set_presence="offline")).presence) == {alice.user_id}


async def test_second_shared_room_is_no_news(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """To share one more room with somebody already in sight tells nothing again."""
    await bob.set_status("online")
    await alice.sync()
    await server.room(alice, bob)
    assert (await alice.sync()).presence == {}


async def test_leave_ends_sight(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """After the leave from the last shared room each is told that the other is offline, nothing
    more, and may not ask.
    """
    await alice.sync()
    await bob.sync()
    await bob.leave(room)
    await alice.set_status("unavailable")
    await bob.set_status("unavailable")
    assert (await alice.sync()).presence.pop(bob.user_id) == THE_END
    assert (await bob.sync()).presence.pop(alice.user_id) == THE_END
    for asking, other in ((alice, bob), (bob, alice)):
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await asking.status_of(other)


@pytest.mark.parametrize("way", ["kick", "ban"])
async def test_kick_and_ban(
    server: InMemoryServer, alice: Client, bob: Client, room: str, way: str
) -> None:
    """Who is kicked or banned is out of sight as after a leave."""
    await alice.sync()
    await alice.call("POST", f"/rooms/{room}/{way}", {"user_id": bob.user_id})
    await bob.set_status("unavailable")
    assert (await alice.sync()).presence.get(bob.user_id, THE_END) == THE_END


async def test_untold_news_of_who_has_left(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """What has not been told yet when somebody leaves is not told any more."""
    await alice.sync()
    await bob.set_status("online", "not for long")
    await bob.leave(room)
    assert (await alice.sync()).presence[bob.user_id] == THE_END


async def test_leave_one_of_two_rooms(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Who leaves one of two shared rooms stays in sight."""
    await server.room(alice, bob)
    await alice.sync()
    await bob.leave(room)
    await bob.set_status("unavailable")
    assert (await alice.sync()).presence[bob.user_id]["presence"] == "unavailable"


async def test_rejoin(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """Who comes back into sight is told of with their presence as it is now."""
    await alice.sync()
    await bob.leave(room)
    await bob.set_status("offline", "while away")
    await alice.sync()
    await bob.join(room)
    assert (await alice.sync()).presence[bob.user_id]["status_msg"] == "while away"


async def test_invites_reveal_nothing(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """An invite shows neither side the other: not on push, not on sync, not on GET."""
    await alice.sync()
    await bob.sync()
    room = await alice.create_room(bob)
    await alice.set_status("online", "secret of alice")
    await bob.set_status("online", "secret of bob")
    for asking, other in ((alice, bob), (bob, alice)):
        assert other.user_id not in (await asking.sync()).presence
        assert other.user_id not in (await asking.first_sync()).presence
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await asking.status_of(other)
    await bob.join(room)
    assert (await bob.sync()).presence[alice.user_id]["status_msg"] == "secret of alice"


async def test_rejected_invite(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """To reject an invite changes nothing of what either sees."""
    room = await alice.create_room(bob)
    await alice.sync()
    await bob.leave(room)
    await bob.set_status("online")
    assert bob.user_id not in (await alice.sync()).presence


class PushesLate:
    """A module that shows everybody's changes to alice, and thinks while the gate is closed."""

    def __init__(self, config: Any, api: Any) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, states: list[UserPresenceState]) -> dict[str, Any]:
        await self.gate.wait()
        return {"@alice:demo": set(states)}

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set()


async def test_a_module_that_says_the_same_later() -> None:
    """What a room has told and a module repeats, late, is not taken back by a leave."""
    async with running_server([PushesLate]) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await server.room(alice, bob)
        await alice.sync(set_presence="offline")
        gate = server.module(PushesLate).gate
        gate.clear()
        await bob.set_status("online", "brb")
        gate.set()
        await server.settled()
        await bob.leave(room)
        heard = (await alice.sync(set_presence="offline")).presence
    assert heard[bob.user_id]["status_msg"] == "brb"
