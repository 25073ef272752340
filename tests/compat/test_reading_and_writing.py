"""Modules that read, set and subscribe to presence."""

import pytest

from lamplighter.devtools.client import RequestFailed
from lamplighter.presence.state import UserPresenceState
from tests.compat.modules.busy_modules import Watcher
from tests.compat.world import BOB, CHARLIE, UNSEEN, world

FAR = "@dora:elsewhere.example"


async def test_set_presence() -> None:
    """`set_presence_for_users` sets and announces state and message of several users at once."""
    async with world() as w:
        await w.server.room(w.alice, w.bob, w.charlie)
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        await w.server.api.set_presence_for_users(
            {BOB: ("online", "one"), CHARLIE: ("unavailable", None)}
        )
        assert (await poll.answer()).presence == {
            BOB: {"presence": "online", "currently_active": False, "status_msg": "one"},
            CHARLIE: {"presence": "unavailable"},
        }


async def test_subscribe() -> None:
    """A subscriber gets every announced change, of local and remote users, in batches."""
    async with world() as w:
        batches: list[list[tuple[str, str | None]]] = []

        async def hear(states: list[UserPresenceState]) -> None:
            batches.append([(state.user_id, state.status_msg) for state in states])

        w.server.api.subscribe_to_presence(hear)
        await w.bob.set_status("online", "one")
        await w.server.api.set_presence_for_users({CHARLIE: ("online", "c"), FAR: ("online", "f")})
        await w.server.settled()
        assert batches == [[(BOB, "one")], [(CHARLIE, "c"), (FAR, "f")]]


async def test_watcher() -> None:
    """A module of others subscribes, counts in the modules' database, and caches what it reads."""
    async with world(Watcher) as w:
        watcher = w.server.module(Watcher)
        for state in ("online", "unavailable"):
            await w.bob.set_status(state)
            await w.server.settled()
        while await watcher.times(BOB) < 2:
            watcher.times.invalidate((BOB,))
        assert await watcher.times(CHARLIE) == 0
        assert [state.state for state in watcher.seen] == ["online", "unavailable"]


async def test_no_way_around_the_router() -> None:
    """Setting a user's presence reveals it to no viewer who may not see the user."""
    async with world() as w:
        await w.alice.sync(**UNSEEN)
        await w.server.api.set_presence_for_users({BOB: ("online", "hello"), FAR: ("online", "f")})
        assert (await w.alice.sync(**UNSEEN)).presence == {}
        for user in (BOB, FAR):
            with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
                await w.alice.status_of(user)
