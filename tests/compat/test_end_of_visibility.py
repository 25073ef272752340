"""A user whom a module does not show any more is sent as offline, once."""

from typing import Any, Final

import pytest

from lamplighter.routing.callbacks import PRESENCE_ALL_USERS
from tests.compat.modules.held import Held, Hiding
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

THE_END = {"presence": "offline"}
NAMING = (Held, {"routes": {}, "named": {ALICE: [BOB]}})
#: What a module sends and names for alice, at first and later; whether she shares a room with bob;
#: and whether bob is still visible then.
CHANGES: Final[dict[str, tuple[Any, Any, Any, Any, bool, bool]]] = {
    "named no more": ([], [BOB], [], [], False, False),
    "named no more, but still sent": ([BOB], [BOB], [BOB], [], False, True),
    "neither": ([BOB], [BOB], [], [], False, False),
    "all users no more": ([], PRESENCE_ALL_USERS, [], [CHARLIE], False, False),
    "a shared room is enough": ([], [BOB], [], [], True, True),
}


@pytest.mark.parametrize(
    ("sent", "named", "sent_later", "named_later", "shares_a_room", "stays"),
    CHANGES.values(),
    ids=CHANGES,
)
async def test_other_answers_while_away(
    sent: Any, named: Any, sent_later: Any, named_later: Any, shares_a_room: bool, stays: bool
) -> None:
    """A viewer who was away gets `offline` on return, once, of a user whom neither a room nor a
    callback makes visible any more.
    """
    async with world((Held, {"routes": {ALICE: sent}, "named": {ALICE: named}})) as w:
        if shares_a_room:
            await w.server.room(w.alice, w.bob)
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        module = w.server.module(Held)
        module.routes, module.named = {ALICE: sent_later}, {ALICE: named_later}
        await w.server.advance(hours=3)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == ("hello" if stays else None)
        assert (w.alice.beliefs[BOB] == THE_END) is not stays
        assert (await w.alice.request("GET", f"/presence/{BOB}/status")).status == (
            200 if stays else 403
        )
        assert (await w.alice.sync(**UNSEEN)).presence == {}


async def test_named_no_more() -> None:
    """A poll gets `offline` of a user within a minute after a module stops naming the user."""
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


async def test_a_module_that_fails_ends_nothing() -> None:
    """A lost answer ends nothing; the next valid one ends the users whom it does not name."""
    async with world(NAMING) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = None
        for _ in range(3):
            await w.server.advance(minutes=2)
            await w.alice.sync(**UNSEEN)
            assert w.alice.reads(w.bob) == "hello"
        w.server.module(Held).named = {}
        await w.server.advance(minutes=2)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}


async def test_a_module_that_answers_again() -> None:
    """A user who is named again after lost answers is sent with the real state."""
    async with world(NAMING) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = None
        await w.server.advance(minutes=2)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("offline", "gone")
        w.server.module(Held).named = {ALICE: [BOB]}
        await w.server.advance(minutes=2)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "gone"


@pytest.mark.parametrize("presence", ["online", "offline"])
async def test_the_end_does_not_betray_what_a_module_hides(presence: str) -> None:
    """The end of visibility does not depend on a state that a module has hidden."""
    async with world((Hiding, {"routes": {ALICE: [BOB]}, "named": {}})) as w:
        room = await w.server.room(w.alice, w.bob)
        await w.bob.set_status("online")
        await w.bob.set_status(presence)
        await w.alice.sync(**UNSEEN)
        w.server.module(Hiding).routes = {}
        await w.bob.leave(room)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}
