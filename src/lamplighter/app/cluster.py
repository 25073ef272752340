"""Makes this server a node: it joins its cluster, catches up, and wires what surrounds a core."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lamplighter.app.homeserver import Homeserver
from lamplighter.clock import Clock
from lamplighter.cluster.entries import HomeserverNews, VisibilityEnded
from lamplighter.cluster.lease import LeaseHolder
from lamplighter.cluster.local import LocalStream
from lamplighter.cluster.log import Lease, Log, NodeFacts, NodeName, PartitionId
from lamplighter.cluster.node import ClusterNode
from lamplighter.cluster.partitions import partition_of
from lamplighter.cluster.parts import Part
from lamplighter.cluster.recent import ended_of, news_of, read_recent, unsure_of, with_recent
from lamplighter.cluster.shared import SharedStream
from lamplighter.cluster.time import ClusterClock
from lamplighter.cluster.valkey_address import parse_valkey_url
from lamplighter.cluster.wire import WIRE_VERSION
from lamplighter.config import BusUrl, Config
from lamplighter.config.alike import alike_keys, items_of_lists
from lamplighter.database.engine import Database
from lamplighter.database.identity import keep_server_name
from lamplighter.database.migrate import is_up_to_date, migrate
from lamplighter.database.presence import SqlPresenceStore
from lamplighter.errors import ClusterRefused, ConfigError, LogLost
from lamplighter.federation.keys import SigningKeys
from lamplighter.futures import fail, finish
from lamplighter.ids import ServerName, StreamPosition, UserId
from lamplighter.modules.digest import told_modules
from lamplighter.modules.host import ONLY_NODE, ModuleNode
from lamplighter.modules.loader import ConfiguredModule
from lamplighter.modules.runtime import ModuleRuntime
from lamplighter.ports import DirectoryListener, Outgoing, SavedPresence, WayToNodes
from lamplighter.presence.state import UserPresenceState
from lamplighter.service.cluster_reload import FACT_OF_MODULES, ClusterReload
from lamplighter.service.cluster_view import ClusterView
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.node_core import NodeCore
from lamplighter.service.owners import Owners
from lamplighter.service.reload import Reload

__all__ = [
    "CaughtUp",
    "Cluster",
    "SingleNode",
    "facts_of",
    "join_node",
    "migrate_among_nodes",
    "open_log",
]

#: Whoever owns it runs what modules run on one node at a time.
_OF_LOOPS: Final = PartitionId(0)


class CaughtUp(NamedTuple):
    """What a server that starts knows from before."""

    saved: Sequence[SavedPresence]
    #: What the homeserver's nodes have told lately, by its position, in order.
    told: Mapping[StreamPosition, bytes]
    #: Whom modules have lately ceased to show.
    ended: Sequence[VisibilityEnded]


@dataclass(frozen=True, slots=True)
class SingleNode:
    """A server that is no cluster."""

    clock: Clock
    #: Never done.
    ended: "asyncio.Future[ClusterRefused]"
    mark: str = ""
    view: None = None

    def include(self, homeserver: Homeserver) -> None:
        """Its writes concern nobody else."""

    async def caught_up(self, saved: Sequence[SavedPresence]) -> CaughtUp:
        """Return *saved*: there is nothing else."""
        return CaughtUp(saved, {}, ())

    def make_stream(self, clock: Clock, saved_until: StreamPosition) -> LocalStream:
        """Return a stream of this process."""
        return LocalStream(clock, saved_until)

    def wire(self, core: Core, _ports: CorePorts) -> DirectoryListener:
        """Return the listener of the homeserver."""
        return core.directory_events

    def outgoing(self, outgoing: Outgoing) -> Outgoing:
        """Return *outgoing*."""
        return outgoing

    @property
    def for_modules(self) -> ModuleNode:
        """What modules see of this node."""
        return ONLY_NODE

    def reload_of(self, modules: ModuleRuntime) -> Reload:
        """Return what reloads *modules*."""
        return modules.reload

    def start(self) -> None:
        """Nothing begins."""

    async def leave(self) -> None:
        """Nobody takes over."""


@dataclass(eq=False)
class Cluster:
    """This server as a node of a cluster, from `join` until `leave`."""

    clock: ClusterClock
    log: Log
    holder: LeaseHolder
    stream: SharedStream
    lease: Lease
    #: Why only a restart helps, once that is so.
    ended: "asyncio.Future[ClusterRefused]"
    _node: ClusterNode | None = field(init=False, default=None)
    _owners: Owners | None = field(init=False, default=None)
    _reload: ClusterReload | None = field(init=False, default=None)
    #: What an operator sees; there is one after `wire`.
    view: ClusterView | None = field(init=False, default=None)

    @classmethod
    async def join(
        cls,
        name: NodeName,
        facts: NodeFacts,
        own_clock: Clock,
        log: Log,
        floor: StreamPosition,
    ) -> "Cluster":
        """Get a lease, and keep it; *floor* is the last position in the database.

        Raises `ClusterRefused` and `ClusterUnavailable`.
        """
        clock = ClusterClock(own_clock)
        holder = LeaseHolder(name, facts, own_clock, log, clock.set)
        await holder.join(floor)
        lease = holder.lease
        assert lease is not None  # nothing has failed between
        standing = holder.standing
        stream = SharedStream(clock, log, standing.head, holder.fail, unsure_of(standing))
        return cls(clock, log, holder, stream, lease, asyncio.get_running_loop().create_future())

    @property
    def mark(self) -> str:
        """The mark of this process in since tokens: no other process has it, before or after."""
        return f"{self.lease.epoch:x}"

    def include(self, homeserver: Homeserver) -> None:
        """Let all nodes hear what *homeserver* writes; before it is started."""
        homeserver.join_cluster(
            WayToNodes(self._spread, self.stream.catch_up, self.stream.position)
        )

    def make_stream(self, _clock: Clock, _saved_until: StreamPosition) -> SharedStream:
        """Return the stream of the cluster."""
        return self.stream

    def _spread(self, news: bytes) -> "asyncio.Future[None]":
        """Be a `Spread`."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stream.append(
            HomeserverNews(news), lambda _position: finish(heard), lambda error: fail(heard, error)
        )
        return heard

    async def caught_up(self, saved: Sequence[SavedPresence]) -> CaughtUp:
        """Return *saved*, which was read after `join`, with what the log has told lately."""
        recent = await read_recent(self.log, self.lease, self.holder.standing)
        return CaughtUp(with_recent(saved, recent), news_of(recent), ended_of(recent))

    def wire(self, core: Core, ports: CorePorts) -> DirectoryListener:
        """Let the events of *core* find their owners; return the listener of the homeserver."""
        parts = NodeCore.around(
            core, self.stream, self.log, self.holder, self.clock, ports.background, ports.store
        )
        self._owners, self._reload = parts.owners, parts.reload
        self._node = ClusterNode(
            self.clock, self.log, self.holder, self.stream, parts.owners, parts.reload, self._end
        )
        self.view = ClusterView(self.lease.node, self.clock, self.holder, self.stream, parts.owners)
        return parts.heard_events

    def outgoing(self, outgoing: Outgoing) -> Outgoing:
        """Return the way to those other servers to which this node sends; *outgoing* is to all."""
        return _Share(outgoing, self)

    def sends_to(self, server_name: ServerName) -> bool:
        """Tell whether this node is the one that sends to another server."""
        return self._owns(partition_of(server_name))

    def pass_on(self, server_name: ServerName) -> None:
        """Let the node that sends to another server learn that this server has sent a request."""
        if self._owners is not None:
            self._owners.pass_on(server_name)

    def _owns(self, partition: PartitionId) -> bool:
        return self._owners is not None and self._owners.owns_partition(partition)

    @property
    def for_modules(self) -> ModuleNode:
        """What modules see of this node: the one that owns a certain partition is chosen."""

        def is_chosen() -> bool:
            return self._owns(_OF_LOOPS) and self.holder.is_certain

        return ModuleNode(self.lease.node, is_chosen)

    def reload_of(self, modules: ModuleRuntime) -> Reload:
        """Return what reloads the modules of all nodes; *modules* are those of this one."""
        assert self._reload is not None  # `wire` comes before
        return self._reload.reload_of(modules)

    def start(self) -> None:
        """Begin to read the log, and to own users."""
        assert self._node is not None  # `wire` comes before
        self._node.start()

    async def leave(self) -> None:
        """Hand everything over to the other nodes."""
        if self._node is not None:
            await self._node.leave()
        else:
            await self.holder.end()
            await self.log.close()

    def _end(self, error: ClusterRefused) -> None:
        if not self.ended.done():
            self.ended.set_result(error)


