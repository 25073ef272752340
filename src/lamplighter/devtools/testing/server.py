"""A whole server in memory, with an event loop of its own, for tests that are plain functions.

The server starts when a test first uses a person, a room or the clock; modules are loaded before
that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any, Final, TypeVar

from lamplighter.clock import Timestamp, after
from lamplighter.config import Config, parse_config_text
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.python_clock import python_clock_at
from lamplighter.devtools.server import InMemoryServer, module_entry
from lamplighter.devtools.testing.people import Person, RemotePerson, Room
from lamplighter.ids import UserId, localpart_of, parse_user_id, server_of
from lamplighter.modules.loader import ConfiguredModule, module_entries

__all__ = ["PresenceServer", "ServerClock"]

T = TypeVar("T")
M = TypeVar("M")

#: Clients have news at one moment at most this many times.
_MOST_NEWS: Final = 50


class ServerClock:
    """The server's clock: it stands still until a test lets time pass."""

    def __init__(self, server: "PresenceServer") -> None:
        self._server = server

    def advance(self, **duration: float) -> None:
        """Let time pass, given as to `timedelta`: `clock.advance(minutes=5)`.

        All that becomes due on the way happens at its own instant.
        """
        self._server.advance(**duration)

    def set(self, when: datetime | str) -> None:
        """Let time pass until *when*: an instant with a time zone, or the next "09:30" in UTC.

        Raises `ValueError` for an instant that is past, or that says nothing of its time zone.
        """
        instant = self._next(when) if isinstance(when, str) else when
        if instant.tzinfo is None:
            raise ValueError(f"{instant} says nothing of its time zone: datetime(…, tzinfo=UTC)")
        if instant < self.now():
            raise ValueError(f"{instant} is past: it is {self.now()}")
        self.advance(milliseconds=(instant - self.now()) / timedelta(milliseconds=1))

    def _next(self, time_of_day: str) -> datetime:
        now = self.now()
        try:
            wanted = datetime.strptime(time_of_day, "%H:%M").time()  # noqa: DTZ007 - it has no date
        except ValueError:
            raise ValueError(f'{time_of_day!r} is no time of day, such as "09:30"') from None
        today = datetime.combine(now.date(), wanted, UTC)
        return today if today >= now else today + timedelta(days=1)

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.fromtimestamp(self._server.server.clock.now() / 1000, UTC)


