"""Servers that speak to each other: all of it is real but the connections and the time."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from multidict import CIMultiDict, CIMultiDictProxy

from lamplighter.clock import after, milliseconds
from lamplighter.config import parse_config_text
from lamplighter.devtools.client import Client
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.server import InMemoryServer
from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.discovery import Target
from lamplighter.federation.transport import Answer, Transport
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.loader import module_entries
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS
from tests.web.clients import client_of

__all__ = [
    "ONE",
    "THREE",
    "TWO",
    "Network",
    "Put",
    "Routing",
    "Setup",
    "Wire",
    "World",
    "running_world",
]

# Names that are addresses: discovery is real, and asks nobody.
ONE: Final = "192.0.2.1"
TWO: Final = "192.0.2.2"
THREE: Final = "192.0.2.3"

#: Viewer to users, or "ALL".
Shown = Mapping[str, Sequence[str] | str]

_CONFIG: Final = """\
server_name: {name}
rate_limits: off
federation:
  enabled: true
  allow_addresses: [192.0.2.0/24]
  deny_servers: {denies}
modules:
- module: tests.scenarios.federated_worlds.Routing
  config: {rules}
"""


class Routing:
    """A module by whose rules users are pushed to viewers, named for them, or altered for them."""

    def __init__(self, config: Mapping[str, Shown], api: ModuleApi) -> None:
        self._rules = config
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(
        self, state_updates: Sequence[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        told = {
            viewer: {it for it in state_updates if users == "ALL" or it.user_id in users}
            for viewer, users in self._rules["pushes"].items()
        }
        for viewer, users in self._rules["hides"].items():
            hidden = {it.copy_and_replace(status_msg=None) for it in state_updates}
            told[viewer] = {state for state in hidden if state.user_id in users}
        return told

    async def get_interested_users(self, user_id: str) -> set[str] | str:
        named = self._rules["names"].get(user_id, [])
        return PRESENCE_ALL_USERS if named == "ALL" else set(named)


@dataclass(frozen=True)
class Setup:
    """How a server is set up."""

    name: str
    #: Of whom viewers are told.
    pushes: Shown = field(default_factory=dict)
    #: Of whom viewers are told, but not the status message.
    hides: Shown = field(default_factory=dict)
    #: Whom viewers see who ask.
    names: Shown = field(default_factory=dict)
    denies: Sequence[str] = ()
    #: How far its clock is ahead of the true time.
    ahead: timedelta = timedelta(0)

    def config(self) -> str:
        """Return the configuration, in YAML."""
        rules = {"pushes": self.pushes, "hides": self.hides, "names": self.names}
        denies = json.dumps(list(self.denies))
        return _CONFIG.format(name=self.name, denies=denies, rules=json.dumps(rules))


@dataclass(frozen=True)
class Put:
    """A transaction on its way."""

    origin: str
    destination: str
    #: How long after the beginning of the world.
    at: timedelta
    #: The presence entries in it, by user.
    push: dict[str, dict[str, Any]]
    #: What was answered; None is nothing.
    status: int | None

    @property
    def messages(self) -> dict[str, str | None]:
        """The status messages in it, by user."""
        return {user_id: entry.get("status_msg") for user_id, entry in self.push.items()}


@dataclass(frozen=True)
class Sending:
    """The headers and the body of a request."""

    headers: Mapping[str, str]
    body: bytes


class Network:
    """The network between the servers."""

    def __init__(self) -> None:
        self.time = timedelta(0)
        #: The servers that run.
        self.servers: dict[str, HttpClient] = {}
        #: The servers that cannot reach anybody, and be reached by nobody.
        self.down: set[str] = set()
        self.puts: list[Put] = []
        #: How many requests were made, and how many of them are over.
        self.begun = 0
        self.ended = 0

    def arrived(self, origin: str) -> list[Put]:
        """Return the transactions of *origin* that were taken."""
        return [put for put in self.puts if put.origin == origin and put.status == 200]

    async def carry(
        self, origin: str, destination: str, method: str, path: str, sent: Sending
    ) -> Answer:
        """Take a request to its destination; raise `RemoteUnreachable` where that is down."""
        self.begun += 1
        status = None
        try:
            if {origin, destination} & self.down or destination not in self.servers:
                raise RemoteUnreachable(f"{destination} is down")
            response = await self.servers[destination].request(
                method, path, body=sent.body, headers=sent.headers
            )
            status = response.status
            headers = CIMultiDictProxy(CIMultiDict(response.headers))
            return Answer(response.status, headers, response.body)
        finally:
            self.ended += 1
            if method == "PUT":
                edus = json.loads(sent.body)["edus"]
                push = {it["user_id"]: it for edu in edus for it in edu["content"]["push"]}
                self.puts.append(Put(origin, destination, self.time, push, status))


class Wire(Transport):
    """One server's end of the network."""

    def __init__(self, network: Network, origin: str) -> None:
        super().__init__(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lambda _: True)
        self._network = network
        self._origin = origin

    async def exchange(
        self,
        target: Target,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int,
    ) -> Answer:
        sending = Sending(headers or {}, body or b"")
        return await self._network.carry(self._origin, target.host_header, method, path, sending)


