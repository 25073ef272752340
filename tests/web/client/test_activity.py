"""Activities of devices that log out meanwhile."""

from collections.abc import Sequence

import pytest

from lamplighter.ids import RoomId, UserId
from tests.web.world import Person, World, q


async def test_activities_of_a_device_that_has_gone(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is logged out while a request is granted gets its answer, and was not active."""
    room = await alice.room()
    read = world.directory.joined_rooms

    async def slowly(user_id: UserId) -> Sequence[RoomId]:
        rooms = await read(user_id)
        await world.directory.log_out_all(user_id)
        return rooms

    monkeypatch.setattr(world.directory, "joined_rooms", slowly)
    response = await alice.put(f"/rooms/{q(room)}/typing/{alice.user_id}", {"typing": True})
    assert (response.status, world.acted) == (200, [])
