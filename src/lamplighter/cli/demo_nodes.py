"""`lamplighter demo --nodes 3`: some nodes that are one server, and what is seen as one dies.

Everything is real: a PostgreSQL, a Valkey, and a process for each node. Alice and bob reach the
nodes over HTTP. The node that decides about bob's presence is killed while alice watches him.
"""

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from lamplighter.app.cluster import open_log
from lamplighter.cli.cluster_status import condition_of, status_lines
from lamplighter.cli.demo_engines import engines_in, process_of
from lamplighter.cli.demo_guard import guard_of
from lamplighter.cli.serve import until_told_to_stop
from lamplighter.clock import SystemClock, Timestamp, sleep
from lamplighter.cluster.log import Log, NodeName
from lamplighter.cluster.partitions import partition_of
from lamplighter.config import Address, Config, load_config
from lamplighter.errors import ClusterUnavailable, ConfigError
from lamplighter.logs import set_up_logs

__all__ = ["demo_nodes"]

_CONFIG: Final = """\
server_name: demo
listen: {address}
data_dir: {name}
database: {database}
cluster: {{node: {name}, bus: "{bus}"}}
registration: open
log: {{level: warning}}
"""
_NAMES: Final = "abcdefgh"
_V3: Final = "/_matrix/client/v3"
_LOOKS_EVERY: Final = timedelta(milliseconds=100)
_POLL_MS: Final = 30_000
#: Longer than any answer takes.
_TIMEOUT_SECONDS: Final = 40


def demo_nodes(listen: str, number: int) -> None:
    """Tell the story with *number* nodes, the first at the address *listen*; then stop them all.

    SIGTERM and Ctrl-C stop them earlier. Raises `ConfigError`.
    """
    set_up_logs("critical")
    with tempfile.TemporaryDirectory(prefix="lamplighter-demo-") as folder:
        asyncio.run(_until_stopped(_Demo(Path(folder), listen, number)))


async def _until_stopped(demo: "_Demo") -> None:
    told = asyncio.ensure_future(until_told_to_stop())
    telling = asyncio.ensure_future(demo.tell())
    either: list[asyncio.Future[None]] = [telling, told]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not telling.done():
        _say("Stopping.")
    for task in either:
        task.cancel()
    await asyncio.gather(*either, return_exceptions=True)
    if not telling.cancelled():
        telling.result()  # raises what has gone wrong
    _say("Everything is stopped.")


@dataclass(frozen=True)
class _Answer:
    """An answer; the status 0 stands for none."""

    status: int
    json: Mapping[str, Any]


@dataclass(frozen=True)
class _Person:
    """A user with an access token, which every node takes."""

    user_id: str
    token: str

    async def ask(self, node: Address, method: str, path: str, body: object = None) -> _Answer:
        """Send a request to a node."""
        return await asyncio.to_thread(_request, node, method, path, body, self.token)

    async def sets_status(self, node: Address, status_msg: str) -> _Answer:
        """PUT a status."""
        path = f"{_V3}/presence/{quote(self.user_id, safe='')}/status"
        return await self.ask(node, "PUT", path, {"presence": "online", "status_msg": status_msg})


def _request(
    node: Address, method: str, path: str, body: object = None, token: str | None = None
) -> _Answer:
    connection = HTTPConnection(node.host, node.port, timeout=_TIMEOUT_SECONDS)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return _Answer(response.status, json.loads(response.read()))
    except (OSError, HTTPException):
        return _Answer(0, {})
    finally:
        connection.close()


