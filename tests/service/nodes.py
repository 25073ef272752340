"""Nodes of one cluster within the process: cores over one log, one store and one fake clock."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock
from lamplighter.cluster.lease import LeaseHolder
from lamplighter.cluster.log import NodeFacts, NodeName
from lamplighter.cluster.node import ClusterNode
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.recent import ended_of, news_of, read_recent, unsure_of, with_recent
from lamplighter.cluster.shared import SharedStream
from lamplighter.cluster.time import ClusterClock
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ClusterRefused, StorageUnavailable
from lamplighter.ids import StreamPosition, UserId
from lamplighter.metrics import Metrics
from lamplighter.ports import Hearing, MembershipChange, Requester, SavedPresence
from lamplighter.presence.state import Presence
from lamplighter.routing.interest import SharedRooms
from lamplighter.service.background import Background
from lamplighter.service.cluster_reload import ClusterReload
from lamplighter.service.cluster_view import ClusterView
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.directory_events import HeardEvents
from lamplighter.service.node_core import NodeCore
from lamplighter.service.owners import Owners
from lamplighter.service.settings import CoreSettings
from tests.cluster.memory_log import LogServer, MemoryLog, Way
from tests.routing.people import HALL
from tests.service.parts import HERE, PHONE, FakeOutgoing, FakeStore, FakeVisibilityStore

__all__ = ["Cluster", "Node"]

#: In such steps time passes: every lease is renewed in time.
_STEP: Final = timedelta(milliseconds=250)


class SharedStore(FakeStore):
    """The store that all nodes share; a node that starts loads what was saved last."""

    #: Whether what was saved can be read.
    answers = True

    def __init__(self) -> None:
        super().__init__()
        #: Nothing about these users is saved before `release`.
        self.holds: set[UserId] = set()
        self._held: list[tuple[Sequence[SavedPresence], asyncio.Future[None]]] = []

    def save(self, states: Sequence[SavedPresence]) -> "asyncio.Future[None]":
        if self.holds.isdisjoint(UserId(it.user.state.user_id) for it in states):
            return super().save(states)
        saving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append((states, saving))
        return saving

    def release(self) -> None:
        """Save what was held."""
        self.holds.clear()
        for states, saving in self._held:
            super().save(states)
            saving.set_result(None)

    async def load(self) -> Sequence[SavedPresence]:
        if not self.answers:
            raise StorageUnavailable("the database does not answer")
        saved = sorted((it for save in self.saves for it in save), key=lambda it: it.position)
        return list({it.user.state.user_id: it for it in saved}.values())


class Node:
    """One node, and what a test asks of it."""

    def __init__(
        self,
        core: Core,
        log: MemoryLog,
        holder: LeaseHolder,
        node: ClusterNode,
        around: NodeCore,
        view: ClusterView,
    ) -> None:
        self.core, self.log, self.holder, self.node, self.view = core, log, holder, node, view
        self.owners: Owners = around.owners
        self.heard_events: HeardEvents = around.heard_events
        self.reload: ClusterReload = around.reload
        assert holder.lease is not None  # nothing has failed since it joined
        #: Its mark in since tokens.
        self.mark = f"{holder.lease.epoch:x}"
        #: What goes to other servers.
        self.outgoing: FakeOutgoing
        #: What time it is on all nodes.
        self.clock: Clock
        #: Why only a restart helps.
        self.ended: list[ClusterRefused] = []

    def set(self, user_id: UserId, status_msg: str) -> "asyncio.Future[None]":
        """PUT a status from the user's phone."""
        return self.core.intake.set_status(Requester(user_id, PHONE), Presence.ONLINE, status_msg)

    def owns(self, user_id: UserId) -> bool:
        """Tell whether this node owns a user."""
        return self.owners.owns(user_id)

    def sees(self, viewer: UserId, user_id: UserId) -> tuple[str, str | None]:
        """Return the newest that the viewer's outbox on this node says of a user."""
        update = self.core.feed.open(viewer).last(user_id)
        return (update.state.state, update.state.status_msg) if update else ("nothing", None)

    def knows(self, user_id: UserId) -> tuple[str, str | None]:
        """Return the presence of a user as this node has it from the stream."""
        state = self.core.roster.get(user_id)
        return state.state, state.status_msg

    def poll(self, user_id: UserId) -> None:
        """Begin a poll of the user's phone, which does not end."""
        self.core.connections.begin(Requester(user_id, PHONE), Presence.ONLINE)


