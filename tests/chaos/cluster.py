"""Three nodes that are started again whenever they end, their ways to Valkey, both engines."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same faults in the same order
from typing import Any, Final

import aiohttp

from tests.chaos.diary import Diary
from tests.chaos.link import Link
from tests.chaos.oracle import Freeze
from tests.chaos.passing import instant, pause
from tests.chaos.person import GRACE
from tests.chaos.rules import FILE, MODULE, Rule
from tests.interop.processes import Ended, ServerProcess, reserved_port
from tests.postgresql import PostgresServer
from tests.valkey import ValkeyServer

__all__ = ["FAULTS", "ChaosCluster", "cluster_of", "faults"]

NAMES: Final = "abc"
_ADMIN_TOKEN: Final = "chaos"
#: How long a fault lasts, in seconds.
_LASTS: Final = (0.2, 1.0, 2.5, 5.0)
#: How a node may end: when it is told to, killed, or when only a new start helps.
_ENDS: Final = frozenset({0, 1, 2, -signal.SIGKILL, -signal.SIGTERM})
FAULTS: Final = (
    *("kill", "kill", "stop", "stop", "freeze", "freeze", "cut", "cut", "hold", "hold"),
    *("valkey", "valkey", "lost", "postgres", "blackout"),
)


class ChaosCluster:
    """Runs everything, and disturbs it."""

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        postgres_url: str,
        valkey: ValkeyServer,
        diary: Diary,
        http: aiohttp.ClientSession,
    ) -> None:
        self._folder, self._postgres, self._valkey = folder, postgres, valkey
        self._database, self._diary, self._http = postgres_url, diary, http
        #: When all nodes died with all data of Valkey, and when the last node that was ready ended.
        self.blackouts: list[float] = []
        self.darknesses: list[float] = []
        self.freezes: list[Freeze] = []
        self.kills: list[float] = []
        #: When PostgreSQL was away.
        self.outages: list[tuple[float, float]] = []
        self._ready: set[str] = set()
        self.nodes: dict[str, ServerProcess] = {}
        self.links: dict[str, Link] = {}
        self._faults: Iterator[str] | None = None
        self.problems: list[str] = []
        self._is_over = False

    @property
    def urls(self) -> list[str]:
        """Where clients reach the nodes."""
        return [node.url for node in self.nodes.values()]

    async def add(self, name: str, port: int) -> None:
        """Make a node, which does not run."""
        link = Link(str(self._folder / f"{name}.socket"), self._valkey.url.removeprefix("unix://"))
        await link.start()
        node = ServerProcess(self._folder / name, port)
        (node.folder / FILE).write_text(MODULE)
        self.links[name], self.nodes[name] = link, node

    def configure(self, rule: Rule) -> None:
        """Write the configuration of all nodes; it counts with the next start, or reload."""
        for name, node in self.nodes.items():
            node.configure(
                f"database: {self._database}\n"
                f"cluster: {{node: {name}, bus: '{self.links[name].url}'}}\n"
                f"presence: {{sync_online_timeout: {GRACE:.0f}s}}\n"
                f"admin: {{token_hash: {sha256(_ADMIN_TOKEN.encode()).hexdigest()}}}\n"
                + rule.configuration()
            )

    async def keep_running(self, name: str) -> None:
        """Start a node, and start it again whenever it has ended."""
        node = self.nodes[name]
        while not self._is_over:
            node.launch()
            self._diary.note(f"node {name} is started")
            starting = asyncio.ensure_future(self._learn_of_start(name))
            ended = await self._ended(node)
            starting.cancel()
            if self._ready == {name}:
                self.darknesses.append(instant())
            self._ready.discard(name)
            self._look_at(name, ended)
            await pause(0.5)

    async def _learn_of_start(self, name: str) -> None:
        while (await self._ask("GET", f"{self.nodes[name].url}/ready"))[0] != 200:
            await pause(0.1)
        self._ready.add(name)
        self._diary.note(f"node {name} is ready")

    async def _ended(self, node: ServerProcess) -> Ended:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return await asyncio.to_thread(node.ended)

    def _look_at(self, name: str, ended: Ended) -> None:
        with (self._folder / f"{name}.log").open("a") as file:
            file.write(ended.log)
        said = ""
        if ended.code in (1, 2):
            said = f": {ended.log.strip().splitlines()[-1:]}"
        self._diary.note(f"node {name} has ended with {ended.code}{said}")
        if ended.code not in _ENDS or "Traceback" in ended.log:
            self.problems.append(f"node {name} has ended with {ended.code}: {ended.log}")

    async def end(self) -> None:
        """End everything."""
        self._is_over = True
        for node in self.nodes.values():
            self._signal(node, signal.SIGCONT)
            self._signal(node, signal.SIGKILL)
        for link in self.links.values():
            await link.close()

    # --- faults ---------------------------------------------------------------------------

    async def fault(self, random: Random) -> None:
        """Let one fault happen, and end; a node that was killed may be away for longer."""
        self._faults = self._faults or faults(random)
        what, name, lasts = next(self._faults), random.choice(NAMES), random.choice(_LASTS)
        where = name if what in ("kill", "stop", "freeze", "cut", "hold") else ""
        self._diary.note(f"{what} {where} {lasts}")
        node, link = self.nodes[name], self.links[name]
        if what == "kill":
            self.kills.append(instant())
            self._signal(node, signal.SIGKILL)
        elif what == "stop":
            self._signal(node, signal.SIGTERM)
        elif what == "freeze":
            began = instant()
            self._signal(node, signal.SIGSTOP)
            await pause(lasts)
            self.freezes.append(Freeze(node.url, began, instant()))
            self._signal(node, signal.SIGCONT)
        elif what in ("cut", "hold"):
            (link.cut if what == "cut" else link.hold)()
            await pause(lasts)
            link.heal()
        elif what == "postgres":
            began = instant()
            await asyncio.to_thread(self._postgres.stop)
            await pause(lasts)
            await asyncio.to_thread(self._postgres.start)
            self.outages.append((began, instant()))
        else:
            await self._disturb_valkey(what, lasts)
        self._diary.note(f"{what} {where} is over")

    async def _disturb_valkey(self, what: str, lasts: float) -> None:
        """Let Valkey end for a while, perhaps without its data, and perhaps all nodes with it."""
        if what == "blackout":
            self.blackouts.append(instant())
            for node in self.nodes.values():
                self._signal(node, signal.SIGKILL)
        if what != "valkey":
            await asyncio.to_thread(self._valkey.lose_data)
        self._valkey.kill()
        await pause(lasts)
        await asyncio.to_thread(self._valkey.start)

    @staticmethod
    def _signal(node: ServerProcess, number: signal.Signals) -> None:
        if node.is_started:
            node.signal(number)

    # --- what an operator asks ------------------------------------------------------------

    async def all_ready(self, within: float) -> None:
        """Return once every node is ready; it is a problem if that takes so many seconds."""
        until = instant() + within
        while not await self._are_ready():
            if instant() > until:
                self.problems.append(f"only {sorted(self._ready)} of the nodes are ready")
                return
            await pause(0.1)

    async def _are_ready(self) -> bool:
        answers = [await self._ask("GET", f"{url}/ready") for url in self.urls]
        return len(self._ready) == len(NAMES) and all(
            status == 200 and "warning" not in content for status, content in answers
        )

    async def reload(self, random: Random) -> str:
        """Ask some node to reload the modules of all; return what it answers, empty if it did."""
        url = f"{random.choice(self.urls)}/_lamplighter/admin/modules/reload"
        status, content = await self._ask("POST", url)
        if status == 200 and content["problem"] is None:
            return ""
        return f"{status} {content}"

    async def explain(self, viewer: str, subject: str) -> list[str]:
        """Return what each node says of whether one user sees the other, and why.

        Each node also tells of the devices of *subject*, as far as this node knows them.
        """
        lines = list[str]()
        for name, node in self.nodes.items():
            admin = f"{node.url}/_lamplighter/admin"
            query = f"viewer={viewer}&subject={subject}"
            _, explained = await self._ask("GET", f"{admin}/explain?{query}")
            _, user = await self._ask("GET", f"{admin}/users/{subject}")
            lines.append(f"node {name} explains: {json.dumps(explained)}")
            lines.append(f"node {name} tells of {subject}: {json.dumps(user)}")
        return lines

    async def _ask(self, method: str, url: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {_ADMIN_TOKEN}"}
        try:
            async with self._http.request(method, url, headers=headers) as response:
                return response.status, json.loads(await response.text())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return 0, type(error).__name__


def faults(random: Random) -> Iterator[str]:
    """Yield one fault of each kind, so that a minute has all of them; then `FAULTS`, and again.

    Each time the order is another.
    """
    deck = sorted({*FAULTS})
    while True:
        yield from random.sample(deck, len(deck))
        deck = list(FAULTS)


@asynccontextmanager
async def cluster_of(cluster: ChaosCluster, rule: Rule) -> AsyncIterator[ChaosCluster]:
    """Let three nodes run until the block ends."""
    with ExitStack() as stack:
        for name in NAMES:
            await cluster.add(name, stack.enter_context(reserved_port()))
        cluster.configure(rule)
        keeping = [asyncio.ensure_future(cluster.keep_running(name)) for name in NAMES]
        try:
            yield cluster
        finally:
            await cluster.end()
            await asyncio.gather(*keeping)