class PresenceServer:
    """A server, and everybody on it. *config* is YAML; all of it has defaults.

    It is in memory, unless the configuration has a `data_dir`.
    """

    def __init__(self, config: str = "") -> None:
        defaults = {"server_name": "demo", "rate_limits": "off"}
        lines = [f"{key}: {value}" for key, value in defaults.items() if f"{key}:" not in config]
        text = "\n".join([*lines, dedent(config)])
        self._keeps = "data_dir:" in config
        self._config: Config = parse_config_text(text, Path("presence_config"))
        self._modules: list[ConfiguredModule] = []
        self._running: InMemoryServer | None = None
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._move_python_clock: Callable[[Timestamp], None] = lambda _: None
        self._fake = FakeClock(moved=self._time_has_come)
        self._people: dict[UserId, Person] = {}
        self.clock = ServerClock(self)

    @property
    def server_name(self) -> str:
        """The end of the user IDs of people of this server."""
        return self._config.server_name

    @property
    def server(self) -> InMemoryServer:
        """The server inside, started; its methods are async: call them by `play`."""
        if self._running is None:
            entries = [*self._modules, *module_entries(self._config)]
            data_dir = self._config.data_dir if self._keeps else None
            server = InMemoryServer(self._config, entries, data_dir, clock=self._fake)
            self._run(server.start())
            self._running = server
        return self._running

    def load_module(self, module: type | str, config: Mapping[str, Any] | None = None) -> None:
        """Load a module, given as its class or the dotted path of it.

        The server builds it as it starts, and raises `ConfigError` or `ModuleError` then.
        """
        if not isinstance(module, type | str):
            raise TypeError(f"give a class or its dotted path, not {module!r}")
        if self._running is not None:
            raise RuntimeError("load modules before the first user: the server has started")
        self._modules.append(module_entry((module, config or {}), len(self._modules)))

    def module(self, kind: type[M]) -> M:
        """Return the loaded module that is a *kind*; raise `LookupError` without one."""
        return self.server.module(kind)

    def user(self, name: str) -> Person:
        """Return the person with that localpart; register the person at first use."""
        user_id = UserId(f"@{name}:{self.server_name}")
        if user_id not in self._people:
            self._people[user_id] = Person(self, self.play(self.server.register(name)))
        return self._people[user_id]

    def users(self, *names: str) -> list[Person]:
        """Return several people: `alice, bob = presence_server.users("alice", "bob")`."""
        return [self.user(name) for name in names]

    def remote_user(self, user_id: str) -> RemotePerson:
        """Return a person of another server by the whole user ID; raise `InvalidId`."""
        parsed = parse_user_id(user_id)
        if server_of(parsed) == self.server_name:
            raise ValueError(f"{user_id} is of this server: user({localpart_of(parsed)!r})")
        return RemotePerson(self, parsed)

    def room(self, first: Person, *others: Person) -> Room:
        """Return a new room of these people."""
        return first.shares_room_with(*others)

    def advance(self, **duration: float) -> None:
        """Let time pass, as `clock.advance` does."""
        self._run(self._advance(self.server, timedelta(**duration)))

    def play(self, work: Awaitable[T]) -> T:
        """Do *work*, let every client receive the news, and return the result of *work*.

        If *work* waits for the time, for example for a module that sleeps, time passes.
        """
        return self._run(self._play(self.server, work))

    def at_once(self, work: Awaitable[T]) -> T:
        """Return what *work* returns; raise `TimeoutError` if *work* waits for the time."""
        return self._run(self.server.at_once(work))

    def restarts(self) -> None:
        """Stop and start again, with the data in the `data_dir` of the configuration.

        Clients use the new server. Raises `RuntimeError` without a `data_dir`: a server in memory
        would have lost its accounts.
        """
        if not self._keeps:
            raise RuntimeError("a server that restarts needs a data_dir in presence_config")
        # Not by `play`, which asks a running server whether it has settled: during a restart no
        # server runs. What waits for the time meanwhile gets it from `InMemoryServer.stop`.
        self._run(self.server.restart(*(person.client for person in self._people.values())))
        self._run(self._catch_up(self.server))

    def close(self) -> None:
        """Stop the server, if it has started."""
        running, self._running = self._running, None
        if running is not None:
            self._run(running.stop())
        self._runner.close()

    def _run(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        with python_clock_at(self._fake.now()) as self._move_python_clock:
            return self._runner.run(run())

    def _time_has_come(self, now: Timestamp) -> None:
        self._move_python_clock(now)

    async def _play(self, server: InMemoryServer, work: Awaitable[T]) -> T:
        result = await server.in_time(work)
        await self._catch_up(server)
        return result

    async def _advance(self, server: InMemoryServer, duration: timedelta) -> None:
        """Let time pass from timer to timer, so that clients continue to poll."""
        clock = server.clock
        end = after(clock.now(), duration)
        while (due := clock.next_timer()) is not None and due <= end:
            clock.advance_to(due)
            await server.settled()
            if await self._receive():
                await self._catch_up(server)
        clock.advance_to(end)

    async def _catch_up(self, server: InMemoryServer) -> None:
        """Return once everybody has received everything."""
        for _ in range(_MOST_NEWS):
            await server.settled()
            if not await self._receive():
                return
        raise RuntimeError(
            "there is no end of news at one moment: does a module answer each change by another?"
        )

    async def _receive(self) -> bool:
        """Let every client receive news; return whether there was any."""
        return any([await person.catch_up() for person in self._people.values()])
