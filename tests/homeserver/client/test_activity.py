"""Activities of devices that log out meanwhile."""

from datetime import timedelta

import pytest

from lamplighter.ids import RoomId, UserId
from tests.homeserver.world import Person, World, q


async def test_activities_of_a_device_that_has_gone(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is logged out while a request is granted gets its answer, and was not active."""
    room = await alice.room()
    set_typing = world.directory.set_typing

    async def slowly(user_id: UserId, room_id: RoomId, timeout: timedelta | None) -> None:
        await set_typing(user_id, room_id, timeout)
        await world.directory.log_out_all(user_id)

    monkeypatch.setattr(world.directory, "set_typing", slowly)
    response = await alice.put(f"/rooms/{q(room)}/typing/{alice.user_id}", {"typing": True})
    assert (response.status, world.acted) == (200, [])
