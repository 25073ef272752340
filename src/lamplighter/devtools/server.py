"""A whole server in memory: no socket, and time that passes only when it is told to.

async with running_server(modules=[MyRouter]) as server:
    alice, bob = await server.register("alice"), await server.register("bob")
    await bob.set_status("online", "brb")
    await alice.sync()
    assert alice.sees(bob)
"""

import asyncio
import concurrent.futures
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from lamplighter.app import Lamplighter, Storage, build
from lamplighter.app.homeserver import Homeserver
from lamplighter.clock import Clock, Timer, Timestamp, after
from lamplighter.cluster.log import Log
from lamplighter.config import Config, load_config, parse_config_text
from lamplighter.devtools.at_work import counting_executors, threads_at_work
from lamplighter.devtools.client import Client
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.module_timers import modules_by
from lamplighter.devtools.turns import nothing_is_ready, turns_until_idle
from lamplighter.federation.transport import Transport
from lamplighter.homeserver.upstream.client import Connect
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle, module_entries
from lamplighter.modules.threads import ThreadWork
from lamplighter.presence.state import UserPresenceState
from lamplighter.web.http.server import HttpServer

__all__ = [
    "InMemoryServer",
    "ModuleToLoad",
    "configured_server",
    "module_entry",
    "running_server",
]

T = TypeVar("T")

#: A module's class, or the dotted path of it; alone or with its configuration.
ModuleToLoad: TypeAlias = type | str | tuple[type | str, Mapping[str, Any]]


#: How long one wait for threads and the database lasts at most, in seconds, and how many waits
#: there are before the server goes on without them.
_LONGEST_WAIT: Final = 0.002
_MOST_WAITS: Final = 60_000
#: More statements than this at one moment mean that the news never ends.
_MOST_STATEMENTS: Final = 2_000


