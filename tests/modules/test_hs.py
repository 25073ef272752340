# ruff: noqa: SLF001 - what is tested is private by name only: modules reach for it
"""The little of Synapse's inside that modules reach for."""

from datetime import timedelta
from typing import Any

import pytest

from lamplighter.modules.background import resolved
from tests.modules.fakes import World


async def test_hostname_and_workers(world: World) -> None:
    """_hs knows its name, and that there are no workers."""
    hs = world.api()._hs
    assert hs.hostname == "example.com"
    assert (hs.config.worker_app, hs.config.worker.worker_app) == (None, None)


async def test_time(world: World) -> None:
    """The clock tells seconds and milliseconds since the epoch."""
    clock = world.api()._hs.get_clock()
    assert clock.time_msec() == world.clock.now()
    assert clock.time() == world.clock.now() / 1000


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
    for _ in range(6):
        await resolved(world.api().run_in_background(lambda: None))
        world.clock.advance(milliseconds=500)
        await resolved(world.api().run_in_background(lambda: None))
    await resolved(world.api().run_in_background(lambda: None))
    assert done == ["now", "loop", "later", "last", "loop"]


async def test_sleep(world: World) -> None:
    """The clock's sleep ends when the time has passed."""
    clock = world.api()._hs.get_clock()
    world.runtime.start()
    job = world.api().run_in_background(clock.sleep, 2)
    await resolved(world.api().run_in_background(lambda: None))
    assert not job.done()
    world.clock.advance(seconds=2)
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
async def test_what_is_not_there(world: World, path: str, message: str) -> None:
    """Anything else raises an error that names the module, and the supported way."""
    *steps, last = path.split(".")
    found: Any = world.api("MyModule")._hs
    for step in steps:
        found = getattr(found, step)
    with pytest.raises(AttributeError) as raised:
        getattr(found, last)
    assert str(raised.value).startswith(f"module MyModule: Lamplighter's {message}")
