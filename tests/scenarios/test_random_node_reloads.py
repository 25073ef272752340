"""Random clusters whose modules are reloaded: in the end all nodes use the same modules."""

import asyncio
from random import Random  # noqa: TID251 - seeded: the same world each time
from typing import Final

import pytest

from lamplighter.clock import next_turn
from lamplighter.cluster.positions import record_of
from lamplighter.errors import ClusterRefused
from lamplighter.service.reload import ReloadResult
from tests.cluster.memory_log import Way
from tests.service.nodes import Node
from tests.service.reloading import Nodes, running

NAMES: Final = "abc"
WAYS: Final = (Way.CLOSED, Way.SILENT, Way.ANSWERS_LOST)
STEPS: Final = 8


class World:
    """A cluster, what happens to it, and an operator who starts again what has ended."""

    def __init__(self, nodes: Nodes, random: Random) -> None:
        self.nodes, self.cluster, self._random = nodes, nodes.cluster, random
        self._reloads: list[tuple[Node, asyncio.Task[ReloadResult]]] = []
        self._version = 0

    async def step(self) -> None:
        """Let something happen; what follows from it may be under way when this returns."""
        name = self._random.choice(NAMES)
        node = self.cluster.nodes.get(name)
        what = self._random.choice(("reload", "reload", "reload", "kill", "cut", "start"))
        if what == "reload" and node is not None:
            self._configure()
            reloading = asyncio.ensure_future(self.nodes.modules[name].reload())
            self._reloads.append((node, reloading))
        elif what == "kill" and node is not None and len(self.cluster.nodes) > 1:
            self.cluster.kill(name)
        elif what == "cut" and node is not None:
            node.log.way = self._random.choice(WAYS)
        elif what == "start":
            await self.start_those_that_are_away()
        for _ in range(self._random.randrange(60)):
            await next_turn()
        await self.cluster.passes(self._random.choice((0, 0, 1, 6)))
        self.one_at_a_time()

    async def heal(self) -> None:
        """End what disturbs the nodes, start all, and reload what the configuration has."""
        for node in self.cluster.nodes.values():
            node.log.way = Way.OPEN
        await self.cluster.passes(70)
        await self.start_those_that_are_away()
        await self.cluster.passes(5)
        living = next(iter(self.cluster.nodes))
        assert (await self.nodes.reloads(living)).problem is None
        await self.start_those_that_are_away()
        await self.cluster.passes(5)
        lives = self.cluster.nodes.values()
        assert all(reloading.done() for node, reloading in self._reloads if node in lives)

    async def start_those_that_are_away(self) -> None:
        """Start what does not run with the modules of its configuration, if it may join."""
        for name in NAMES:
            node = self.cluster.nodes.get(name)
            if node is not None and node.ended:
                self.cluster.kill(name)
                node = None
            if node is None:
                starting = asyncio.ensure_future(self.nodes.start(name, self._configured))
                await self.cluster.passes(6)
                if not starting.done():
                    starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                if not starting.cancelled() and (failure := starting.exception()) is not None:
                    assert isinstance(failure, ClusterRefused)
        self._configure_as_before()

    def one_at_a_time(self) -> None:
        """No two nodes that may write use different modules, once both have read the log."""
        read = {name: record_of(it.core.stream.position) for name, it in self.cluster.nodes.items()}
        used = {
            self.nodes.modules[name].in_use
            for name, it in self.cluster.nodes.items()
            if it.holder.lease is not None and read[name] == max(read.values())
        }
        assert len(used) <= 1

    @property
    def _configured(self) -> str:
        return f"Version{self._version}"

    def _configure(self) -> None:
        self._version += 1
        self._configure_as_before()

    def _configure_as_before(self) -> None:
        for name in self.cluster.nodes:
            self.nodes.modules[name].configured = self._configured


@pytest.mark.parametrize("seed", range(25))
async def test_random_node_reloads(seed: int) -> None:
    """Whatever happens during reloads, all nodes use the same modules after it, and go on."""
    async with running(NAMES, "Version0") as nodes:
        world = World(nodes, Random(seed))
        for _ in range(STEPS):
            await world.step()
        await world.heal()
        assert len(nodes.cluster.nodes) == len(NAMES)
        assert len(set(nodes.in_use())) == 1
        await nodes.works()
