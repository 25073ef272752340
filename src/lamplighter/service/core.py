"""Builds presence: everything between an event and its recipients, wired once; starts and stops it.

The server, the tests and the benchmark build a `Core`, so what they run is the same. It names no
adapter: the store, the stream and the way to other servers are handed in.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock
from lamplighter.cluster.entries import (
    Abandoned,
    BeganToCount,
    CeasedToCount,
    Changed,
    Deactivated,
    Entry,
    Forgotten,
    HoldAsked,
    HomeserverNews,
    Idle,
    Joined,
    LateAnswer,
    Left,
    ModulesHeld,
    ModulesSwapped,
    ModulesTried,
    ReadAgain,
    Refreshed,
    ReloadAsked,
    ReloadCalledOff,
    ReloadEntry,
    Reminded,
    Revoked,
    ShownElsewhere,
    SnapshotFor,
    VisibilityEnded,
)
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.stream import Stream
from lamplighter.delivery.endings import Endings
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.unsettled import Unsettled
from lamplighter.ids import StreamPosition, UserId
from lamplighter.metrics import Metrics
from lamplighter.ports import (
    Hearing,
    Outgoing,
    PresenceStore,
    Requester,
    SavedPresence,
)
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.routing.counting import FormerRooms
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Planner
from lamplighter.routing.room_sizes import RoomSizes
from lamplighter.routing.router import ModuleRouter
from lamplighter.routing.visibility import ModuleInterests, NoLongerNamed
from lamplighter.service.announcing import Announcing
from lamplighter.service.background import Background
from lamplighter.service.connections import Connections
from lamplighter.service.consumer import Handler, StreamConsumer
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.directory_events import DirectoryEvents, EndOfDevices
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.federated import FederatedPresence
from lamplighter.service.for_modules import PresenceForModules
from lamplighter.service.intake import Intake
from lamplighter.service.keeper import Keeper
from lamplighter.service.late import LateAnswers
from lamplighter.service.memberships import RoomVisibility
from lamplighter.service.publisher import Publisher
from lamplighter.service.reading import PresenceReader
from lamplighter.service.reminders import Reminders
from lamplighter.service.remotes import Remotes
from lamplighter.service.resuming import Resuming
from lamplighter.service.room_servers import RoomServers
from lamplighter.service.roster import Roster
from lamplighter.service.settings import CoreSettings
from lamplighter.service.shadow import ShadowModules
from lamplighter.service.shared_questions import SharedQuestions
from lamplighter.service.snapshots import Snapshots
from lamplighter.service.subscribers import Subscribers
from lamplighter.service.swap import ModuleSwap
from lamplighter.service.switched_off import SwitchedOff
from lamplighter.service.views import INTEREST_KEPT, Views
from lamplighter.service.visibility_memory import VisibilityMemory, VisibilityStore
from lamplighter.service.witness import Witness, Witnesses

__all__ = ["Core", "CorePorts"]


#: How often a node saves what has changed of whom viewers see: only it knows until then.
_NODES_SHARE: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CorePorts:
    """The ports, and the settings of the process, that the core needs."""

    clock: Clock
    background: Background
    metrics: Metrics
    store: PresenceStore
    visibility: VisibilityStore
    outgoing: Outgoing
    #: Makes the stream, which goes on after a position.
    make_stream: Callable[[Clock, StreamPosition], Stream]
    #: Tells whether a device may change its presence by polling once more.
    allows: Callable[[Requester], bool] = lambda _requester: True
    #: The mark of this node of a cluster in since tokens; "" is a single node.
    node: str = ""
    #: Hears what nodes of a cluster have written to the homeserver's database; None if it is alone.
    hearing: Hearing | None = None


class Core:
    """Presence, with all its parts; it runs between `start` and `stop`."""

    def __init__(
        self,
        settings: CoreSettings,
        ports: CorePorts,
        rooms: SharedRooms,
        saved: Sequence[SavedPresence] = (),
        witnesses: Sequence[Witness] = (),
        sizes: RoomSizes | None = None,
    ) -> None:
        """Wire the parts; *saved* is what the store has loaded, *rooms* who shares which room.

        Without *sizes* a room may have any number of members.

        What `memory` has to restore it restores by itself, before anybody asks; members of rooms
        that counted before belong in `former_rooms`.
        """
        self.settings, self.rooms = settings, rooms
        self.sizes = RoomSizes(None) if sizes is None else sizes
        self._clock, self._background = ports.clock, ports.background
        self._sharing: asyncio.Task[None] | None = None
        #: Hears the steps of a reload on all nodes of a cluster.
        self.hear_reload: Callable[[StreamPosition, ReloadEntry], None] = _nothing
        self.subscribers = Subscribers(ports.clock, ports.metrics, settings.module_timeout)
        self.witnesses = Witnesses(*witnesses)
        known = () if settings.is_off else saved
        self.tracker = PresenceTracker(settings.server_name, settings.rules)
        self.tracker.restore([it.user for it in known], ports.clock.now())
        self.roster = Roster(known)
        saved_until = max((it.position for it in saved), default=BEGINNING)
        self.stream = ports.make_stream(ports.clock, saved_until)
        self.router = ModuleRouter(
            ports.clock, ports.metrics, GuardSettings(settings.module_timeout)
        )
        self.interests = ModuleInterests()
        self.planner = Planner(rooms, self.interests)
        self.feed = Feed(ports.clock, self.stream.position, keep=INTEREST_KEPT * 5)
        self._wire_views(ports)
        self._wire_owner(ports)
        self._wire_consumer(ports)
        self._wire_doors(saved)

    def _wire_views(self, ports: CorePorts) -> None:
        """Wire what delivers to viewers, and what answers them from scratch."""
        self.deliverer = Deliverer(self.stream, self.feed, ports.metrics, self.witnesses)
        self.endings, self.former_rooms = Endings(), FormerRooms()
        self.unsettled = Unsettled()
        self.ends = VisibilityEnds(
            self.settings.server_name,
            self.endings,
            self.former_rooms,
            ports.background,
            roster=self.roster,
            planner=self.planner,
            router=self.router,
            interests=self.interests,
            feed=self.feed,
            deliverer=self.deliverer,
            unsettled=self.unsettled,
        )
        self.views = Views(
            clock=ports.clock,
            roster=self.roster,
            planner=self.planner,
            router=self.router,
            interests=self.interests,
            feed=self.feed,
            deliverer=self.deliverer,
            ends=self.ends,
            shared=SharedQuestions(self.roster, self.router, self.feed, ports.background),
            module_timeout=self.settings.module_timeout,
            witness=self.witnesses,
        )
        self.memory = VisibilityMemory(
            ports.visibility, self.endings, self.interests, node=ports.node
        )
        self.snapshots = Snapshots(self.feed, self.views)
        self.shadows = ShadowModules(
            server_name=self.settings.server_name,
            clock=ports.clock,
            roster=self.roster,
            router=self.router,
            planner=self.planner,
            feed=self.feed,
            views=self.views,
            background=ports.background,
            metrics=ports.metrics,
        )
        self.witnesses.add(self.shadows)

    def _wire_owner(self, ports: CorePorts) -> None:
        """Wire what decides how users are, asks the modules, and appends to the stream."""
        settings, clock = self.settings, ports.clock
        self.keeper = Keeper(clock, self.tracker, self.roster, ports.store)
        self.late = LateAnswers(self.stream)
        self.reminders = Reminders(self.stream, self.router, self.roster)
        self.publisher = Publisher(
            stream=self.stream,
            router=self.router,
            keeper=self.keeper,
            late=self.late,
            reminders=self.reminders,
            shadows=self.shadows,
            subscribers=self.subscribers,
            metrics=ports.metrics,
        )
        hears_clients = settings.hears_clients
        self.intake = Intake(clock, self.tracker, self.publisher, hears_clients=hears_clients)
        self.connections = Connections(
            self.tracker, clock, self.intake.accept, ports.allows, hears_clients=hears_clients
        )
        self.federated = FederatedPresence(
            settings, self.tracker, self.intake, self.publisher, self.stream, ports.outgoing
        )

    def _wire_consumer(self, ports: CorePorts) -> None:
        """Wire what consumes the stream."""
        planner, feed, roster, background = self.planner, self.feed, self.roster, ports.background
        here = self.settings.server_name
        self.remotes = Remotes(here, planner, roster, self.rooms, ports.outgoing)
        self.announcing = Announcing(
            roster, planner, feed, self.deliverer, self.remotes, self.keeper
        )
        self.memberships = RoomVisibility(
            self.rooms,
            planner,
            feed,
            self.views,
            roster,
            background,
            self.ends,
            self.witnesses,
            RoomServers(
                here, self.rooms, roster, self.router, self.reminders, background, ports.outgoing
            ),
            self.memory,
            self.unsettled,
        )
        self.resuming = Resuming(
            self.rooms,
            self.memberships,
            self.deliverer,
            ports.hearing,
            self.stream.position,
            ports.clock.now(),
        )
        self.swap = ModuleSwap(
            clock=ports.clock,
            stream=self.stream,
            router=self.router,
            roster=roster,
            feed=feed,
            views=self.views,
            publisher=self.publisher,
            late=self.late,
            reminders=self.reminders,
            keeper=self.keeper,
            remotes=self.remotes,
            shadows=self.shadows,
            background=ports.background,
            ends=self.ends,
        )
        self.stream.hand_to(StreamConsumer(feed, self._handlers()))

    def _handlers(self) -> Mapping[type[Entry], Handler]:
        """Return which part does what follows from which entry."""
        ended = self.ended = EndOfDevices(self.feed, self.views, self.snapshots, self.witnesses)
        return {
            Changed: self.announcing.changed,
            LateAnswer: self.announcing.late,
            Abandoned: self.announcing.abandoned,
            Refreshed: self.announcing.refreshed,
            ReadAgain: self.announcing.read_again,
            Forgotten: self.announcing.forgotten,
            Joined: self.memberships.joined,
            Left: self.memberships.left,
            CeasedToCount: self.memberships.ceased,
            BeganToCount: self.memberships.began,
            Revoked: ended.revoked,
            Deactivated: ended.deactivated,
            SnapshotFor: self.snapshots.owe,
            VisibilityEnded: self.ends.ended,
            Reminded: self.remotes.reminded,
            ShownElsewhere: self.remotes.shown,
            ModulesSwapped: self.swap.swapped,
            ReloadAsked: self._heard_reload,
            ModulesTried: self._heard_reload,
            HoldAsked: self._heard_reload,
            ModulesHeld: self._heard_reload,
            ReloadCalledOff: self._heard_reload,
            HomeserverNews: lambda position, entry: self.resuming.heard(position, entry.payload),
            Idle: _nothing,
        }

    def _heard_reload(self, position: StreamPosition, entry: ReloadEntry) -> None:
        self.hear_reload(position, entry)

    def _wire_doors(self, saved: Sequence[SavedPresence]) -> None:
        """Wire what clients, modules and the directory come to."""
        settings, is_off = self.settings, self.settings.is_off
        switched_off = SwitchedOff(
            self.planner, self.interests, self.endings, self.former_rooms, saved
        )
        self.reader = PresenceReader(
            feed=self.feed,
            stream=self.stream,
            publisher=self.publisher,
            router=self.router,
            views=self.views,
            snapshots=self.snapshots,
            memory=self.memory,
            clock=self._clock,
            switched_off=switched_off if is_off else None,
            unsure=self.stream.unsure,
            include_offline_users_on_sync=settings.include_offline_users_on_sync,
        )
        self.for_modules = PresenceForModules(
            settings=settings,
            tracker=self.tracker,
            roster=self.roster,
            intake=self.intake,
            publisher=self.publisher,
            stream=self.stream,
            views=self.views,
            reminders=self.reminders,
            subscribers=self.subscribers,
        )
        self.directory_events = DirectoryEvents(
            self.stream, self.feed, self.publisher, self.intake, self.connections, self.sizes
        )

    # --- the life of presence -------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch the time."""
        self.federated.restore(self._clock.now())
        every = self._background.every
        every(self.settings.housekeeping, self._keep_house)
        every(self.settings.interest_check, self._refresh_interests)
        every(self.connections.lingering, self.connections.sweep)
        alone = self.stream.is_current
        every(self.settings.housekeeping if alone else _NODES_SHARE, self._share_visibility)
        told = self.federated.recently_told(self._clock.now())
        self._background.run(self.reminders.remind(told))
        self.intake.schedule()

    async def settled(self) -> None:
        """Return once all that has happened so far is delivered, and would survive a crash.

        It does not wait for late answers of modules. Raises `StorageUnavailable`.
        """
        await asyncio.shield(self.publisher.saved())

    @property
    def is_reading(self) -> bool:
        """Whether polls, or modules, are about to deliver what they are reading."""
        return self._background.is_busy or self.late.are_awaited

    async def stop(self) -> None:
        """Publish and save what is at hand; nothing is lost."""
        self.intake.stop()
        self._background.stop()
        await self.publisher.close()
        self.subscribers.close()
        await self.keeper.save_unannounced()
        await self.memory.save()

    def _keep_house(self) -> None:
        self.witnesses.away(self.feed.sweep())
        self._background.run(self.keeper.save_unannounced())

    def _share_visibility(self) -> None:
        if self._sharing is None or self._sharing.done():
            self._sharing = self._background.run(self._save_and_recall())

    async def _save_and_recall(self) -> None:
        """Save whom viewers see, for other nodes; find out what is known of a node that ended."""
        for named_elsewhere in (await self.memory.save(), await self.memory.recall_all()):
            if named_elsewhere:  # modules are asked, and what is new is saved meanwhile
                self._background.run(self._end_unnamed(named_elsewhere))

    async def _end_unnamed(self, named_elsewhere: Mapping[UserId, NoLongerNamed]) -> None:
        for viewer, unnamed in named_elsewhere.items():
            await self.views.end_unnamed(viewer, unnamed)

    def _refresh_interests(self) -> None:
        """Ask the modules anew for viewers who wait; the others are answered from scratch."""
        for viewer in self.views.due_for_interest():
            if self.feed.is_waiting(viewer):
                self._background.run(self.views.ask_interest_anew(viewer))
            elif self.stream.is_current:
                self.views.forget_interest(viewer)
            else:
                self._background.run(self.views.ask_interest_once_more(viewer))


def _nothing(_position: StreamPosition, _entry: Entry) -> None:
    """Nothing follows."""
