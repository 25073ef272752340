"""Modules with threads, background work and web pages."""

import threading

from lamplighter.devtools.server import running_server
from tests.compat.modules.busy_modules import FromThread, Ticker, WebPage
from tests.compat.world import ALICE, BOB, UNSEEN, world

SERVICES = """
presence:
  presence_router:
    module: tests.compat.modules.raiden_like.ServicesRouter
    config: {services: [alice], check_seconds: '15', joining: [charlie]}
"""


async def test_thread_during_init() -> None:
    """A module may call back from a thread of its own while it is being built."""
    async with world((FromThread, {"users": [ALICE]})) as w:
        await w.server.room(w.alice, w.bob)
        await w.bob.set_status("online")
        answer = await w.alice.first_sync(**UNSEEN)
        assert BOB in answer.presence


async def test_snapshot_from_a_thread() -> None:
    """A snapshot that a thread asks for reaches its users with their next sync."""
    async with world((FromThread, {"users": []})) as w:
        await w.server.room(w.alice, w.bob)
        await w.bob.set_status("online")
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        module = w.server.module(FromThread)
        module.users = [ALICE]
        thread = threading.Thread(target=module._call_back)  # noqa: SLF001 - as it does itself
        thread.start()
        assert set((await poll.answer()).presence) == {BOB}
        thread.join()


async def test_thread_that_never_ends() -> None:
    """The server stops although a thread of a module never ends."""
    before = set(threading.enumerate())
    async with running_server([(FromThread, {"users": [], "endless": True})]):
        pass
    left = set(threading.enumerate()) - before
    assert [it.name for it in left if it.name == "endless"] == ["endless"]


async def test_run_in_background_from_init() -> None:
    """The services of a payment network's router see all users, those that join later as well."""
    async with world(config=SERVICES) as w:
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        await w.bob.set_status("unavailable")
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB}
        assert (await w.charlie.sync(**UNSEEN)).presence == {}
        poll = await w.charlie.polls(**UNSEEN)
        await w.bob.set_status("online")
        await w.server.advance(seconds=15)
        assert BOB in (await poll.answer()).presence


async def test_looping_and_delayed_calls() -> None:
    """A module sets a user's status by looping and delayed calls."""
    async with world((Ticker, {"user": BOB, "every_ms": 1_000, "after_ms": 1_500})) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        seen = []
        for _ in range(4):
            await w.server.advance(milliseconds=500)
            await w.alice.sync(**UNSEEN)
            seen.append(w.alice.reads(w.bob))
        assert seen == [None, "tick 1", "once", "tick 2"]


async def test_web_resource() -> None:
    """A module's page is for logged-in users, and knows the user and the user's presence."""
    path = "/_synapse/client/whois"
    async with world((WebPage, {"path": path})) as w:
        await w.bob.set_status("unavailable")
        page = await w.server.http.request("GET", path, token=w.bob.access_token)
        assert (page.status, page.json) == (200, {"user_id": BOB, "presence": "unavailable"})
        below = await w.server.http.request("GET", f"{path}/below", token=w.bob.access_token)
        assert below.json == page.json
        nobody = await w.server.http.request("GET", path)
        assert (nobody.status, nobody.json["errcode"]) == (401, "M_MISSING_TOKEN")
        stranger = await w.server.http.request("GET", path, token="nonsense")
        assert (stranger.status, stranger.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")
