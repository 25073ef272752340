"""The presence router callbacks of one set of modules, in config order."""

from collections.abc import Sequence

from lamplighter.clock import Clock
from lamplighter.metrics import Metrics
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.guard import GuardedModule, GuardSettings

__all__ = ["Registrations"]


class Registrations:
    """What modules have registered; asked only once a `PresenceRouter` has adopted it."""

    def __init__(self, clock: Clock, metrics: Metrics, settings: GuardSettings) -> None:
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._modules: list[GuardedModule] = []

    @property
    def modules(self) -> Sequence[GuardedModule]:
        """The registrations, in config order; the same object as long as they are in use."""
        return self._modules

    def register(
        self,
        module: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
    ) -> None:
        """Add the callbacks of *module*, the name by which people know it."""
        guarded = GuardedModule(
            module,
            get_users_for_states,
            get_interested_users,
            clock=self._clock,
            metrics=self._metrics,
            settings=self._settings,
        )
        self._modules.append(guarded)
