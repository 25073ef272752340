"""Whom modules name no more, or send no more after a reload, is said to be offline: once."""

from lamplighter.routing.callbacks import PRESENCE_ALL_USERS
from tests.compat.modules.held import Held
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

THE_END = {"presence": "offline"}
NAMING = (Held, {"routes": {}, "named": {ALICE: [BOB]}})
BOTH = (Held, {"routes": {ALICE: [BOB]}, "named": {ALICE: [BOB]}})


async def test_named_no_more() -> None:
    """Whom a module names no more is said to be offline, within a minute, to a poll that waits."""
    async with world(NAMING) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(timeout=300_000, **UNSEEN)
        w.server.module(Held).named = {}
        await w.bob.set_status("unavailable", "a secret")
        await w.alice.sync(**UNSEEN)
        await w.server.advance(seconds=60)
        await poll.answer()
        await w.alice.sync(**UNSEEN)
        assert w.alice.beliefs[BOB] == THE_END
        assert (await w.alice.sync(**UNSEEN)).presence == {}


async def test_named_no_more_while_away() -> None:
    """Who was away is told on return, and once."""
    async with world(NAMING) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        await w.server.advance(hours=3)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}
        assert (await w.alice.sync(**UNSEEN)).presence == {}


async def test_named_no_more_but_still_sent() -> None:
    """Whom `get_users_for_states` goes on to send is seen, whoever names them."""
    async with world(BOTH) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        await w.server.advance(hours=1)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "hello"
        assert (await w.alice.status_of(w.bob))["status_msg"] == "hello"


async def test_by_neither_callback() -> None:
    """A module that names and sends somebody no more has shown them for the last time."""
    async with world(BOTH) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        w.server.module(Held).routes = {}
        await w.server.advance(seconds=60)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}


async def test_all_users_no_more() -> None:
    """Who might see everybody, and now some, is told of the end of all others who were shown."""
    async with world((Held, {"routes": {}, "named": {ALICE: PRESENCE_ALL_USERS}})) as w:
        await w.bob.set_status("online", "hello")
        await w.charlie.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {ALICE: [CHARLIE]}
        await w.server.advance(seconds=60)
        await w.alice.sync(**UNSEEN)
        assert w.alice.beliefs[BOB] == THE_END
        assert w.alice.reads(w.charlie) == "hello"


async def test_a_shared_room_is_enough() -> None:
    """Whom a module names no more, but a room shows, is seen on."""
    async with world(NAMING) as w:
        await w.server.room(w.alice, w.bob)
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        await w.server.advance(seconds=60)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "hello"
