# ruff: noqa: SLF001 - what is tested is private by name only: modules reach for it
"""The names of Synapse's internals that modules use."""

from datetime import timedelta
from typing import Any

import pytest

from lamplighter.modules.host import ModuleNode
from tests.modules.fakes import World


async def test_hostname_workers_and_time(world: World) -> None:
    """_hs has the server name, and no workers; its clock returns the time since the epoch in
    seconds and in milliseconds.
    """
    hs = world.api()._hs
    clock = hs.get_clock()
    assert (clock.time_msec(), clock.time()) == (world.clock.now(), world.clock.now() / 1000)
    assert hs.hostname == "example.com"
    assert (hs.config.worker_app, hs.config.worker.worker_app) == (None, None)
    assert (hs.config.worker_name, hs.config.worker.worker_name) == (None, None)


async def test_the_name_of_a_node() -> None:
    """On a server with several nodes, the name of the node stands where Synapse has a worker's."""
    world = World(node=ModuleNode("a", lambda: True))
    config = world.api()._hs.config
    assert (config.worker_name, config.worker.worker_name) == ("a", "a")
    assert (config.worker_app, config.worker.worker_app) == (None, None)
    await world.runtime.stop()


async def test_calls(world: World) -> None:
    """looping_call takes milliseconds, call_later seconds; both take a timedelta, and arguments."""
    clock = world.api()._hs.get_clock()
    done: list[str] = []
    clock.call_later(2, done.append, "later")
    clock.call_later(timedelta(seconds=3), done.append, "last")
    clock.cancel_call_later(clock.call_later(1, done.append, "never"))
    clock.looping_call(done.append, 1500, "loop")
    clock.looping_call(done.append, timedelta(hours=1), "hourly")
    clock.looping_call_now(done.append, 60_000, "now")
    world.runtime.start()
    await world.tick()
    await world.pass_time(6, milliseconds=500)
    assert done == ["now", "loop", "later", "last", "loop"]


async def test_sleep(running: World) -> None:
    """The clock's sleep ends when the time has passed."""
    job = running.api().run_in_background(running.api()._hs.get_clock().sleep, 2)
    await running.tick()
    assert not job.done()
    await running.pass_time(1, seconds=2)
    await job


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("get_datastores", "_hs has no 'get_datastores': use api.run_db_interaction"),
        ("get_presence_handler", "_hs has no 'get_presence_handler': use await api.get_presence_f"),
        ("clock", "_hs has no 'clock': use _hs.get_clock()"),
        ("config.server", "_hs.config has no 'server': use the public methods of ModuleApi"),
        ("config.worker.writers", "_hs.config.worker has no 'writers': use the public methods"),
    ],
)
async def test_missing_names(world: World, path: str, message: str) -> None:
    """Other names raise an error with the module, and with what to use instead."""
    *steps, last = path.split(".")
    found: Any = world.api("MyModule")._hs
    for step in steps:
        found = getattr(found, step)
    with pytest.raises(AttributeError) as raised:
        getattr(found, last)
    assert str(raised.value).startswith(f"module MyModule: Lamplighter's {message}")
