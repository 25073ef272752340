"""Late answers of modules: what they add, and what they must not replace."""

import pytest

from tests.compat.modules.held import Held
from tests.compat.modules.routers import Routes
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, World, world

#: It sends alice what bob does, and does not name him for her.
HELD = (Held, {"routes": {ALICE: [BOB]}, "named": {}})
STATES, INTEREST = "get_users_for_states", "get_interested_users"


async def begin(w: World) -> Held:
    """Let alice and charlie sync, and the module think long about states from then on."""
    for client in (w.alice, w.charlie):
        await client.sync(**UNSEEN)
    held = w.server.module(Held)
    held.waits = {STATES}
    return held


async def test_late_answer_is_delivered() -> None:
    """A late answer of a module still reaches the viewer whom it names."""
    async with world(HELD) as w:
        held = await begin(w)
        poll = await w.alice.polls(**UNSEEN)
        await w.bob.set_status("unavailable", "late")
        await w.server.advance(seconds=4)
        assert not poll.answered
        held.let_go()
        assert (await poll.answer()).presence[BOB]["status_msg"] == "late"


async def test_token_that_has_passed_the_change() -> None:
    """A late answer reaches a viewer whose token has passed the position of the change."""
    async with world(HELD, (Routes, {"routes": {ALICE: [CHARLIE]}})) as w:
        held = await begin(w)
        await w.bob.set_status("unavailable", "late")
        await w.charlie.set_status("unavailable")
        assert set((await w.alice.sync(**UNSEEN)).presence) == {CHARLIE}
        held.let_go()
        await w.server.settled()
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB}
        assert (await w.alice.sync(**UNSEEN)).presence == {}


async def test_too_late() -> None:
    """An answer after `module_timeout` is lost."""
    async with world(HELD) as w:
        held = await begin(w)
        held.routes = {CHARLIE: [BOB]}
        await w.bob.set_status("unavailable")
        await w.server.advance(seconds=5)
        held.let_go()
        assert BOB not in (await w.charlie.sync(**UNSEEN)).presence


async def test_never_replaces_something_newer() -> None:
    """A late answer about an older change does not replace a newer state."""
    async with world(HELD) as w:
        held = await begin(w)
        await w.server.room(w.alice, w.bob)
        await w.bob.set_status("unavailable", "older")
        await w.bob.set_status("unavailable", "newer")
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "newer"
        held.let_go()
        await w.server.settled()
        assert BOB not in (await w.alice.sync(**UNSEEN)).presence
        assert w.alice.reads(w.bob) == "newer"


async def test_answers_that_overtake() -> None:
    """If a module answers a newer question first, its answer to the older one has no effect."""
    async with world((Held, {"routes": {CHARLIE: [BOB]}, "named": {}})) as w:
        held = await begin(w)
        await w.bob.set_status("unavailable", "older")
        await w.bob.set_status("unavailable", "newer")
        older, newer = held.gates
        for gate in (newer, older):
            gate.set()
            await w.server.settled()
            await w.charlie.sync(**UNSEEN)
            assert w.charlie.reads(w.bob) == "newer"


async def test_it_is_sent_once() -> None:
    """A room member who has the state of a late answer already does not get it again."""
    async with world(HELD) as w:
        held = await begin(w)
        await w.server.room(w.alice, w.bob)
        await w.bob.set_status("unavailable")
        assert BOB in (await w.alice.sync(**UNSEEN)).presence
        held.let_go()
        await w.server.settled()
        assert (await w.alice.sync(**UNSEEN)).presence == {}


async def test_a_first_sync_waits() -> None:
    """A first sync waits for the module, whose answer may hide something, for a bounded time."""
    async with world(HELD) as w:
        await w.bob.set_status("unavailable", "hello")
        held = w.server.module(Held)
        held.waits = {INTEREST}
        began = w.server.clock.now()
        answer = await w.server.in_time(w.alice.first_sync(**UNSEEN))
        assert w.server.clock.now() - began == 5_000
        assert BOB in answer.presence  # by what the other callback says


async def test_join_with_a_module_that_hangs() -> None:
    """After a join both sides get each other's presence without waiting for a module."""
    async with world((Held, {"routes": {}})) as w:
        held = await begin(w)
        held.waits = set()
        await w.bob.set_status("unavailable")
        held.waits = {STATES}
        poll = await w.alice.polls(set_presence="offline", filter='{"room": {"rooms": []}}')
        await w.server.room(w.alice, w.bob)
        assert BOB in (await w.server.in_time(poll.answer())).presence


@pytest.mark.parametrize("waits", [STATES, INTEREST])
async def test_status_waits_no_longer_than_it_must(waits: str) -> None:
    """After `module_timeout` at most, GET is answered without the late module."""
    async with world((Held, {"routes": {}, "waits": [waits]})) as w:
        await w.server.room(w.alice, w.bob)
        status = await w.server.in_time(w.alice.status_of(w.bob))
        assert status == {"presence": "offline"}
