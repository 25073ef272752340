"""The part of `app.py` that wires what operators look at."""

from dataclasses import dataclass

from lamplighter.config import Config
from lamplighter.delivery.feed import Feed
from lamplighter.ports import Bus, Directory
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.routing.router import PresenceRouter
from lamplighter.service import PresenceService
from lamplighter.service.explanations import Explanations, RoutingFacts
from lamplighter.service.publisher import Publisher
from lamplighter.service.views import Views

__all__ = ["Core", "explanations"]


@dataclass(frozen=True, slots=True)
class Core:
    """The parts behind the front door of presence."""

    tracker: PresenceTracker
    router: PresenceRouter
    feed: Feed
    bus: Bus
    publisher: Publisher
    views: Views
    presence: PresenceService


def explanations(config: Config, core: Core, directory: Directory) -> Explanations:
    """Return what explains who sees whom."""
    facts = RoutingFacts(
        config.server_name,
        config.presence.enabled,
        config.routing.shared_rooms,
        frozenset(config.routing.exclude_rooms),
    )
    return Explanations(
        facts=facts,
        directory=directory,
        tracker=core.tracker,
        router=core.router,
        publisher=core.publisher,
        views=core.views,
    )