@dataclass(frozen=True, slots=True)
class _Share:
    """An `Outgoing` to the servers that are this node's share. Every node is told of all states."""

    outgoing: Outgoing
    cluster: Cluster

    def send(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        if self.sends_to(server_name):
            self.outgoing.send(server_name, states)

    def take_back(self) -> AbstractSet[UserId]:
        return self.outgoing.take_back()

    def withdraw(self, server_name: ServerName, users: AbstractSet[UserId]) -> AbstractSet[UserId]:
        return self.outgoing.withdraw(server_name, users)

    @property
    def reaches_others(self) -> bool:
        return self.outgoing.reaches_others

    def sends_to(self, server_name: ServerName) -> bool:
        return self.cluster.sends_to(server_name) and self.outgoing.sends_to(server_name)

    def cease(self, is_theirs: Callable[[ServerName], bool]) -> None:
        self.outgoing.cease(is_theirs)

    async def take_over(self, is_ours: Callable[[ServerName], bool]) -> None:
        await self.outgoing.take_over(is_ours)

    def heard_from(self, server_name: ServerName) -> None:
        if self.sends_to(server_name):
            self.outgoing.heard_from(server_name)
        else:
            self.cluster.pass_on(server_name)


async def join_node(
    config: Config,
    clock: Clock,
    store: SqlPresenceStore,
    modules: Sequence[ConfiguredModule],
    keys: SigningKeys | None,
    log: Log | None,
) -> SingleNode | Cluster:
    """Return what this server is in its cluster, as *config* says; *log* is from
    `migrate_among_nodes`.

    Raises `ClusterRefused`, `ConfigError`, `ClusterUnavailable` and `StorageUnavailable`.
    """
    settings = config.cluster
    if settings is None or log is None:
        return SingleNode(clock, asyncio.get_running_loop().create_future())
    facts = facts_of(config, keys, modules)
    return await Cluster.join(NodeName(settings.node), facts, clock, log, await store.newest())


async def migrate_among_nodes(
    config: Config, clock: Clock, database: Database, stand_in: Log | None
) -> Log | None:
    """Make *database* up to date; return the log of the configured cluster, None without one.

    *stand_in* stands in for that log.

    Raises `ClusterRefused` if this version would change the tables of the database while nodes of
    an older version use them; and `ConfigError`, `ClusterUnavailable` and `StorageUnavailable`.
    """
    settings = config.cluster
    if settings is None:
        await migrate(database)
        await keep_server_name(database, config.server_name)
        return None
    log = stand_in or open_log(settings.bus, config.server_name, clock)
    try:
        # A node makes the database up to date before it joins: so who lives is asked first.
        others = ", ".join(it for it in await _living(log) if it != settings.node)
        if others and not await is_up_to_date(database):
            raise ClusterRefused(
                "this version changes the tables of the database, and nodes of an older version"
                f" use them: {others}. Stop all nodes, and then start this version"
            )
        await migrate(database)
        await keep_server_name(database, config.server_name)
    except BaseException:
        await log.close()
        raise
    return log


async def _living(log: Log) -> Sequence[NodeName]:
    try:
        return [it.lease.node for it in (await log.standing()).nodes]
    except LogLost:
        return ()


def open_log(url: BusUrl, server_name: ServerName, clock: Clock) -> Log:
    """Return the log at *url*; raise `ConfigError` where its client is not installed."""
    try:
        from lamplighter.cluster.valkey import ValkeyLog
    except ModuleNotFoundError as error:
        if error.name != "hiredis":
            raise
        raise ConfigError(
            "cluster.bus: Valkey needs the package hiredis; install lamplighter[cluster]"
        ) from None
    return ValkeyLog(parse_valkey_url(url), server_name, clock)


def facts_of(
    config: Config, keys: SigningKeys | None, modules: Sequence[ConfiguredModule]
) -> NodeFacts:
    """Return what this node says of itself."""
    alike = {
        "server_name": config.server_name,
        "the version of the stream": str(WIRE_VERSION),
        "the signing key": "none" if keys is None else str(keys.public),
        **alike_keys(config),
    }
    parts = {text: tuple(map(Part, items)) for text, items in items_of_lists(config).items()}
    facts = NodeFacts(str(config.listen[0]), alike, parts)
    return facts.having(FACT_OF_MODULES, told_modules(modules))
