"""Rooms that the operator excludes from routing, and servers where rooms do not count at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer, running_server


@pytest.fixture
async def excluded(tmp_path: Path) -> AsyncIterator[tuple[InMemoryServer, str]]:
    """A server that excludes a room, which is there already, and the room's ID."""
    data_dir = tmp_path / "data"
    async with running_server(data_dir=data_dir) as before:
        room = await before.room(await before.register("host"))
    config = f"routing: {{exclude_rooms: ['{room}']}}"
    async with running_server(config=config, data_dir=data_dir) as server:
        yield server, room


async def test_excluded_room(excluded: tuple[InMemoryServer, str]) -> None:
    """An excluded room makes nobody visible: not by joining it, on push, on sync, or on GET."""
    server, room = excluded
    alice, bob = await server.register("alice"), await server.register("bob")
    await alice.join(room)
    await alice.sync()
    await bob.set_status("unavailable")
    await bob.join(room)
    assert list((await alice.sync()).joined) == [room]
    await bob.set_status("online", "seen by nobody")
    assert bob.user_id not in (await alice.sync()).presence
    assert bob.user_id not in (await alice.first_sync()).presence
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(bob)


async def test_members_from_before(excluded: tuple[InMemoryServer, str]) -> None:
    """Memberships from before the exclusion do not count either."""
    server, room = excluded
    host, alice = await server.register("host"), await server.register("alice")
    await alice.join(room)
    await host.set_status("online")
    assert host.user_id not in (await alice.first_sync()).presence


async def test_other_rooms_count(excluded: tuple[InMemoryServer, str]) -> None:
    """A user who shares another room, too, is visible by that one until it is left."""
    server, room = excluded
    alice, bob = await server.register("alice"), await server.register("bob")
    await alice.join(room)
    await bob.join(room)
    other = await server.room(alice, bob)
    await alice.sync()
    await bob.set_status("unavailable")
    assert set((await alice.sync()).presence) == {bob.user_id}
    await bob.leave(other)
    await bob.set_status("online")
    assert (await alice.sync()).presence == {bob.user_id: {"presence": "offline"}}


@pytest.mark.parametrize("config", ["routing: {shared_rooms: false}"], ids=["no rooms"])
async def test_rooms_do_not_count(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """With `shared_rooms: false` no room makes anybody visible; each user sees only themselves."""
    await alice.sync()
    await bob.set_status("online")
    await alice.set_status("online", "me")
    assert set((await alice.sync()).presence) == {alice.user_id}
    assert set((await alice.first_sync()).presence) == {alice.user_id}
    assert (await alice.status_of(alice))["status_msg"] == "me"
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(bob)
