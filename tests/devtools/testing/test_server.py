"""A server for tests that are plain functions."""

import asyncio
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lamplighter.devtools.check import check_module
from lamplighter.devtools.testing import PresenceServer, ServerClock
from lamplighter.errors import ConfigError, ModuleError
from lamplighter.modules.api import ModuleApi
from lamplighter.presence.state import UserPresenceState
from lamplighter_examples.custom_presence_router import CustomPresenceRouter

CONFIG = {"shows": {"@alice:demo": ["@bob:demo"]}}


def test_modules_come_first(presence_server: PresenceServer) -> None:
    """Classes are loaded before the server starts: later, or for an instance, there is an error."""
    with pytest.raises(TypeError, match="give a class or its dotted path, not 3"):
        presence_server.load_module(3)  # type: ignore[arg-type] # that is what is tested
    presence_server.load_module(CustomPresenceRouter, CONFIG)
    presence_server.user("alice")
    assert isinstance(presence_server.module(CustomPresenceRouter), CustomPresenceRouter)
    with pytest.raises(RuntimeError, match="load modules before the first user"):
        presence_server.load_module(CustomPresenceRouter, CONFIG)


@pytest.mark.parametrize(
    ("module", "error", "text"),
    [
        (CustomPresenceRouter, ConfigError, r"modules\[0\]\.config\.shows: give a mapping"),
        (
            "tests.devtools.check.modules.faulty.CannotBeBuilt",
            ModuleError,
            "cannot be started: KeyError: 'users'",
        ),
    ],
)
def test_a_module_that_cannot_be_started(
    presence_server: PresenceServer, module: type | str, error: type[Exception], text: str
) -> None:
    """A refused configuration, or a constructor that raises, is the error that operators read."""
    presence_server.load_module(module, {"shows": []})
    with pytest.raises(error, match=text):
        presence_server.user("alice")


def test_modules_in_the_configuration() -> None:
    """Modules may stand in the configuration, in the older style too."""
    config = (
        "presence: {presence_router: {module: tests.compat.modules.legacy_routers.SyncRouter, "
        "config: {routes: {'@alice:demo': ['@bob:demo']}}}}"
    )
    server = PresenceServer(config)
    alice, bob = server.users("alice", "bob")
    bob.goes_online()
    seen = repr(alice.sees(bob))
    server.close()
    assert seen == "alice sees bob as online (because: module SyncRouter)"


def test_a_restart(tmp_path: Path) -> None:
    """With a data directory the server knows everybody afterwards; who was connected still is."""
    server = PresenceServer(f"data_dir: {tmp_path}")
    server.load_module(CustomPresenceRouter, CONFIG)
    alice, bob = server.users("alice", "bob")
    alice.goes_online()
    bob.goes_online("brb")
    before = server.module(CustomPresenceRouter)

    server.restarts()

    assert server.module(CustomPresenceRouter) is not before
    assert alice.sees(bob, "online", "brb")
    bob.becomes_unavailable("lunch")
    assert alice.sees(bob, "unavailable", "lunch")
    server.close()


def test_a_restart_in_memory(presence_server: PresenceServer) -> None:
    """Without a data directory a restart is refused, with an error that says why."""
    presence_server.user("alice")
    with pytest.raises(RuntimeError, match="needs a data_dir in presence_config"):
        presence_server.restarts()


def test_time(presence_server: PresenceServer, clock: ServerClock) -> None:
    """Time stands still, but for what a test lets pass; that alone may be the first thing."""
    began = clock.now()
    clock.advance(hours=1, minutes=1)
    assert began == datetime(2024, 1, 1, tzinfo=UTC)
    assert clock.now() == datetime(2024, 1, 1, 1, 1, tzinfo=UTC)
    assert presence_server.clock is clock


def test_what_has_no_word(presence_server: PresenceServer) -> None:
    """For everything else there are the server and the clients inside, by `play`."""
    bob = presence_server.user("bob")
    assert presence_server.user("bob") is bob
    bob.goes_online("brb")
    status = presence_server.play(bob.client.status_of(bob.client))
    assert status["status_msg"] == "brb"
    assert presence_server.server.presence_of(bob.client).state == "online"


@pytest.mark.parametrize("attempt", range(5))
def test_modules_that_ask_their_database(presence_server: PresenceServer, attempt: int) -> None:
    """Routes that a module looks up in a thread have reached everybody before the next line."""
    friends = "tests.devtools.check.modules.good.Friends"
    presence_server.load_module(friends, {"friends": [["@alice:demo", "@bob:demo"]]})
    alice, bob = presence_server.users("alice", "bob")
    alice.goes_online()
    bob.goes_online("brb")
    assert alice.sees(bob, "online", "brb")
    bob.becomes_unavailable("lunch")
    assert alice.sees(bob, "unavailable", "lunch")


def computed() -> bytes:
    """Compute for a while, outside the event loop."""
    return hashlib.pbkdf2_hmac("sha256", b"x", b"y", 400_000)


WAYS = [
    *("defer_to_thread", "to_thread", "executor", "wrapped"),
    *("database", "from-a-thread", "account", "many-steps"),
]


