"""Timers that modules set in the event loop, on the clock that a test turns."""

# ruff: noqa: TID251 - what modules use is what is tested

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from lamplighter.devtools.check import Kind, Limits, check_module
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.module_timers import modules_by
from lamplighter.devtools.server import running_server
from lamplighter.devtools.testing import PresenceServer, ServerClock
from lamplighter.devtools.turns import turns
from lamplighter.modules.api import ModuleApi
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.containment import as_module


class Router:
    """Shows bob to alice, after so many seconds of `asyncio.sleep`."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self._seconds = config["seconds"]
        self.calls = 0
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, updates: list[UserPresenceState]) -> object:
        self.calls += 1
        await asyncio.sleep(self._seconds)
        return {"@alice:demo": {it for it in updates if it.user_id == "@bob:demo"}}

    async def get_interested_users(self, user_id: str) -> object:
        return {"@bob:demo"} if user_id == "@alice:demo" else set()


def test_sleep_in_a_callback(presence_server: PresenceServer, clock: ServerClock) -> None:
    """An answer that takes two seconds is there when two seconds have passed, and not before."""
    presence_server.load_module(Router, {"seconds": 2})
    alice, bob = presence_server.users("alice", "bob")
    alice.goes_online()
    bob.goes_online("brb")
    clock.advance(seconds=1.999)
    assert not alice.sees(bob)
    clock.advance(seconds=0.001)
    assert alice.sees(bob, "online", "brb")


def test_a_callback_that_hangs(presence_server: PresenceServer, clock: ServerClock) -> None:
    """A callback that sleeps for longer than the module time-out pauses the module."""
    presence_server.load_module(Router, {"seconds": 3600})
    bob = presence_server.user("bob")
    calls: list[int] = []
    for number in range(7):
        bob.goes_online(f"{number}")
        clock.advance(seconds=6)
        calls.append(presence_server.module(Router).calls)
    assert calls == [2, 3, 4, 5, 5, 5, 5]


class Periodic:
    """Notes what happens when, in milliseconds since the server was started."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self._api = api
        self._began = api.get_current_time_msec()
        self.notes: list[tuple[str, int]] = []
        api.looping_background_call(self._loop_of_the_api, 90_000)
        api.run_in_background(self._own_loop)

    def note(self, what: str) -> None:
        self.notes.append((what, self._api.get_current_time_msec() - self._began))

    async def _loop_of_the_api(self) -> None:
        self.note("api")

    async def _own_loop(self) -> None:
        while True:
            await asyncio.sleep(60)
            self.note("own")


def test_a_loop_of_its_own(presence_server: PresenceServer, clock: ServerClock) -> None:
    """`while True: await asyncio.sleep(60)` goes on as time passes, in order with all else."""
    presence_server.load_module(Periodic)
    presence_server.user("bob")
    clock.advance(minutes=4)
    assert presence_server.module(Periodic).notes == [
        ("own", 60_000),
        ("api", 90_000),
        ("own", 120_000),
        ("api", 180_000),
        ("own", 180_000),
        ("own", 240_000),
    ]


async def _wait_for() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 7)


async def _timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(7):
            await asyncio.Event().wait()


async def _timeout_at() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + 7):
            await asyncio.Event().wait()


async def _wait() -> None:
    task = asyncio.ensure_future(asyncio.Event().wait())
    await asyncio.wait({task}, timeout=7)
    task.cancel()


async def _call_later() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(7, event.set)
    await event.wait()


async def _task() -> None:
    await asyncio.gather(asyncio.sleep(7), asyncio.create_task(asyncio.sleep(5)))


async def _deadline() -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 7
    while loop.time() < deadline:  # noqa: ASYNC110 - some modules do so
        await asyncio.sleep(0.5)


async def _in_parts() -> None:
    for _ in range(200):
        await asyncio.sleep(0.035)


async def _in_time() -> None:
    async with asyncio.timeout(7.001):
        await asyncio.sleep(7)


async def _cancelled() -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    timers = [loop.call_later(3, event.set), loop.call_at(loop.time(), event.set)]
    for timer in timers:
        timer.cancel()
    assert [it.cancelled() for it in timers] == [True, True]
    assert timers[0].when() == pytest.approx(loop.time() + 3)
    await asyncio.sleep(7)
    assert not event.is_set()


@pytest.mark.parametrize(
    "way",
    [
        _wait_for,
        _timeout,
        _timeout_at,
        _wait,
        _call_later,
        _task,
        _deadline,
        _in_parts,
        _in_time,
        _cancelled,
    ],
)
def test_whatever_waits(
    presence_server: PresenceServer, clock: ServerClock, way: Callable[[], Awaitable[None]]
) -> None:
    """All that asyncio has for time goes by the server's clock where a module uses it."""

    class Waiting(Periodic):
        async def _own_loop(self) -> None:
            await way()
            self.note("done")

    presence_server.load_module(Waiting)
    presence_server.user("bob")
    clock.advance(seconds=20)
    assert presence_server.module(Waiting).notes == [("done", 7_000)]


class Unhurried:
    """Does not end at once when it is cancelled."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self.has_ended = False
        api.run_in_background(self._work)

    async def _work(self) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            self.has_ended = True


async def test_the_end() -> None:
    """A server that stops gives modules time to end: as much as passes on the machine's clock."""
    async with running_server([Unhurried]) as server:
        module = server.module(Unhurried)
        await server.settled()
    assert module.has_ended


async def test_the_tests_own_timers() -> None:
    """Timers of the test stay the event loop's, and so do all of them when no server runs."""
    loop = asyncio.get_running_loop()
    before = dict(vars(loop))
    async with running_server([Periodic]), running_server([Periodic]) as other:
        now = loop.time()
        await asyncio.sleep(0.001)
        assert loop.time() - now < 3600
        await other.advance(minutes=1)
        assert other.module(Periodic).notes == [("own", 60_000)]
    assert vars(loop) == before


@pytest.mark.parametrize(
    ("seconds", "kinds"), [(0.001, []), (0.1, [Kind.SLOW]), (60, [Kind.NO_ANSWER])]
)
def test_a_check_in_simulated_time(seconds: float, kinds: list[Kind]) -> None:
    """A check judges how long a module sleeps by the world's clock, and loses no time with it."""
    findings = check_module(Router, {"seconds": seconds}, limits=Limits(worlds=2)).findings
    assert [it.kind for it in findings] == kinds


def test_another_event_loop() -> None:
    """An event loop that is not written in Python works as well."""

    async def sleeps() -> str:
        clock = FakeClock()
        with modules_by(clock):
            with as_module("Sleeper"):
                task = asyncio.ensure_future(asyncio.sleep(3600, "slept"))
            await turns(2)
            clock.advance(hours=1)
            return await task

    assert uvloop.run(sleeps()) == "slept"