@dataclass(frozen=True)
class _Hearing:
    """The homeserver at one node."""

    cluster: "Cluster"
    name: str

    def heard(self, _position: StreamPosition, news: bytes) -> None:
        self.cluster.hear(self.name, news)

    async def kept(self, told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        return await self.cluster.kept(self.name, told)

    async def stream_lost(self) -> Sequence[bytes]:
        return self.cluster.stream_lost(self.name)

    def memberships_in(self, news: bytes) -> Sequence[MembershipChange]:
        return self.cluster.memberships_in(news)


class Cluster:
    """Some nodes; the clock is turned by `passes`. Everybody shares one room."""

    def __init__(self, *people: UserId) -> None:
        self.clock = FakeClock()
        self.server = LogServer(self.clock)
        self.store = SharedStore()
        self.visibility = FakeVisibilityStore()
        self.people = people
        self.settings = CoreSettings(HERE)
        #: The nodes whose homeserver was told that the stream has lost something.
        self.told_of_loss: list[str] = []
        #: In what a node that starts may not differ from those that live.
        self.alike: Mapping[str, str] = {}
        self.nodes: dict[str, Node] = {}

    async def hearing(
        self, name: str, _clock: Clock, _stream: SharedStream, _background: Background
    ) -> Hearing:
        """Return the homeserver at a node that starts."""
        return _Hearing(self, name)

    async def told_before(self, name: str, told: Mapping[StreamPosition, bytes]) -> None:
        """Let the homeserver at a node that starts learn what was told lately."""

    def own_clock(self, name: str) -> Clock:
        """Return the clock of the machine on which a node starts."""
        return self.clock

    def rooms(self, name: str) -> SharedRooms:
        """Return who shares which room when a node starts."""
        rooms = SharedRooms(lambda _room_id: True, None)
        for person in self.people:
            rooms.joined(HALL, person, StreamPosition(1))
        return rooms

    def stream_lost(self, name: str) -> Sequence[bytes]:
        """Let the homeserver at a node learn that the stream has lost what was told last.

        Returns what the node has heard now.
        """
        self.told_of_loss.append(name)
        return ()

    async def kept(self, name: str, told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        """Return what the homeserver at a node keeps of what its nodes have written, and *told*."""
        return ()

    def memberships_in(self, news: bytes) -> Sequence[MembershipChange]:
        """Return who has joined and left by what the homeserver of some node has written."""
        return ()

    def hear(self, name: str, news: bytes) -> None:
        """Let a node hear what the homeserver of some node has written."""

    async def start(self, name: str) -> Node:
        """Start a node; it owns its share once a second has passed.

        Raises `ClusterRefused` and `ClusterUnavailable`.
        """
        log, own_clock = self.server.log(), self.own_clock(name)
        clock = ClusterClock(own_clock)
        holder = LeaseHolder(NodeName(name), NodeFacts(name, self.alike), own_clock, log, clock.set)
        floor = max((it.position for it in await self.store.load()), default=BEGINNING)
        await holder.join(floor)
        standing, lease = holder.standing, holder.lease
        assert lease is not None  # nothing has failed between
        background, outgoing = Background(clock), FakeOutgoing()
        stream = SharedStream(clock, log, standing.head, holder.fail, unsure_of(standing))
        ports = CorePorts(
            clock,
            background,
            Metrics(),
            self.store,
            self.visibility,
            outgoing,
            lambda _clock, _saved_until: stream,
            node=f"{lease.epoch:x}",
            hearing=await self.hearing(name, clock, stream, background),
        )
        recent = await read_recent(log, lease, standing)
        await self.told_before(name, news_of(recent))
        saved = with_recent(await self.store.load(), recent)
        core = Core(self.settings, ports, self.rooms(name), saved)
        await core.memory.restore()
        await core.resuming.resume(news_of(recent), ended_of(recent))
        core.router.adopt(core.router.prepare())
        around = NodeCore.around(core, stream, log, holder, clock, background, self.store)
        ended: list[ClusterRefused] = []
        node = ClusterNode(clock, log, holder, stream, around.owners, around.reload, ended.append)
        view = ClusterView(NodeName(name), clock, holder, stream, around.owners)
        self.nodes[name] = started = Node(core, log, holder, node, around, view)
        started.ended, started.clock, started.outgoing = ended, clock, outgoing
        core.start()
        node.start()
        return started

    async def passes(self, seconds: float) -> None:
        """Let time pass, with all that follows."""
        left = timedelta(seconds=seconds)
        await turns_until_idle()
        while left > timedelta(0):
            self.clock.advance(seconds=min(left, _STEP).total_seconds())
            left -= _STEP
            await turns_until_idle()

    def kill(self, name: str) -> None:
        """Let a node vanish: nothing that it does from now on reaches anybody."""
        self.nodes.pop(name).log.way = Way.SILENT

    def owner_of(self, user_id: UserId) -> Node:
        """Return the node that owns a user."""
        return next(it for it in self.nodes.values() if it.owns(user_id))

    def other_than(self, node: Node) -> Node:
        """Return another node."""
        return next(it for it in self.nodes.values() if it is not node)

    async def stop(self) -> None:
        """Stop all nodes that run."""
        for node in self.nodes.values():
            await node.core.stop()
            await node.node.leave()
