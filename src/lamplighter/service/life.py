"""The life of presence in a server: start, what is due from time to time, and stop."""

import asyncio

from lamplighter.clock import Clock
from lamplighter.delivery.feed import Feed
from lamplighter.service.background import Background
from lamplighter.service.connections import Connections
from lamplighter.service.federated import FederatedPresence
from lamplighter.service.intake import Intake
from lamplighter.service.keeper import Keeper
from lamplighter.service.late import LateAnswers
from lamplighter.service.publisher import Publisher
from lamplighter.service.reminders import Reminders
from lamplighter.service.settings import CoreSettings
from lamplighter.service.subscribers import Subscribers
from lamplighter.service.views import Views
from lamplighter.service.visibility_memory import VisibilityMemory
from lamplighter.service.witness import Witness

__all__ = ["PresenceLife"]


class PresenceLife:
    """Starts presence, keeps house, and stops it without losing anything."""

    def __init__(
        self,
        *,
        clock: Clock,
        settings: CoreSettings,
        background: Background,
        intake: Intake,
        publisher: Publisher,
        late: LateAnswers,
        keeper: Keeper,
        memory: VisibilityMemory,
        connections: Connections,
        feed: Feed,
        views: Views,
        federated: FederatedPresence,
        reminders: Reminders,
        subscribers: Subscribers,
        witness: Witness,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._background = background
        self._intake = intake
        self._publisher = publisher
        self._late = late
        self._keeper = keeper
        self._memory = memory
        self._connections = connections
        self._feed = feed
        self._views = views
        self._federated = federated
        self._reminders = reminders
        self._subscribers = subscribers
        self._witness = witness
        #: Answer every poll that waits, and let none wait from now on.
        self.answer_polls = feed.close

    def start(self) -> None:
        """Begin to watch the time."""
        self._federated.restore(self._clock.now())
        self._background.every(self._settings.housekeeping, self._keep_house)
        self._background.every(self._settings.interest_check, self._refresh_interests)
        self._background.every(self._connections.lingering, self._connections.sweep)
        told = self._federated.recently_told(self._clock.now())
        self._background.run(self._reminders.remind(told))
        self._intake.schedule()

    async def settled(self) -> None:
        """Return once all that has happened so far is delivered, and would survive a crash.

        What modules are still thinking about is not waited for. Raises `StorageUnavailable`.
        """
        await asyncio.shield(self._publisher.saved())

    @property
    def is_reading(self) -> bool:
        """Whether polls, or modules, are about to say something as soon as they have read it."""
        return self._background.is_busy or self._late.are_awaited

    async def stop(self) -> None:
        """Publish and save what is at hand; nothing is lost."""
        self._intake.stop()
        self._background.stop()
        await self._publisher.close()
        self._subscribers.close()
        await self._keeper.save_unannounced()
        await self._memory.save()

    def _keep_house(self) -> None:
        self._witness.away(self._feed.sweep())
        self._background.run(self._keeper.save_unannounced())
        self._background.run(self._memory.save())

    def _refresh_interests(self) -> None:
        """Ask the modules anew for those who wait; the others are answered from scratch."""
        for viewer in self._views.due_for_interest():
            if self._feed.is_waiting(viewer):
                self._background.run(self._views.ask_interest_anew(viewer))
            else:
                self._views.forget_interest(viewer)
