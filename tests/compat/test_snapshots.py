"""`send_local_online_presence_to`: one snapshot of all online users whom a viewer may see."""

from lamplighter.devtools.client import Client
from tests.compat.modules.held import Held
from tests.compat.modules.routers import AllUsers
from tests.compat.world import ALICE, BOB, CHARLIE, SERVER, UNSEEN, World, world


async def crowd(w: World) -> Client:
    """Let alice share a room with bob, who is online, and charlie and dora, who are offline."""
    dora = await w.server.register("dora")
    await w.server.room(w.alice, w.bob, w.charlie, dora)
    await w.bob.set_status("online", "here")
    await w.charlie.set_status("offline", "not here")
    await w.alice.sync(**UNSEEN)
    return dora


async def test_full_and_online_only() -> None:
    """The next sync has all visible users who are not offline, changed or not, and no others.
    Unknown and remote users among the targets have no effect, nor has a target twice.
    """
    async with world() as w:
        await crowd(w)
        assert (await w.alice.sync(**UNSEEN)).presence == {}
        targets = [f"@nobody:{SERVER}", "@far:elsewhere.example", ALICE, ALICE]
        await w.server.api.send_local_online_presence_to(targets)
        answer = await w.alice.sync(**UNSEEN)
        assert answer.presence == {BOB: await w.alice.status_of(w.bob)}


async def test_once_per_device() -> None:
    """Each device gets the snapshot once, with its own next sync."""
    async with world() as w:
        await crowd(w)
        phone = await w.server.register("alice")
        await phone.sync(**UNSEEN)
        await w.server.api.send_local_online_presence_to([ALICE])
        for device in (w.alice, phone):
            assert set((await device.sync(**UNSEEN)).presence) == {BOB}
            assert (await device.sync(**UNSEEN)).presence == {}


async def test_news_beside_it() -> None:
    """A user who went offline since the last sync is sent beside the snapshot, as usual."""
    async with world() as w:
        await crowd(w)
        await w.charlie.set_status("offline", "still not here")
        await w.server.api.send_local_online_presence_to([ALICE])
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB, CHARLIE}


async def test_nothing_else_changes() -> None:
    """Nothing else changes: neither the targets' status, nor what other viewers get."""
    async with world() as w:
        await crowd(w)
        await w.alice.set_status("unavailable", "mine")
        before = [w.server.presence_of(user) for user in (ALICE, BOB, CHARLIE)]
        await w.bob.sync(**UNSEEN)
        await w.server.api.send_local_online_presence_to([ALICE])
        await w.alice.sync(**UNSEEN)
        assert [w.server.presence_of(user) for user in (ALICE, BOB, CHARLIE)] == before
        assert (await w.bob.sync(**UNSEEN)).presence == {}


async def test_somebody_newly_named() -> None:
    """The server asks the module again: the snapshot has the users whom it names now."""
    async with world((Held, {"routes": {ALICE: []}})) as w:
        await w.bob.set_status("online")
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        w.server.module(Held).routes[ALICE].append(BOB)
        await w.server.api.send_local_online_presence_to([ALICE])
        assert set((await poll.answer()).presence) == {BOB}


async def test_all_users() -> None:
    """The snapshot of a viewer of all users has all who are not offline, remote users included."""
    async with world((AllUsers, {"viewers": [ALICE]})) as w:
        far = "@dora:elsewhere.example"
        await w.server.api.set_presence_for_users({far: ("unavailable", None)})
        await w.bob.set_status("online")
        await w.charlie.set_status("offline")
        await w.alice.sync(**UNSEEN)
        await w.server.api.send_local_online_presence_to([ALICE])
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB, far}


async def test_snapshot_outlives_a_long_absence() -> None:
    """A viewer who returns hours later still gets the snapshot, once."""
    async with world() as w:
        await crowd(w)
        await w.server.api.set_presence_for_users({BOB: ("online", "by a module")})
        await w.alice.sync(**UNSEEN)
        await w.server.api.send_local_online_presence_to([ALICE])
        await w.server.advance(hours=2)
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB}
        assert (await w.alice.sync(**UNSEEN)).presence == {}
