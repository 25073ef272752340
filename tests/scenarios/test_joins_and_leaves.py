"""Users become visible to each other by a join, and stop being visible by a leave."""

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
    """After a join both sides get the other's presence in their next sync, however old it is."""
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
    """A join answers the waiting polls of the members at once."""
    room = await server.room(alice)
    await bob.set_status("unavailable")
    await alice.sync()
    poll = await alice.polls(filter='{"room": {"rooms": []}}')
    await bob.join(room)
    assert set((await poll.answer()).presence) == {bob.user_id}


async def test_join_after_a_long_absence(
    server: InMemoryServer, alice: Client, bob: Client
) -> None:
    """A join makes members visible whose last change is older than the joiner's token."""
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
    """Sharing one more room with a user who is visible already delivers nothing again."""
    await bob.set_status("online")
    await alice.sync()
    await server.room(alice, bob)
    assert (await alice.sync()).presence == {}


async def test_leave_one_of_two_rooms(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A user who leaves one of two shared rooms stays visible."""
    await server.room(alice, bob)
    await alice.sync()
    await bob.leave(room)
    await bob.set_status("unavailable")
    assert (await alice.sync()).presence[bob.user_id]["presence"] == "unavailable"


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
    """Rejecting an invite changes nobody's visibility."""
    room = await alice.create_room(bob)
    await alice.sync()
    await bob.leave(room)
    await bob.set_status("online")
    assert bob.user_id not in (await alice.sync()).presence


class PushesLate:
    """A module that sends every change to alice, and does not answer while the gate is closed."""

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
    """A leave does not take back an update that a module has also sent, even if it sent it late."""
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