class _NetworkClock:
    """The clock of the HTTP server in memory: simulated time, with timers that fire late.

    An HTTP server looks every second for clients that are too slow. In memory no client is, and
    simulated hours would become expensive. So its timers fire once `pass_time` is called.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: dict[_NetworkTimer, None] = {}

    def now(self) -> Timestamp:
        return self._clock.now()

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        timer = _NetworkTimer(self._timers, when, callback)
        self._timers[timer] = None
        return timer

    def pass_time(self) -> None:
        """Fire the timers that are due, each once."""
        for timer in [it for it in self._timers if it.when <= self.now()]:
            timer.cancel()
            timer.callback()


@dataclass(frozen=True, eq=False)
class _NetworkTimer:
    """One of those timers."""

    timers: "dict[_NetworkTimer, None]"
    when: Timestamp
    callback: Callable[[], None]

    def cancel(self) -> None:
        self.timers.pop(self, None)


class _Endless(RuntimeError):
    """There is no end of news at one moment."""


class InMemoryServer:
    """A running server, and the clock it goes by."""

    def __init__(
        self,
        config: Config,
        modules: Sequence[ConfiguredModule] | None,
        data_dir: Path | None,
        *,
        clock: FakeClock | None = None,
        transport: Transport | None = None,
        read_config: Callable[[], Config] | None = None,
        homeserver: Homeserver | None = None,
        connect: Connect | None = None,
        log: Log | None = None,
    ) -> None:
        """*transport* stands in for connections to other servers.

        *homeserver* stands in for the built-in one, *connect* for connections to another one, and
        *log* for the log of a cluster.
        *read_config* is where the modules are looked up when they are reloaded.
        """
        self._config = config
        self._modules = modules
        self._data_dir = data_dir
        self._running: Lamplighter | None = None
        self._http_server: HttpServer | None = None
        self._http: HttpClient | None = None
        self._transport = transport
        self._read_config = read_config
        self._homeserver = homeserver
        self._connect = connect
        self._log = log
        self._kept_in: Storage | None = None
        self._until_stopped = ExitStack()
        #: Further callers of `settled`, while the first one waits.
        self._waiting_to_settle: list[asyncio.Future[None]] | None = None
        #: Work in threads that has not ended for a minute: the server no longer waits for it.
        self._endless: frozenset[ThreadWork] = frozenset()
        self.clock = clock or FakeClock()
        self._network_clock = _NetworkClock(self.clock)

    @property
    def lamplighter(self) -> Lamplighter:
        """The server itself."""
        if self._running is None:
            raise RuntimeError("the server does not run")
        return self._running

    @property
    def server_name(self) -> ServerName:
        """The end of the local users' IDs."""
        return self._config.server_name

    @property
    def http(self) -> HttpClient:
        """A client, with connections of its own, that sends requests to the server."""
        if self._http is None:
            self._http = self._new_client()
        return self._http

    def _new_client(self) -> HttpClient:
        if self._http_server is None:
            raise RuntimeError("the server does not run")
        return HttpClient(self._http_server.connect, settle=self.settled)

    @property
    def api(self) -> ModuleApi:
        """The module API, for a test that acts as a module named `test` would."""
        return self.lamplighter.modules.make_api("test")

    def module(self, kind: type[T]) -> T:
        """Return the first loaded module that is a *kind*; raise `LookupError` without one."""
        for module in self.lamplighter.modules.loaded:
            if isinstance(module.instance, kind):
                return module.instance
        raise LookupError(f"no {kind.__name__} is loaded")

    async def register(self, name: str, *, device: str | None = None) -> Client:
        """Create a user and log them in; with the name of one that exists, log in once more."""
        directory = self.lamplighter.directory
        user_id = UserId(f"@{name}:{self.server_name}")
        device_id = DeviceId(device) if device else None
        if await directory.account(user_id) is None:
            login = await directory.register(name, None, device_id=device_id)
        else:
            login = await directory.log_in(user_id, device_id=device_id)
        return Client(self._new_client(), user_id, login.device_id, login.access_token)

    async def room(self, first: Client, *others: Client) -> str:
        """Return the ID of a new public room to which all of them are joined."""
        room_id = await first.create_room()
        for client in others:
            await client.join(room_id)
        return room_id

    async def advance(self, **duration: float) -> None:
        """Let time pass, given as to `timedelta`; what is due happens at its own instant."""
        end = after(self.clock.now(), timedelta(**duration))
        await self.settled()
        while (due := self.clock.next_timer()) is not None and due <= end:
            self.clock.advance_to(due)
            # Most timers find nothing to do, and a day has tens of thousands of them.
            if not self._is_at_rest():
                await self.settled()
        self.clock.advance_to(end)
        self._network_clock.pass_time()

    async def in_time(self, work: Awaitable[T]) -> T:
        """Return what *work* returns; if *work* waits for the time, let time pass.

        Thus a request that waits for a module gets its answer, also if the module never answers.
        """
        task = asyncio.ensure_future(work)
        while await self._still_waits(task) and (due := self.clock.next_timer()) is not None:
            self.clock.advance_to(due)
        return await task

    async def at_once(self, work: Awaitable[T]) -> T:
        """Return what *work* returns; raise `TimeoutError` if *work* waits for the time."""
        task = asyncio.ensure_future(work)
        if await self._still_waits(task):
            task.cancel()
            raise TimeoutError
        return await task

    async def settled(self) -> None:
        """Return once everything so far is delivered and saved, and nothing runs any more.

        All that is left waits for simulated time or for a request. Modules, their threads, the
        database and all other tasks of this event loop get the time that they need, also on a slow
        machine. Raises `RuntimeError` if there is no end.
        """
        if self._waiting_to_settle is not None:
            # What the first caller waits for may contain this call: so this one returns first.
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_to_settle.append(settled)
            await settled
            return
        last = self._storage.database.begun + _MOST_STATEMENTS
        waiting: list[asyncio.Future[None]] = []
        self._waiting_to_settle = waiting
        try:
            while True:
                await self.lamplighter.core.settled()
                await turns_until_idle()
                if not await self._has_waited(last) and not _release(waiting):
                    return
        finally:
            self._waiting_to_settle = None
            _release(waiting)

    def _is_at_rest(self) -> bool:
        """Tell whether all is settled still, after timers have fired at a settled server."""
        return (
            nothing_is_ready()
            and not self._storage.database.under_way
            and not threads_at_work(self._endless)
        )

    async def _has_waited(self, last: int) -> bool:
        """Wait for threads and the database; return whether there was something to wait for."""
        for number in range(_MOST_WAITS):
            if self._storage.database.begun > last:
                raise _Endless(
                    "there is no end of news at one moment: does a module answer each change by "
                    "another?"
                )
            threads = threads_at_work(self._endless)
            if not threads and not self._storage.database.under_way:
                return number > 0
            # The loop does not sleep: where its time is a simulated one, it would not wake up.
            futures = [it.future for it in threads] or [concurrent.futures.Future()]
            pause = min(_LONGEST_WAIT, _LONGEST_WAIT * number / 20)
            concurrent.futures.wait(futures, pause, concurrent.futures.FIRST_COMPLETED)
            await turns_until_idle()
        self._endless |= frozenset(threads_at_work())
        warnings.warn(
            "what a module does in a thread has not ended for a minute: the simulated time goes on "
            "without it. What never ends belongs in a threading.Thread of its own.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False

    @property
    def _storage(self) -> Storage:
        if self._kept_in is None:
            raise RuntimeError("the server does not run")
        return self._kept_in

    def presence_of(self, user: Client | str) -> UserPresenceState:
        """Return somebody's presence as the server knows it."""
        user_id = UserId(user) if isinstance(user, str) else user.user_id
        return self.lamplighter.core.for_modules.presence_of(user_id)

    async def start(self) -> None:
        """Start the server; for one with a data directory, with what it knew before."""
        if self._data_dir is None:
            # Nothing is kept: an operator's own database is left alone. So is the cluster, below.
            storage = Storage.in_memory()
        else:
            if self._config.database is None:
                Storage.prepare(self._data_dir)
            storage = Storage.of(msgspec.structs.replace(self._config, data_dir=self._data_dir))
        self._kept_in = storage
        config = self._config
        if self._log is None:
            config = msgspec.structs.replace(config, cluster=None)
        with ExitStack() as until_stopped:
            until_stopped.enter_context(counting_executors())
            until_stopped.enter_context(modules_by(self.clock))
            self._running = await build(
                config,
                self.clock,
                storage,
                self._modules,
                self._transport,
                self._read_config,
                self._homeserver,
                self._connect,
                self._log,
            )
            self._until_stopped = until_stopped.pop_all()
        self._http_server = self._running.http_server(self._network_clock)
        self._running.start()
        self._running.opened()

    async def stop(self) -> None:
        """Stop the server in good order; requests that wait for a module then get 503."""
        running, http_server = self.lamplighter, self._http_server
        running.answer_polls()
        if http_server is not None:
            http_server.close()
            with suppress(_Endless):  # a module that never rests is stopped all the same
                await self.settled()
            http_server.cut_off()
            await http_server.answered()
            http_server.abort()
        self._running = self._http_server = self._http = None
        with self._until_stopped:
            await self._at_the_machine_s_pace(running.stop())

    async def _at_the_machine_s_pace(self, work: Awaitable[None]) -> None:
        """Do *work*; if *work* waits for the time, the clock goes at the machine's pace."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await turns_until_idle()
            due = self.clock.next_timer()
            pause = None if due is None else (due - self.clock.now()) / 1000
            await asyncio.wait({task}, timeout=pause)
            if due is not None and not task.done():
                self.clock.advance_to(due)
        await task

    async def _still_waits(self, task: asyncio.Future[Any]) -> bool:
        """Let *task* continue; return whether it then waits for the time or for a request."""
        if task.done():
            return False
        await self.settled()
        return not task.done()

    def configure(self, config: Config) -> None:
        """Use another configuration, with its modules, from the next start on."""
        self._config, self._modules = config, None

    async def restart(self, *clients: Client) -> None:
        """Stop and start again; *clients* keep their tokens and use the new server."""
        await self.stop()
        await self.start()
        for client in clients:
            client.reconnect(self._new_client())


@asynccontextmanager
async def running_server(
    modules: Sequence[ModuleToLoad] = (),
    *,
    server_name: str = "demo",
    config: str = "",
    data_dir: Path | None = None,
) -> AsyncIterator[InMemoryServer]:
    """Run a server with *modules*, followed by the modules of *config*, until the block ends.

    *config* is YAML; there are no rate limits unless it has `rate_limits`. With a *data_dir* the
    server stores its data there, and can be restarted.
    """
    named = f"server_name: {server_name}\n{config}"
    limits = "" if "rate_limits:" in config else "\nrate_limits: off\n"
    settings = parse_config_text(named + limits, Path("memory.yaml"))
    entries = [module_entry(module, index) for index, module in enumerate(modules)]
    server = InMemoryServer(settings, [*entries, *module_entries(settings)], data_dir)
    async with _running(server):
        yield server


@asynccontextmanager
async def configured_server(path: Path) -> AsyncIterator[InMemoryServer]:
    """Run a server with the configuration at *path*, in memory, until the block ends.

    `server.lamplighter.reload()` reads it again.
    """
    server = InMemoryServer(load_config(path), None, None, read_config=lambda: load_config(path))
    async with _running(server):
        yield server


@asynccontextmanager
async def _running(server: InMemoryServer) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop()


def _release(waiting: list["asyncio.Future[None]"]) -> bool:
    """Let all of *waiting* go on; return whether there were any."""
    released = [it for it in waiting if not it.done()]
    waiting.clear()
    for future in released:
        future.set_result(None)
    return bool(released)


def module_entry(module: ModuleToLoad, index: int) -> ConfiguredModule:
    """Return a module as a configuration would have it, at the place *index* of its list."""
    kind, config = module if isinstance(module, tuple) else (module, {})
    path = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    in_hand = None if isinstance(kind, str) or "<locals>" not in path else kind
    where = f"modules[{index}]"
    return ConfiguredModule(path, config, ModuleStyle.CALLBACKS, where, factory=in_hand)
