"""Several nodes of the built-in homeserver over one database, and their stream in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lamplighter.cluster.positions import RECORD
from lamplighter.config import parse_config_text
from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import LogUnreachable
from lamplighter.homeserver.builtin import BuiltInHomeserver
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import StreamPosition
from lamplighter.ports import WayToNodes
from lamplighter.service.background import Background
from tests.contract.directories import SERVER, Recorder

__all__ = ["Node", "NodesOfOne", "SharedNews", "nodes_on"]


@dataclass(eq=False)
class Node:
    """One node, what it has heard, and what it is prevented from."""

    homeserver: BuiltInHomeserver
    recorder: Recorder
    clock: FakeClock
    background: Background
    #: How much of the stream it has heard.
    heard: int = 0
    #: Whether the stream does not reach it at the moment.
    is_held: bool = False
    #: Whether it cannot append anything.
    is_cut: bool = False
    #: Whether it asks where the stream ends before it accepts an access token, or writes.
    looks_first: bool = False
    waiting: dict[int, "asyncio.Future[None]"] = field(default_factory=dict)

    @property
    def directory(self) -> SqlDirectory:
        """The node's directory."""
        return self.homeserver.directory


class SharedNews:
    """The stream: what every node is handed, in one order."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.told: list[tuple[StreamPosition, bytes]] = []

    def append(self, payload: bytes) -> int:
        """Append what some node tells; return how much stood there before."""
        self.told.append((self.position_of(len(self.told)), payload))
        return len(self.told) - 1

    def position_of(self, place: int) -> StreamPosition:
        """Return the position of what is told after so many others."""
        return StreamPosition((1_000_000 + place) * RECORD)

    def hand_out(self) -> None:
        """Hand to every node what it has not heard, but for those that are held."""
        for node in self.nodes:
            while not node.is_held and node.heard < len(self.told):
                self.hand_one(node)

    def hand_one(self, node: Node) -> None:
        """Hand to *node* the next of what it has not heard."""
        position, payload = self.told[node.heard]
        node.homeserver.heard(position, payload)
        waiting = node.waiting.pop(node.heard, None)
        node.heard += 1
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


@dataclass(eq=False)
class NodesOfOne:
    """The nodes of one server, and their stream."""

    news: SharedNews
    nodes: Sequence[Node]
    clock: FakeClock

    async def one_more(self, database: Database) -> Node:
        """Start another node."""
        node = await _started(self.news, database, self.clock)
        self.news.nodes.append(node)
        return node

    def release(self) -> None:
        """Let every node hear everything from now on."""
        for node in self.nodes:
            node.is_held = node.is_cut = False
        self.news.hand_out()


@asynccontextmanager
async def nodes_on(databases: Sequence[Database], clock: FakeClock) -> AsyncIterator[NodesOfOne]:
    """Give one node for each of *databases*, which are ways to the same data."""
    await migrate(databases[0])
    news = SharedNews()
    for database in databases:
        news.nodes.append(await _started(news, database, clock))
    yield NodesOfOne(news, news.nodes, clock)
    for node in news.nodes:
        node.background.stop()
    for database in set(databases):
        await database.close()


async def _started(news: SharedNews, database: Database, clock: FakeClock) -> Node:
    config = parse_config_text(f"server_name: {SERVER}\n", Path("x.yaml"))
    background = Background(clock)
    homeserver = BuiltInHomeserver(config, clock, database, background)
    node = Node(homeserver, Recorder(), clock, background, heard=len(news.told))
    after = news.position_of(len(news.told) - 1)
    homeserver.join_cluster(WayToNodes(_spread(news, node), _catch_up(news, node), after))
    await homeserver.start()
    await homeserver.membership.members()
    homeserver.listen(node.recorder)
    return node


def _catch_up(news: SharedNews, node: Node) -> Callable[[], Awaitable[None]]:
    async def catch_up() -> None:
        if not node.looks_first:
            return
        if node.is_cut:
            raise LogUnreachable("the test has cut the node off")
        while node.heard < len(news.told):
            news.hand_one(node)

    return catch_up


def _spread(news: SharedNews, node: Node) -> Callable[[bytes], Awaitable[None]]:
    async def spread(payload: bytes, /) -> None:
        if node.is_cut:
            raise LogUnreachable("the test has cut the node off")
        place = news.append(payload)
        node.waiting[place] = asyncio.get_running_loop().create_future()
        news.hand_out()
        waiting = node.waiting.get(place)
        if waiting is not None:
            await waiting

    return spread
