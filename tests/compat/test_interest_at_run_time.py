"""The answers of modules change while the server runs."""

import pytest

from lamplighter.devtools.client import RequestFailed
from tests.compat.modules.held import Held
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, World, world

#: It names bob for alice, and sends bob's changes to no viewer.
NAMING = (Held, {"routes": {}, "named": {ALICE: [BOB]}})


def asked_about(w: World, viewer: str) -> int:
    """Return how often the module was asked whom the viewer may see."""
    return w.server.module(Held).asked.count(viewer)


async def test_answers_are_cached() -> None:
    """Within a minute the server asks a module once about a viewer: the answer is cached."""
    async with world(NAMING) as w:
        for _ in range(3):
            await w.alice.first_sync(**UNSEEN)
            await w.alice.status_of(w.bob)
            await w.server.advance(seconds=10)
        assert asked_about(w, ALICE) == 1


async def test_answers_are_not_cached_for_long() -> None:
    """A changed answer counts after a minute: users whom it does not name are not visible."""
    async with world(NAMING) as w:
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {ALICE: [CHARLIE]}
        await w.server.advance(seconds=60)
        await w.bob.set_status("unavailable")
        await w.charlie.set_status("unavailable")
        told = (await w.alice.sync(**UNSEEN)).presence
        assert set(told) == {BOB, CHARLIE}
        assert told[BOB] == {"presence": "offline"}
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await w.alice.status_of(w.bob)


async def test_newly_named_users_are_told() -> None:
    """A newly named user reaches a waiting poll within a minute."""
    async with world(NAMING) as w:
        await w.charlie.set_status("offline", "long ago")
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(timeout=300_000, **UNSEEN)
        w.server.module(Held).named = {ALICE: [BOB, CHARLIE]}
        await w.server.advance(seconds=60)
        answer = await poll.answer()
        assert {sender: it["status_msg"] for sender, it in answer.presence.items()} == {
            CHARLIE: "long ago"
        }


async def test_no_longer_named_while_waiting() -> None:
    """A user who is not named any more reaches no waiting poll after a minute."""
    async with world(NAMING) as w:
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(timeout=300_000, **UNSEEN)
        w.server.module(Held).named = {}
        await w.server.advance(seconds=60)
        await w.bob.set_status("unavailable")
        await w.server.advance(seconds=5)
        assert not poll.answered


async def test_named_all_the_time() -> None:
    """A user who was named all the time is no news to a viewer who returns late."""
    async with world(NAMING) as w:
        await w.bob.set_status("offline", "long ago")
        await w.alice.sync(**UNSEEN)
        await w.server.advance(minutes=30)
        await w.charlie.set_status("online")
        assert (await w.alice.sync(**UNSEEN)).presence == {}


async def test_forgotten_by_a_snapshot() -> None:
    """`send_local_online_presence_to` forgets the answer of that viewer at once, and no other."""
    async with world(NAMING) as w:
        await w.charlie.set_status("online")
        for client in (w.alice, w.bob):
            await client.sync(**UNSEEN)
        w.server.module(Held).named = {ALICE: [CHARLIE]}
        await w.server.api.send_local_online_presence_to([ALICE])
        for client in (w.alice, w.bob):
            await client.sync(**UNSEEN)
        assert (asked_about(w, ALICE), asked_about(w, BOB)) == (2, 1)
        assert w.alice.sees(w.charlie)


async def test_called_once_per_batch() -> None:
    """`get_users_for_states` is asked once about changes that come together, with a list."""
    async with world(NAMING) as w:
        held = w.server.module(Held)
        await w.server.api.set_presence_for_users(
            {BOB: ("online", "b"), CHARLIE: ("online", "c"), "@d:far.example": ("online", "d")}
        )
        assert held.asked == [[(BOB, "b"), (CHARLIE, "c"), ("@d:far.example", "d")]]
