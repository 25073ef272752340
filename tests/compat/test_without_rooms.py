"""`routing.shared_rooms: false`: the modules alone decide."""

import pytest

from lamplighter.devtools.client import RequestFailed
from tests.compat.modules.routers import Routes
from tests.compat.world import ALICE, BOB, UNSEEN, world

ALONE = "routing: {shared_rooms: false}"


async def test_modules_alone_decide() -> None:
    """Rooms make no user visible, and modules do: on push, sync and GET."""
    async with world((Routes, {"routes": {ALICE: [BOB]}}), config=ALONE) as w:
        await w.server.room(w.alice, w.bob, w.charlie)
        for client in (w.alice, w.bob, w.charlie):
            await client.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        await w.bob.set_status("unavailable", "hello")
        await w.charlie.set_status("unavailable", "hello")
        status = {"presence": "unavailable", "last_active_ago": 0, "status_msg": "hello"}
        assert (await poll.answer()).presence == {BOB: status}
        assert await w.alice.status_of(w.bob) == status
        assert set((await w.alice.first_sync(**UNSEEN)).presence) == {ALICE, BOB}
        for viewer, other in ((w.charlie, w.bob), (w.bob, w.charlie), (w.alice, w.charlie)):
            assert other.user_id not in (await viewer.first_sync(**UNSEEN)).presence
            with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
                await viewer.status_of(other)
