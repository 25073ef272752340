"""A module that lets a viewer see all users."""

from lamplighter.ids import RoomId
from lamplighter.routing.reasons import AllUsers, Module, SharedRoom
from tests.compat.modules.routers import AllUsers as AllUsersRouter
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

SEES_ALL = (AllUsersRouter, {"viewers": [ALICE]})
EVERYWHERE = "@dora:elsewhere.example"


async def test_everybody() -> None:
    """The first sync has all known users, local or remote, as far as any first sync does; a change
    of a user who comes later answers the poll. Other viewers see no more than without the module.
    """
    async with world(SEES_ALL) as w:
        await w.server.api.set_presence_for_users({EVERYWHERE: ("unavailable", None)})
        await w.bob.set_status("online")
        await w.charlie.set_status("offline")
        answer = await w.alice.first_sync(**UNSEEN)
        assert set(answer.presence) == {ALICE, BOB, EVERYWHERE}
        assert await w.alice.status_of(w.charlie) == {"presence": "offline", "last_active_ago": 0}
        dora = await w.server.register("dora")
        poll = await w.alice.polls(**UNSEEN)
        await dora.set_status("unavailable")
        assert set((await poll.answer()).presence) == {dora.user_id}
        assert set((await w.bob.first_sync(**UNSEEN)).presence) == {BOB}


async def test_rooms_beside() -> None:
    """Shared rooms are reasons as well; a viewer gets one event per sender."""
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