class World:
    """Some servers, and the time that passes for all of them."""

    def __init__(self, folder: Path, *setups: Setup) -> None:
        self.network = Network()
        self._servers = {it.name: self._server(folder / it.name, it) for it in setups}

    def __getitem__(self, name: str) -> InMemoryServer:
        """Return the server of that name."""
        return self._servers[name]

    async def start(self) -> None:
        """Start all servers."""
        for name in self._servers:
            await self.start_one(name)

    async def start_one(self, name: str, *clients: Client) -> None:
        """Start a server; *clients* find it again."""
        server = self._servers[name]
        await server.start()
        running = server.lamplighter
        assert running.federation is not None
        application = running.federation.application(running.core.federated, running.directory)
        self.network.servers[name] = client_of(application)
        for client in clients:
            client.reconnect(server.http)

    async def stop_one(self, name: str) -> None:
        """Stop a server in good order."""
        del self.network.servers[name]
        await self._servers[name].stop()

    async def restart_one(self, name: str, *clients: Client) -> None:
        """Stop a server and start it again, on what it has kept."""
        await self.stop_one(name)
        await self.start_one(name, *clients)

    async def stop(self) -> None:
        """Stop what runs."""
        for name in list(self.network.servers):
            await self.stop_one(name)

    async def advance(self, **duration: float) -> None:
        """Let time pass, and what it causes happen at its own instant, on every server."""
        end = self.network.time + timedelta(**duration)
        await self.settled()
        while (step := self._next_timer()) is not None and self.network.time + step <= end:
            self._pass(step)
            await self.settled()
        self._pass(end - self.network.time)
        await self.settled()

    async def settled(self) -> None:
        """Return once all servers have done what there was to do."""
        while True:
            begun = self.network.begun
            for name in self.network.servers:
                await self._servers[name].settled()
            if begun == self.network.begun == self.network.ended:
                return

    def _next_timer(self) -> timedelta | None:
        clocks = [server.clock for server in self._servers.values()]
        waits = [due - clock.now() for clock in clocks if (due := clock.next_timer()) is not None]
        return timedelta(milliseconds=min(waits)) if waits else None

    def _pass(self, step: timedelta) -> None:
        self.network.time += step
        for server in self._servers.values():
            server.clock.advance(milliseconds=milliseconds(step))

    def _server(self, data_dir: Path, setup: Setup) -> InMemoryServer:
        config = parse_config_text(setup.config(), Path("memory.yaml"))
        clock = FakeClock(after(FakeClock().now(), setup.ahead))
        wire = Wire(self.network, setup.name)
        return InMemoryServer(config, module_entries(config), data_dir, clock=clock, transport=wire)


@asynccontextmanager
async def running_world(folder: Path, *setups: Setup) -> AsyncIterator[World]:
    """Run servers that keep their things in *folder*, until the block ends."""
    world = World(folder, *setups)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()
