"""The modules of a server, from loading to the stop, with modules as authors write them."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamplighter.cluster.parts import Part, ToldValue
from lamplighter.config import parse_config_text
from lamplighter.errors import ModuleError
from lamplighter.modules import synapse_paths
from lamplighter.modules.loader import ConfiguredModule
from lamplighter.modules.runtime import ReloadSource
from tests.compat.modules.busy_modules import FromThread
from tests.modules.fakes import BOB, World, entry, legacy
from tests.routing.callbacks import turns


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


def reloaded_from(*entries: ConfiguredModule) -> ReloadSource:
    """Return a source whose configuration has *entries*."""
    config = parse_config_text("server_name: example.com", Path("memory.yaml"))
    return ReloadSource(config, lambda: config, lambda _config: entries)


async def test_modules_that_differ() -> None:
    """Modules that are not the expected ones are not even loaded, and the error says which."""
    configured = entry("quick.Never", {})
    world = World(source=reloaded_from(configured))
    expected = ToldValue("another", (Part("quick.Router", "modules[0]"),))
    problem = "the modules in its configuration differ"
    which = f"quick.Router (modules[0]) is missing; {configured.path} (modules[0]) is extra"
    for told, how in ((expected, f"{problem}: {which}"), (ToldValue("another", None), problem)):
        with pytest.raises(ModuleError) as raised:
            await world.runtime.prepare(told)
        assert str(raised.value) == how
    await world.runtime.stop()


async def test_one_set_is_tried_at_a_time() -> None:
    """Other modules are tried once those before are discarded; a stop discards what is tried."""
    world = World(source=reloaded_from())
    told = world.runtime.told()
    first = await world.runtime.prepare(told)
    preparing = asyncio.ensure_future(world.runtime.prepare(told))
    await turns(20)
    assert not preparing.done()
    await first.discard()
    await first.discard()
    second = await preparing
    await world.runtime.stop()
    second.use()
    await second.begin()
    assert world.runtime.names() == ()


async def test_what_is_tried_is_used() -> None:
    """Modules that were tried are those of the server once they are used."""
    module = replace(entry("busy_modules.FromThread", {"users": []}), factory=FromThread)
    world = World(source=reloaded_from(module))
    tried = await world.runtime.prepare(world.runtime.told())
    assert world.runtime.names() == ()
    tried.use()
    await tried.begin()
    assert world.runtime.names() == ("FromThread",)
    await world.runtime.stop()
