"""Wires presence: from the tracker to the service that clients ask."""

from collections.abc import Callable, Sequence
from operator import attrgetter

from lamplighter.app.modules import Surroundings
from lamplighter.clock import Clock
from lamplighter.cluster.positions import BEGINNING
from lamplighter.config import Config, PresenceMode, Rate
from lamplighter.delivery.endings import Endings
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition, UserId
from lamplighter.metrics import Metrics
from lamplighter.ports import Bus, Outgoing, PresenceStore, SavedPresence
from lamplighter.presence.machine import Rules, SyncIsActivity
from lamplighter.presence.timers import Timers
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Planner
from lamplighter.routing.router import ModuleRouter
from lamplighter.routing.visibility import ModuleInterests
from lamplighter.service import PresenceService, ServiceSettings
from lamplighter.service.background import Background
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.federated import FederatedPresence
from lamplighter.service.memberships import Memberships
from lamplighter.service.publisher import Publisher
from lamplighter.service.remotes import Remotes
from lamplighter.service.subscribers import Subscribers
from lamplighter.service.switched_off import SwitchedOff
from lamplighter.service.views import INTEREST_KEPT, Views
from lamplighter.service.visibility_memory import VisibilityMemory, VisibilityStore
from lamplighter.web.limits import Limiter, RateLimiter, Unlimited

__all__ = ["limiter", "wire_presence"]


async def wire_presence(
    config: Config,
    clock: Clock,
    background: Background,
    rooms: SharedRooms,
    store: PresenceStore,
    visibility: VisibilityStore,
    make_bus: Callable[[Clock, StreamPosition], Bus],
    outgoing: Outgoing,
    metrics: Metrics,
) -> Surroundings:
    """Wire the service, with what was saved restored; the bus goes on after its position."""
    saved = await store.load()
    is_off = config.presence.enabled is PresenceMode.OFF
    tracker = _tracker(config, () if is_off else saved, clock)
    router = ModuleRouter(clock, metrics, GuardSettings(config.module_timeout))
    interests, endings = ModuleInterests(), Endings()
    memory = VisibilityMemory(visibility, endings, interests)
    await memory.restore()
    planner = Planner(rooms, interests)
    saved_until = max((it.position for it in saved), default=BEGINNING)
    bus = make_bus(clock, saved_until)
    feed = Feed(clock, bus.position, keep=INTEREST_KEPT * 5)
    remotes = Remotes(config.server_name, planner, outgoing)
    publisher = _publisher(tracker, planner, router, feed, remotes, bus, store, metrics, saved)
    ends = _ends(config, endings, background, tracker, planner, router, interests, feed, publisher)
    views = _views(config, clock, tracker, planner, router, interests, feed, publisher, ends)
    memberships = Memberships(rooms, planner, feed, publisher, views, background, ends)
    transitions = limiter(config.rate_limits.presence, clock)
    service = PresenceService(
        clock=clock,
        tracker=tracker,
        feed=feed,
        publisher=publisher,
        views=views,
        memberships=memberships,
        federated=FederatedPresence(
            config.server_name, tracker, views, publisher, config.presence.federation_timeout
        ),
        subscribers=Subscribers(clock, metrics, config.module_timeout),
        background=background,
        settings=_service_settings(config),
        switched_off=SwitchedOff(planner, interests, endings, saved) if is_off else None,
        memory=memory,
        unsure=range(saved_until + 1, bus.position),
        allows=transitions.allows,
    )
    around = (tracker, router, planner, feed, views, publisher, remotes, memberships, ends)
    return Surroundings(*around, service, transitions)


def _tracker(config: Config, saved: Sequence[SavedPresence], clock: Clock) -> PresenceTracker:
    tracker = PresenceTracker(config.server_name, _rules(config))
    tracker.restore([it.user for it in saved], clock.now())
    return tracker


def limiter(rate: Rate | None, clock: Clock) -> Limiter:
    """Return what says "too fast" beyond *rate*; None is no limit."""
    if rate is None:
        return Unlimited()
    return RateLimiter(rate.per_second, rate.burst, clock)


def _publisher(
    tracker: PresenceTracker,
    planner: Planner,
    router: ModuleRouter,
    feed: Feed,
    remotes: Remotes,
    bus: Bus,
    store: PresenceStore,
    metrics: Metrics,
    saved: Sequence[SavedPresence],
) -> Publisher:
    publisher = Publisher(
        tracker=tracker,
        planner=planner,
        router=router,
        feed=feed,
        remotes=remotes,
        bus=bus,
        store=store,
        metrics=metrics,
    )
    for it in sorted(saved, key=attrgetter("position")):
        publisher.restore(UserId(it.user.state.user_id), it.position)
    return publisher


def _ends(
    config: Config,
    endings: Endings,
    background: Background,
    tracker: PresenceTracker,
    planner: Planner,
    router: ModuleRouter,
    interests: ModuleInterests,
    feed: Feed,
    publisher: Publisher,
) -> VisibilityEnds:
    return VisibilityEnds(
        config.server_name,
        endings,
        background,
        tracker=tracker,
        planner=planner,
        router=router,
        interests=interests,
        feed=feed,
        publisher=publisher,
    )


def _views(
    config: Config,
    clock: Clock,
    tracker: PresenceTracker,
    planner: Planner,
    router: ModuleRouter,
    interests: ModuleInterests,
    feed: Feed,
    publisher: Publisher,
    ends: VisibilityEnds,
) -> Views:
    return Views(
        clock=clock,
        tracker=tracker,
        planner=planner,
        router=router,
        interests=interests,
        feed=feed,
        publisher=publisher,
        ends=ends,
        module_timeout=config.module_timeout,
    )


def _service_settings(config: Config) -> ServiceSettings:
    presence = config.presence
    return ServiceSettings(presence.enabled, presence.include_offline_users_on_sync)


def _rules(config: Config) -> Rules:
    presence = config.presence
    timers = Timers(
        last_active_granularity=presence.last_active_granularity,
        sync_online_timeout=presence.sync_online_timeout,
        idle_timeout=presence.idle_timeout,
        busy_timeout=presence.busy_timeout,
        federation_ping=presence.federation_ping,
        federation_timeout=presence.federation_timeout,
    )
    return Rules(timers, SyncIsActivity(presence.sync_is_activity))