class Tireless:
    """Once a minute it computes in the way it is told, and says so."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self.api = api
        self.done: list[int] = []
        self._pool = ThreadPoolExecutor(1)
        ways = {
            "defer_to_thread": lambda: api.defer_to_thread(computed),
            "to_thread": lambda: asyncio.to_thread(computed),
            "executor": lambda: asyncio.get_running_loop().run_in_executor(self._pool, computed),
            "wrapped": lambda: asyncio.wrap_future(self._pool.submit(computed)),
            "database": lambda: api.run_db_interaction("compute", lambda _: computed()),
            "from-a-thread": lambda: api.defer_to_thread(self._and_tell),
            "account": lambda: api.get_userinfo_by_id("@bob:demo"),
            "many-steps": self._in_many_steps,
        }
        self._way = ways[config["way"]]
        api.looping_background_call(self._compute, 60_000)

    async def _compute(self) -> None:
        began = self.api.get_current_time_msec()
        await self._way()
        self.done.append(self.api.get_current_time_msec() - began)

    def _and_tell(self) -> None:
        computed()
        self.api.run_in_background(self._in_many_steps)

    async def _in_many_steps(self) -> None:
        for _ in range(50):
            await asyncio.to_thread(int)


@pytest.mark.parametrize("way", WAYS)
def test_time_does_not_pass_while_a_thread_works(
    presence_server: PresenceServer, clock: ServerClock, way: str
) -> None:
    """Time goes on only when the work that was due has ended, also on a slow machine."""
    presence_server.load_module(Tireless, {"way": way})
    presence_server.user("bob")
    clock.advance(minutes=3)
    assert presence_server.module(Tireless).done == [0, 0, 0]


class NeverDone:
    """Waits in a thread for an event that happens at the end of the test."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self.over = threading.Event()
        api.run_in_background(api.defer_to_thread, self.over.wait)


def test_threads_that_never_end(presence_server: PresenceServer) -> None:
    """A thread that waits for another thread does not stop the time."""
    presence_server.load_module(NeverDone)
    alice, bob = presence_server.users("alice", "bob")
    alice.shares_room_with(bob)
    bob.goes_online("brb")
    assert alice.sees(bob, "online", "brb")
    presence_server.module(NeverDone).over.set()


class Restless:
    """Sets a status whenever one was set."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self.api = api
        self.times = 0
        api.subscribe_to_presence(self._answer)

    async def _answer(self, states: list[UserPresenceState]) -> None:
        self.times += 1
        await self.api.set_presence_for_users({"@bob:demo": ("online", f"{self.times}")})


def test_there_is_an_end(presence_server: PresenceServer) -> None:
    """A module that answers each change by another is an error, and the test does not hang."""
    presence_server.load_module(Restless)
    with pytest.raises(RuntimeError, match="no end of news"):
        presence_server.user("bob").goes_online()


def test_others_may_come_first(presence_server: PresenceServer) -> None:
    """The server starts with the first person, also if that is a person of another server."""
    presence_server.remote_user("@zoe:elsewhere.org").goes_online()
    assert not presence_server.user("alice").sees(presence_server.remote_user("@zoe:elsewhere.org"))


def test_a_server_that_nobody_needed() -> None:
    """A server that has not started is closed without a start."""
    PresenceServer().close()


def test_a_class_in_a_test(presence_server: PresenceServer) -> None:
    """A module whose class is defined within a test is loaded as any other."""

    class Rule:
        def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
            self.shown = config["shown"]
            api.register_presence_router_callbacks(
                get_users_for_states=self.get_users_for_states,
                get_interested_users=self.get_interested_users,
            )

        async def get_users_for_states(self, updates: list[UserPresenceState]) -> object:
            return {"@alice:demo": {it for it in updates if it.user_id in self.shown}}

        async def get_interested_users(self, user_id: str) -> object:
            return set(self.shown) if user_id == "@alice:demo" else set()

    config = {"shown": ["@bob:demo"]}
    presence_server.load_module(Rule, config)
    alice, bob = presence_server.users("alice", "bob")
    bob.goes_online()
    assert alice.sees(bob)
    assert presence_server.module(Rule).shown == ["@bob:demo"]
    assert check_module(Rule, config).findings == ()


def test_set_the_clock(presence_server: PresenceServer, clock: ServerClock) -> None:
    """The clock is set to an instant, or to the next time of day; all happens on the way."""
    bob = presence_server.user("bob")
    bob.goes_online()
    clock.set("00:30")
    assert clock.now() == datetime(2024, 1, 1, 0, 30, tzinfo=UTC)
    assert bob.sees(bob, "unavailable")
    clock.set(datetime(2024, 1, 1, 0, 45, tzinfo=UTC))
    assert clock.now() == datetime(2024, 1, 1, 0, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "error"),
    [
        (datetime(2023, 1, 1, tzinfo=UTC), "is past: it is 2024-01-01"),
        (datetime(2025, 1, 1), "says nothing of its time zone"),  # noqa: DTZ001 - as it is tested
        ("half past nine", "is no time of day"),
        ("25:00", "is no time of day"),
    ],
)
def test_what_the_clock_cannot_be_set_to(
    clock: ServerClock, when: datetime | str, error: str
) -> None:
    """The clock goes forward only, and an instant must be one."""
    with pytest.raises(ValueError, match=error):
        clock.set(when)


def python_now() -> datetime:
    """Return the time by Python's clock, as a careless module asks for it."""
    return datetime.now().astimezone(UTC)  # noqa: TID251 - it is what is tested


def test_pythons_own_clock(presence_server: PresenceServer, clock: ServerClock) -> None:
    """A module that asks Python for the time is told the server's, in UTC."""
    times: list[tuple[datetime, float]] = []

    class Watch:
        def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
            api.looping_background_call(self._note, 3_600_000)

        async def _note(self) -> None:
            times.append((python_now(), time.time()))  # noqa: TID251 - it is what is tested

    presence_server.load_module(Watch)
    before = python_now()
    clock.set("02:01")
    hours = [datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in (1, 2)]
    assert times == [(hour, hour.timestamp()) for hour in hours]
    assert python_now() >= before
