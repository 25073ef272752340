"""Builds presence: everything between an event and its recipients, wired once.

The server, the replay of a record, the tests and the benchmark build a `Core`, so what they run
is the same. It names no adapter: the store, the stream and the way to other servers are handed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from lamplighter.clock import Clock
from lamplighter.cluster.positions import BEGINNING
from lamplighter.config import PresenceMode
from lamplighter.delivery.endings import Endings
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition, UserId
from lamplighter.metrics import Metrics
from lamplighter.ports import Bus, Outgoing, PresenceStore, Requester, SavedPresence
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.routing.counting import FormerRooms
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Planner
from lamplighter.routing.router import ModuleRouter
from lamplighter.routing.visibility import ModuleInterests
from lamplighter.service.background import Background
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.federated import FederatedPresence
from lamplighter.service.memberships import Memberships
from lamplighter.service.presence import PresenceService
from lamplighter.service.publisher import Publisher
from lamplighter.service.remotes import Remotes
from lamplighter.service.settings import CoreSettings
from lamplighter.service.shadow import ShadowModules
from lamplighter.service.subscribers import Subscribers
from lamplighter.service.swap import ModuleSwap
from lamplighter.service.switched_off import SwitchedOff
from lamplighter.service.views import INTEREST_KEPT, Views
from lamplighter.service.visibility_memory import VisibilityMemory, VisibilityStore
from lamplighter.service.witness import Witness, Witnesses

__all__ = ["Core", "CorePorts"]


@dataclass(frozen=True, slots=True)
class CorePorts:
    """What presence asks of the world around it."""

    clock: Clock
    background: Background
    metrics: Metrics
    store: PresenceStore
    visibility: VisibilityStore
    outgoing: Outgoing
    #: Makes the stream, which goes on after a position.
    make_bus: Callable[[Clock, StreamPosition], Bus]
    #: Tells whether a device may change its presence by polling once more.
    allows: Callable[[Requester], bool] = lambda _requester: True


class Core:
    """Presence, with all its parts; whoever needs one of them takes it from here."""

    def __init__(
        self,
        settings: CoreSettings,
        ports: CorePorts,
        rooms: SharedRooms,
        saved: Sequence[SavedPresence] = (),
        witnesses: Sequence[Witness] = (),
    ) -> None:
        """Wire the parts; *saved* is what the store has loaded, *rooms* who shares which room.

        What `memory` has to restore it restores by itself, before anybody asks; members of rooms
        that counted before belong in `former_rooms`.
        """
        self.settings, self.rooms = settings, rooms
        self.subscribers = Subscribers(ports.clock, ports.metrics, settings.module_timeout)
        self.witnesses = Witnesses(self.subscribers, *witnesses)
        self._wire_decisions(ports, saved)
        self._wire_views(ports)
        self._wire_modules(ports)
        self._wire_doors(ports, saved)

    def _wire_decisions(self, ports: CorePorts, saved: Sequence[SavedPresence]) -> None:
        """Wire what decides who is how, and who is told."""
        settings, clock = self.settings, ports.clock
        is_off = settings.mode is PresenceMode.OFF
        self.tracker = PresenceTracker(settings.server_name, settings.rules)
        self.tracker.restore([] if is_off else [it.user for it in saved], clock.now())
        self.router = ModuleRouter(clock, ports.metrics, GuardSettings(settings.module_timeout))
        self.interests = ModuleInterests()
        self.planner = Planner(self.rooms, self.interests)
        self._saved_until = max((it.position for it in saved), default=BEGINNING)
        self.bus = ports.make_bus(clock, self._saved_until)
        self.feed = Feed(clock, self.bus.position, keep=INTEREST_KEPT * 5)
        self.remotes = Remotes(settings.server_name, self.planner, ports.outgoing)
        self.publisher = Publisher(
            tracker=self.tracker,
            planner=self.planner,
            router=self.router,
            feed=self.feed,
            remotes=self.remotes,
            bus=self.bus,
            store=ports.store,
            metrics=ports.metrics,
            witness=self.witnesses,
        )
        for it in sorted(saved, key=attrgetter("position")):
            self.publisher.restore(UserId(it.user.state.user_id), it.position)

    def _wire_views(self, ports: CorePorts) -> None:
        """Wire what answers from scratch, and what begins and ends visibility."""
        self.endings, self.former_rooms = Endings(), FormerRooms()
        self.ends = VisibilityEnds(
            self.settings.server_name,
            self.endings,
            self.former_rooms,
            ports.background,
            tracker=self.tracker,
            planner=self.planner,
            router=self.router,
            interests=self.interests,
            feed=self.feed,
            publisher=self.publisher,
        )
        self.views = Views(
            clock=ports.clock,
            tracker=self.tracker,
            planner=self.planner,
            router=self.router,
            interests=self.interests,
            feed=self.feed,
            publisher=self.publisher,
            ends=self.ends,
            module_timeout=self.settings.module_timeout,
            witness=self.witnesses,
        )
        self.memory = VisibilityMemory(ports.visibility, self.endings, self.interests)

    def _wire_modules(self, ports: CorePorts) -> None:
        """Wire what replaces modules, and what asks those in the shadow."""
        self.shadows = ShadowModules(
            server_name=self.settings.server_name,
            clock=ports.clock,
            tracker=self.tracker,
            router=self.router,
            planner=self.planner,
            feed=self.feed,
            views=self.views,
            background=ports.background,
            metrics=ports.metrics,
        )
        self.witnesses.add(self.shadows)
        self.swap = ModuleSwap(
            tracker=self.tracker,
            router=self.router,
            feed=self.feed,
            views=self.views,
            publisher=self.publisher,
            remotes=self.remotes,
            shadows=self.shadows,
            background=ports.background,
            ends=self.ends,
        )

    def _wire_doors(self, ports: CorePorts, saved: Sequence[SavedPresence]) -> None:
        """Wire what clients, other servers, modules and the directory come to."""
        settings, is_off = self.settings, self.settings.mode is PresenceMode.OFF
        self.memberships = Memberships(
            self.rooms,
            self.planner,
            self.feed,
            self.publisher,
            self.views,
            ports.background,
            self.ends,
            self.witnesses,
        )
        self.federated = FederatedPresence(
            settings.server_name,
            self.tracker,
            self.views,
            self.publisher,
            settings.rules.timers.federation_timeout,
        )
        switched_off = SwitchedOff(
            self.planner, self.interests, self.endings, self.former_rooms, saved
        )
        self.presence = PresenceService(
            clock=ports.clock,
            tracker=self.tracker,
            feed=self.feed,
            publisher=self.publisher,
            views=self.views,
            memberships=self.memberships,
            federated=self.federated,
            subscribers=self.subscribers,
            background=ports.background,
            settings=settings,
            switched_off=switched_off if is_off else None,
            memory=self.memory,
            unsure=range(self._saved_until + 1, self.bus.position),
            allows=ports.allows,
            witness=self.witnesses,
        )
