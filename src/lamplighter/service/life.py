"""The life of presence in a server: start, what is due from time to time, and stop."""

import asyncio
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class PresenceLife:
    """Starts presence, keeps house, and stops it without losing anything."""

    clock: Clock
    settings: CoreSettings
    background: Background
    intake: Intake
    publisher: Publisher
    late: LateAnswers
    keeper: Keeper
    memory: VisibilityMemory
    connections: Connections
    feed: Feed
    views: Views
    federated: FederatedPresence
    reminders: Reminders
    subscribers: Subscribers
    witness: Witness

    def start(self) -> None:
        """Begin to watch the time."""
        self.federated.restore(self.clock.now())
        self.background.every(self.settings.housekeeping, self._keep_house)
        self.background.every(self.settings.interest_check, self._refresh_interests)
        self.background.every(self.connections.lingering, self.connections.sweep)
        told = self.federated.recently_told(self.clock.now())
        self.background.run(self.reminders.remind(told))
        self.intake.schedule()

    async def settled(self) -> None:
        """Return once all that has happened so far is delivered, and would survive a crash.

        What modules are still thinking about is not waited for. Raises `StorageUnavailable`.
        """
        await asyncio.shield(self.publisher.saved())

    @property
    def is_reading(self) -> bool:
        """Whether polls, or modules, are about to say something as soon as they have read it."""
        return self.background.is_busy or self.late.are_awaited

    def answer_polls(self) -> None:
        """Answer every poll that waits, and let none wait from now on."""
        self.feed.close()

    async def stop(self) -> None:
        """Publish and save what is at hand; nothing is lost."""
        self.intake.stop()
        self.background.stop()
        await self.publisher.close()
        self.subscribers.close()
        await self.keeper.save_unannounced()
        await self.memory.save()

    def _keep_house(self) -> None:
        self.witness.away(self.feed.sweep())
        self.background.run(self.keeper.save_unannounced())
        self.background.run(self.memory.save())

    def _refresh_interests(self) -> None:
        """Ask the modules anew for those who wait; the others are answered from scratch."""
        for viewer in self.views.due_for_interest():
            if self.feed.is_waiting(viewer):
                self.background.run(self.views.ask_interest_anew(viewer))
            else:
                self.views.forget_interest(viewer)
