"""A module that lets a viewer see all users."""

import pytest

from lamplighter.devtools.client import RequestFailed
from lamplighter.ids import RoomId
from lamplighter.routing.reasons import AllUsers, Module, SharedRoom
from tests.compat.modules.faulty import Raising
from tests.compat.modules.held import Held
from tests.compat.modules.routers import AllUsers as AllUsersRouter
from tests.compat.modules.routers import Routes
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

SEES_ALL = (AllUsersRouter, {"viewers": [ALICE]})
EVERYWHERE = "@dora:elsewhere.example"


async def test_first_sync() -> None:
    """The first sync shows everybody known, local or remote, as far as any first sync does."""
    async with world(SEES_ALL) as w:
        await w.server.api.set_presence_for_users({EVERYWHERE: ("unavailable", None)})
        await w.bob.set_status("online")
        await w.charlie.set_status("offline")
        answer = await w.alice.first_sync(**UNSEEN)
        assert set(answer.presence) == {ALICE, BOB, EVERYWHERE}
        assert await w.alice.status_of(w.charlie) == {"presence": "offline", "last_active_ago": 0}


async def test_pushes() -> None:
    """Pushes are included: everybody's changes answer the poll, also of who came later."""
    async with world(SEES_ALL) as w:
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        await w.charlie.set_status("unavailable")
        assert set((await poll.answer()).presence) == {CHARLIE}
        dora = await w.server.register("dora")
        poll = await w.alice.polls(**UNSEEN)
        await dora.set_status("unavailable")
        assert set((await poll.answer()).presence) == {dora.user_id}


async def test_by_get_interested_users_alone() -> None:
    """A viewer of all users gets pushes even if `get_users_for_states` sends none."""
    async with world((OnlyAll, {"viewers": [ALICE]})) as w:
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("unavailable")
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB}


async def test_rooms_beside() -> None:
    """Beside it rooms go on as ever; one event per sender, with all the reasons."""
    async with world(SEES_ALL) as w:
        room = await w.server.room(w.alice, w.bob, w.charlie)
        await w.alice.sync(**UNSEEN)
        await w.charlie.sync(**UNSEEN)
        told = w.listen()
        await w.bob.set_status("unavailable")
        shared = SharedRoom(RoomId(room))
        assert sorted(told, key=str) == [
            (ALICE, BOB, (shared, AllUsers("AllUsers"), Module("AllUsers"))),
            (CHARLIE, BOB, (shared,)),
        ]
        events = (await w.alice.sync(**UNSEEN)).content["presence"]["events"]
        assert [it["sender"] for it in events] == [BOB]


async def test_only_the_viewers_it_names() -> None:
    """Nobody else sees more than without the module."""
    async with world(SEES_ALL) as w:
        await w.alice.set_status("online")
        assert ALICE not in (await w.bob.first_sync()).presence
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await w.bob.status_of(w.alice)


async def test_beside_a_module_that_names_few() -> None:
    """A module that names some users takes nothing from a viewer whom another lets see all."""
    named = (Routes, {"routes": {ALICE: [BOB]}})
    async with world(named, (Raising, {}), SEES_ALL) as w:
        await w.charlie.set_status("unavailable")
        assert CHARLIE in (await w.alice.first_sync(**UNSEEN)).presence


class OnlyAll(Held):
    """Says ALL, in the plain word, and routes nothing."""

    def __init__(self, config: dict[str, list[str]], api: object) -> None:
        super().__init__({"routes": {}}, api)
        self.viewers = config["viewers"]

    async def get_interested_users(self, user_id: str) -> object:
        return "ALL" if user_id in self.viewers else set()
