"""The modules of a server, from loading to the stop, with modules as authors write them."""

from typing import Any

import pytest

from lamplighter.errors import ModuleError
from lamplighter.modules import synapse_paths
from tests.modules.fakes import BOB, World, entry, legacy


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
