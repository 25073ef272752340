"""A user whom a module does not show any more is sent as offline, once."""

from collections.abc import Sequence
from typing import TypeAlias

import pytest

from lamplighter.modules.api import ModuleApi
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS
from tests.compat.modules.held import Held
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

States: TypeAlias = Sequence[UserPresenceState]
Answer: TypeAlias = dict[str, set[UserPresenceState]]

THE_END = {"presence": "offline"}
NAMING = (Held, {"routes": {}, "named": {ALICE: [BOB]}})
BOTH = (Held, {"routes": {ALICE: [BOB]}, "named": {ALICE: [BOB]}})


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


async def test_named_no_more_while_away() -> None:
    """A viewer who was away gets `offline` on return, once."""
    async with world(NAMING) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        await w.server.advance(hours=3)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}
        assert (await w.alice.sync(**UNSEEN)).presence == {}


async def test_named_no_more_but_still_sent() -> None:
    """A user whom `get_users_for_states` still sends stays visible without being named."""
    async with world(BOTH) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        await w.server.advance(hours=1)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "hello"
        assert (await w.alice.status_of(w.bob))["status_msg"] == "hello"


async def test_by_neither_callback() -> None:
    """A user whom a module neither names nor sends any more is not visible."""
    async with world(BOTH) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        w.server.module(Held).routes = {}
        await w.server.advance(seconds=60)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}


async def test_all_users_no_more() -> None:
    """A viewer who saw all users, and now sees some, gets `offline` of the others."""
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
    """A user in a shared room stays visible without a module."""
    async with world(NAMING) as w:
        await w.server.room(w.alice, w.bob)
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).named = {}
        await w.server.advance(seconds=60)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "hello"


class Naming:
    """Names bob for alice as long as it `names`; `fails` makes it raise."""

    def __init__(self, config: dict[str, str], api: ModuleApi) -> None:
        self.names, self.fails = True, False
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates: States) -> Answer:
        return {}

    async def get_interested_users(self, user_id: str) -> set[str]:
        if self.fails:
            raise RuntimeError("this module fails")
        return {BOB} if self.names and user_id == ALICE else set()


class Hiding:
    """Shows everybody to alice as offline."""

    def __init__(self, config: dict[str, str], api: ModuleApi) -> None:
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )
        #: Whom it does not show any more.
        self.ends_with: str | None = None

    async def get_users_for_states(self, state_updates: States) -> Answer:
        hidden = {it for it in state_updates if it.user_id not in (ALICE, self.ends_with)}
        return {ALICE: {it.default(it.user_id) for it in hidden}}

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set()


async def test_a_module_that_fails_ends_nothing() -> None:
    """A lost answer ends nothing; the next valid one ends the users whom it does not name."""
    async with world(Naming) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        module = w.server.module(Naming)
        module.fails = True
        for _ in range(3):
            await w.server.advance(minutes=2)
            await w.alice.sync(**UNSEEN)
            assert w.alice.reads(w.bob) == "hello"
        module.fails = module.names = False
        await w.server.advance(minutes=2)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}


async def test_a_module_that_answers_again() -> None:
    """A user who is named again after lost answers is sent with the real state."""
    async with world(Naming) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        w.server.module(Naming).fails = True
        await w.server.advance(minutes=2)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("offline", "gone")
        w.server.module(Naming).fails = False
        await w.server.advance(minutes=2)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "gone"


@pytest.mark.parametrize("presence", ["online", "offline"])
async def test_the_end_does_not_betray_what_a_module_hides(presence: str) -> None:
    """The end of visibility does not depend on a state that a module has hidden."""
    async with world(Hiding) as w:
        room = await w.server.room(w.alice, w.bob)
        await w.bob.set_status("online")
        await w.bob.set_status(presence)
        await w.alice.sync(**UNSEEN)
        w.server.module(Hiding).ends_with = BOB
        await w.bob.leave(room)
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: THE_END}