@dataclass(eq=False)
class _Demo:
    """The nodes, and what happens to them."""

    folder: Path
    listen: str
    number: int
    clock: SystemClock = field(default_factory=SystemClock)
    addresses: dict[NodeName, Address] = field(default_factory=dict)
    processes: dict[NodeName, Process] = field(default_factory=dict)

    async def tell(self) -> None:
        """Start everything, tell the story, and stop everything."""
        async with AsyncExitStack() as stack:
            _say("Starting PostgreSQL and Valkey ...")
            guard = await stack.enter_async_context(guard_of(self.folder))
            engines = await stack.enter_async_context(engines_in(self.folder, guard))
            configs = {
                name: self._configure(name, place, engines.database, engines.bus)
                for place, name in enumerate(map(NodeName, _NAMES[: self.number]))
            }
            for name, config in configs.items():
                path = self.folder / f"{name}.yaml"
                command = [sys.executable, "-m", "lamplighter", "serve", "-c", path]
                self.addresses[name] = config.listen[0]
                self.processes[name] = await stack.enter_async_context(
                    process_of([*map(str, command)], path.with_suffix(".log"), guard)
                )
            cluster = configs[NodeName("a")].cluster
            assert cluster is not None  # as it was written
            log = open_log(cluster.bus, configs[NodeName("a")].server_name, self.clock)
            stack.push_async_callback(log.close)
            await self._ready(log)
            await self._story(log)

    def _configure(self, name: NodeName, place: int, database: str, bus: str) -> Config:
        host, _, port = self.listen.rpartition(":")
        if not port.isdecimal():
            raise ConfigError(f"--listen: {self.listen}: needs a port, as in 127.0.0.1:8008")
        address = f"{host}:{int(port) + place}"
        path = self.folder / f"{name}.yaml"
        path.write_text(_CONFIG.format(name=name, address=address, database=database, bus=bus))
        return load_config(path)

    async def _ready(self, log: Log) -> None:
        """Return once all nodes serve, and each owns its share of the users."""
        while True:
            for name, process in self.processes.items():
                if process.returncode is not None:
                    said = (self.folder / f"{name}.log").read_text().strip()
                    raise ConfigError(f"--nodes: node {name} has ended: {said}")
            try:
                condition = await condition_of(log, self.clock)
            except ClusterUnavailable:
                owning = 0
            else:
                owning = sum(it.partitions > 0 for it in condition.nodes)
            answers = [
                await asyncio.to_thread(_request, it, "GET", "/ready")
                for it in self.addresses.values()
            ]
            if owning == self.number and all(it.status == 200 for it in answers):
                break
            await sleep(self.clock, _LOOKS_EVERY)
        for name, address in self.addresses.items():
            _say(f"Node {name} serves http://{address}")

    async def _story(self, log: Log) -> None:
        owner = (await log.standing()).owners[partition_of("@bob:demo")].node
        others = [name for name in self.addresses if name != owner]
        alice_at, bob_at = others[0], others[-1]
        alice = await self._registered("alice", alice_at)
        bob = await self._registered("bob", owner)
        node = self.addresses[alice_at]
        room = await alice.ask(node, "POST", f"{_V3}/createRoom", {"preset": "public_chat"})
        await bob.ask(self.addresses[owner], "POST", f"{_V3}/join/{room.json['room_id']}", {})
        watching = _Watching(self.clock, alice, node, bob.user_id)
        await watching.look(0)
        _say(f"alice is at node {alice_at}, bob at node {owner}, which also decides about him.")
        since = self.clock.now()
        async with asyncio.TaskGroup() as group:
            group.create_task(watching.until("lighting the lamps"))
            await bob.sets_status(self.addresses[owner], "lighting the lamps")
        _say(f"bob sets “lighting the lamps”; alice sees it after {watching.last - since} ms.")
        async with asyncio.TaskGroup() as group:
            group.create_task(watching.until("still burning"))
            killed = await self._kill(owner)
            _say(f"Node {owner} is killed (kill -9). bob goes on at node {bob_at} with his token.")
            refused = 0
            while (await bob.sets_status(self.addresses[bob_at], "still burning")).status != 200:
                refused += 1
            seconds = (self.clock.now() - killed) / 1000
            again = f", refused {refused} times before" if refused else "; the request waited"
            _say(f"bob sets “still burning”: answered with 200 after {seconds:.1f} s{again}.")
        _say(f"alice sees it {(watching.last - killed) / 1000:.1f} s after the node's death.")
        _say("All that alice saw of bob: " + ", then ".join(watching.seen) + ".")
        for line in status_lines(await condition_of(log, self.clock)):
            _say(f"  {line}")

    async def _kill(self, name: NodeName) -> Timestamp:
        """Kill a node; return when it was dead."""
        self.processes[name].kill()
        await self.processes[name].wait()
        return self.clock.now()

    async def _registered(self, name: str, node: NodeName) -> _Person:
        body = {"username": name, "password": name * 3, "auth": {"type": "m.login.dummy"}}
        address = self.addresses[node]
        answer = await asyncio.to_thread(_request, address, "POST", f"{_V3}/register", body)
        return _Person(answer.json["user_id"], answer.json["access_token"])


@dataclass(eq=False)
class _Watching:
    """Alice, who polls at one node, and what she sees of bob."""

    clock: SystemClock
    viewer: _Person
    node: Address
    about: str
    #: Each state that came, in words.
    seen: list[str] = field(default_factory=list)
    #: When the last one came.
    last: int = 0
    _since: str = ""

    async def until(self, status_msg: str) -> None:
        """Poll until a state with this status message has come."""
        while not self.seen or not self.seen[-1].endswith(f"“{status_msg}”"):
            await self.look(_POLL_MS)

    async def look(self, timeout_ms: int) -> None:
        """Sync once, and note what comes of the user."""
        since = f"&since={quote(self._since)}" if self._since else ""
        path = f"{_V3}/sync?timeout={timeout_ms}{since}"
        answer = await self.viewer.ask(self.node, "GET", path)
        self._since = answer.json.get("next_batch", self._since)
        for event in answer.json.get("presence", {}).get("events", []):
            if event["sender"] == self.about:
                content = event["content"]
                message = f" “{content['status_msg']}”" if content.get("status_msg") else ""
                self.seen.append(content["presence"] + message)
                self.last = self.clock.now()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the demo prints
