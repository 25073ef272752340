"""The modules of a server, from loading to the stop, with modules as authors write them."""

import threading
from typing import Any

import pytest

from lamplighter.errors import ModuleError
from lamplighter.modules import synapse_paths
from lamplighter.presence.state import Presence
from tests.modules.fakes import ALICE, BOB, World, entry, legacy, state_of


async def test_background_work_of_a_router(world: World) -> None:
    """Work from `__init__` begins at the start; calls at a later time come in time."""
    config = {"services": ["0xabc"], "check_seconds": 2, "joining": ["0xdef"]}
    world.load(legacy("raiden_like.ServicesRouter", config))
    world.runtime.start()
    await world.pass_time(1, seconds=1)
    assert world.host.sent_to == [["@0xabc:example.com"]]
    await world.pass_time(4, seconds=1)
    assert world.host.sent_to == [["@0xabc:example.com"], ["@0xdef:example.com"]]
    assert await world.router.ask_interest("@0xdef:example.com") == ["ALL"]


async def test_module_that_calls_back_from_a_thread(world: World) -> None:
    """A thread that a module starts in __init__ can call back, and may never end."""
    world.load(entry("busy_modules.FromThread", {"users": [BOB], "endless": True}))
    assert world.host.sent_to == []
    world.runtime.start()
    await world.pass_time(1, seconds=1)
    assert world.host.sent_to == [[BOB]]
    await world.runtime.stop()
    assert "endless" in [thread.name for thread in threading.enumerate()]


async def test_module_that_ticks(world: World) -> None:
    """Looping calls go on until the server stops."""
    world.load(entry("busy_modules.Ticker", {"user": BOB, "every_ms": 2000, "after_ms": 3000}))
    world.runtime.start()
    await world.pass_time(5, seconds=1)
    await world.runtime.stop()
    world.clock.advance(seconds=60)
    assert world.host.was_set == [
        {BOB: (Presence.ONLINE, "tick 1")},
        {BOB: (Presence.ONLINE, "once")},
        {BOB: (Presence.ONLINE, "tick 2")},
    ]
    assert world.clock.next_timer() is None


async def test_module_that_watches(world: World) -> None:
    """A module can subscribe to presence, use its database, and cache answers."""
    [loaded] = world.load(entry("busy_modules.Watcher", {}))
    watcher: Any = loaded.instance
    world.runtime.start()
    tell = world.host.listeners["Watcher"]
    bob = state_of(BOB, state="online")
    assert await watcher.times(BOB) == 0
    await tell([bob])
    await tell([bob, state_of(ALICE)])
    assert watcher.seen == [bob, bob, state_of(ALICE)]
    assert [await watcher.times(BOB), await watcher.times(ALICE)] == [2, 1]
    watcher.unsubscribe()
    assert world.host.listeners == {}


async def test_web_resources(world: World) -> None:
    """The web resources of modules are known once the modules are loaded."""
    path = "/_synapse/client/who"
    world.load(entry("busy_modules.WebPage", {"path": path}))
    assert list(world.runtime.web_resources) == [path]


async def test_failed_load(world: World) -> None:
    """Imported functions do not find a server whose modules could not be loaded."""
    other = World()
    other.load()
    with pytest.raises(ModuleError):
        world.load(entry("busy_modules.FromThread", {}))
    finder = synapse_paths.installed()
    assert finder is not None
    job = finder.functions.run_in_background(other.api().send_local_online_presence_to, [BOB])
    other.runtime.start()
    await job
    assert other.host.sent_to == [[BOB]]
    await other.runtime.stop()


async def test_imported_functions_know_their_module(world: World, logged: list[Any]) -> None:
    """Work that an imported function begins in `__init__` is logged with the module's name."""
    world.load(legacy("raiden_like.ServicesRouter", {"services": ["not a localpart"]}))
    world.runtime.start()
    await world.tick()
    assert [(line["module"], line["desc"]) for line in logged if "desc" in line] == [
        ("ServicesRouter", "ServicesRouter.send_current_presences_to")
    ]


async def test_altered_states(world: World) -> None:
    """A module alters a state with copy_and_replace."""
    world.load(entry("routers.Altering", {"viewers": [ALICE]}))
    bob = state_of(BOB, state="online", status_msg="secret")
    assert await world.router.ask([bob]) == [{ALICE: {bob.copy_and_replace(status_msg=None)}}]


async def test_everybody(world: World) -> None:
    """A module's PRESENCE_ALL_USERS is the plain value "ALL"."""
    world.load(entry("routers.AllUsers", {"viewers": [ALICE]}))
    assert await world.router.ask_interest(ALICE) == ["ALL"]
    assert await world.router.ask_interest(BOB) == [set()]
