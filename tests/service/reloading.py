"""Nodes of one cluster within the process, whose modules are reloaded."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from lamplighter.cluster.entries import Changed, LateAnswer, Reminded, SentRoutes
from lamplighter.cluster.log import Agreed, MessageId, NodeFacts, NodeName, ToldToAll
from lamplighter.cluster.parts import Part, ToldValue
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.wire import decode_record
from lamplighter.errors import ModuleError, NodesDiffer
from lamplighter.routing.registrations import Registrations
from lamplighter.service.cluster_reload import FACT_OF_MODULES
from lamplighter.service.reload import Reload, ReloadResult
from tests.routing.callbacks import Act, answering
from tests.routing.people import ALICE, BOB, CHARLIE
from tests.service.nodes import Cluster, Node

__all__ = ["NEW", "OLD", "FakeModules", "Nodes", "running"]

OLD: Final = {FACT_OF_MODULES: "Old"}
NEW: Final = {FACT_OF_MODULES: "New"}


class Candidate:
    """Modules that a node has tried."""

    needs_restart: Sequence[str] = ()

    def __init__(self, modules: "FakeModules", name: str) -> None:
        self.registrations = modules.registered(name, show_charlie)
        self._modules, self._name = modules, name

    def use(self) -> None:
        self._modules.in_use = self._name

    async def begin(self) -> None:
        self._modules.steps.append("begun")

    async def discard(self) -> None:
        self._modules.steps.append("discarded")


class FakeModules:
    """The modules of one node: one module, which shows all to charlie, and is its own digest."""

    def __init__(self, node: Node, in_use: str) -> None:
        self.node = node
        self.in_use = in_use
        #: What the configuration names.
        self.configured = "New"
        self.steps: list[str] = []
        #: Why the new modules cannot be used here.
        self.problem: str | None = None
        #: What trying the new modules waits for.
        self.tried = asyncio.Event()
        self.tried.set()
        self.old: Act = show_charlie
        self.reload: Reload = node.reload.reload_of(self)
        node.core.swap.adopt(self.registered(in_use, lambda states: self.old(states)))

    def registered(self, name: str, act: Act) -> Registrations:
        registrations = self.node.core.swap.prepare()
        registrations.register(name, act, answering(set()))
        return registrations

    def names(self) -> Sequence[str]:
        return [self.in_use]

    def told(self) -> ToldValue:
        return ToldValue(self.configured, (Part(self.configured),))

    async def prepare(self, told: ToldValue) -> Candidate:
        self.steps.append("tries")
        await self.tried.wait()
        if self.problem is not None:
            raise ModuleError(self.problem)
        if told.text != self.configured:
            raise ModuleError("the modules in its configuration differ")
        return Candidate(self, told.text)


async def show_charlie(states: object) -> object:
    """Send everything to charlie, who shares no room with anybody."""
    assert isinstance(states, list)
    return {CHARLIE: set(states)}


class Nodes:
    """Nodes with their modules."""

    def __init__(self) -> None:
        self.cluster = Cluster(ALICE, BOB)
        self.modules: dict[str, FakeModules] = {}

    async def start(self, name: str, in_use: str = "Old") -> None:
        """Start a node with a module."""
        self.cluster.alike = {FACT_OF_MODULES: in_use}
        self.modules[name] = FakeModules(await self.cluster.start(name), in_use)

    async def reloads(self, name: str, seconds: float = 2) -> ReloadResult:
        """Reload at a node, and let time pass."""
        reloading = asyncio.ensure_future(self.modules[name].reload())
        await self.cluster.passes(seconds)
        return await reloading

    def in_use(self) -> list[str]:
        """Return which modules the nodes use that live: as asked, and as they themselves know."""
        used: list[str] = []
        for name in self.cluster.nodes:
            modules = self.modules[name]
            assert [it.name for it in modules.node.core.router.modules] == [modules.in_use]
            used.append(modules.in_use)
        return used

    async def works(self) -> None:
        """Tell of a status of each user, on a node that does not own the user."""
        for user_id in (ALICE, BOB):
            owner = self.cluster.owner_of(user_id)
            saved = self.cluster.other_than(owner).set(user_id, "works")
            await self.cluster.passes(1)
            assert saved.done()
            assert saved.exception() is None
            assert {node.knows(user_id)[1] for node in self.cluster.nodes.values()} == {"works"}

    async def may_join(self, alike: dict[str, str]) -> bool:
        """Tell whether a node of other modules may join; it leaves at once."""
        log = self.cluster.server.log()
        try:
            lease = await log.join(NodeName("joins"), NodeFacts("x", alike), BEGINNING)
        except NodesDiffer:
            return False
        await log.leave(lease)
        return True

    async def words(self) -> list[str]:
        """Return whose word entries have sent to charlie, in the order of the log; "|" agrees."""
        standing = await self.cluster.server.log().standing()
        reader = self.cluster.server.log()
        lease = next(iter(standing.nodes)).lease
        position, words = standing.complete_after, list[str]()
        while position < standing.head:
            records = (await reader.read(lease, position, MessageId(""), timedelta(0))).records
            position = records[-1].position
            for record in records:
                if isinstance(record, Agreed):
                    words.append("|")
                elif isinstance(record, ToldToAll):
                    for entry in decode_record(record.payload).entries:
                        if isinstance(entry, Changed | LateAnswer | Reminded):
                            words += _words(entry.routes)
        return words


def _words(routes: SentRoutes) -> list[str]:
    sent = [route for by_user in routes.values() for route in by_user.values()]
    return [module.name for route in sent for module in route.modules]


@asynccontextmanager
async def running(names: str, in_use: str = "Old") -> AsyncIterator[Nodes]:
    """Run nodes of these names, each with its share, until the block ends."""
    nodes = Nodes()
    for name in names:
        await nodes.start(name, in_use)
    await nodes.cluster.passes(4)
    yield nodes
    await nodes.cluster.stop()
