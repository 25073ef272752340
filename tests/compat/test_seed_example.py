"""The example of the document that this project exists for, unchanged."""

from pathlib import Path
from typing import Final

import pytest

from lamplighter.devtools.client import RequestFailed
from lamplighter.routing.reasons import Module
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

SEED: Final = Path(__file__).parents[2] / "../shared/seed"
EXAMPLE: Final = "seed_example.CustomPresenceRouter"
#: A user of another server; the charlie of this server is another user.
REMOTE: Final = "@charlie:somewhere.org"


@pytest.fixture(autouse=True)
def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example can be imported."""
    if not (SEED / "seed_example.py").is_file():
        pytest.skip("the seed document's example is not beside this checkout")
    monkeypatch.syspath_prepend(str(SEED.resolve()))


async def test_alice_receives_bobs_updates() -> None:
    """Alice receives all presence updates from bob though they share no room, by reason of the
    module; charlie does not.
    """
    async with world(EXAMPLE) as w:
        await w.alice.sync(**UNSEEN)
        await w.charlie.sync(**UNSEEN)
        told = w.listen()
        poll = await w.alice.polls(**UNSEEN)
        other = await w.charlie.polls(**UNSEEN)
        await w.bob.set_status("online", "hello")
        status = {
            "presence": "online",
            "currently_active": True,
            "last_active_ago": 0,
            "status_msg": "hello",
        }
        assert (await poll.answer()).presence == {BOB: status}
        assert told == [(ALICE, BOB, (Module("CustomPresenceRouter"),))]
        await w.server.advance(seconds=1)
        assert not other.answered


async def test_every_way_to_read() -> None:
    """Alice sees bob with her first sync, with an old token, and may ask for his status."""
    async with world(EXAMPLE) as w:
        await w.alice.sync(**UNSEEN)
        await w.server.advance(hours=1)
        await w.bob.set_status("unavailable", "hello")
        status = await w.alice.status_of(w.bob)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: status}
        assert (await w.alice.first_sync(**UNSEEN)).presence[BOB] == status


async def test_one_direction_only() -> None:
    """Bob does not see alice, and no other user sees bob: not on sync, not on GET."""
    async with world(EXAMPLE) as w:
        await w.bob.set_status("online")
        await w.alice.set_status("online")
        for viewer, other in ((w.bob, w.alice), (w.charlie, w.bob), (w.alice, w.charlie)):
            assert other.user_id not in (await viewer.first_sync()).presence
            with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
                await viewer.status_of(other)


async def test_charlie_of_somewhere_else() -> None:
    """Alice receives updates of the remote @charlie:somewhere.org, too; the others do not."""
    async with world(EXAMPLE) as w:
        for client in (w.alice, w.bob, w.charlie):
            await client.sync(**UNSEEN)
        await w.server.api.set_presence_for_users({REMOTE: ("online", "from afar")})
        assert set((await w.alice.sync(**UNSEEN)).presence) == {REMOTE}
        assert (await w.alice.status_of(REMOTE))["status_msg"] == "from afar"
        assert REMOTE in (await w.alice.first_sync(**UNSEEN)).presence
        for client in (w.bob, w.charlie):
            assert REMOTE not in (await client.sync(**UNSEEN)).presence
            with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
                await client.status_of(REMOTE)


async def test_in_addition_to_rooms() -> None:
    """The module's answers are in addition to shared rooms, which work as without it."""
    async with world(EXAMPLE) as w:
        await w.server.room(w.bob, w.charlie)
        await w.charlie.sync(**UNSEEN)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("unavailable")
        assert set((await w.charlie.sync(**UNSEEN)).presence) == {BOB}
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB}
        assert CHARLIE not in w.alice.beliefs
