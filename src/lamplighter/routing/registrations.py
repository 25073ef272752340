"""The presence router callbacks of one set of modules, in config order."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamplighter.clock import Clock
from lamplighter.metrics import Metrics
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.guard import GuardedModule, GuardSettings
from lamplighter.routing.loop_time import LoopTime

__all__ = ["Registrations", "Shadow", "ShadowRegistrations"]


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """A module that is asked, and whose answers do not count."""

    module: GuardedModule
    #: How many of the modules that count stand before it in config order.
    place: int


class Registrations:
    """What modules have registered; asked only once a `ModuleRouter` has adopted it."""

    def __init__(
        self, clock: Clock, loop_time: LoopTime, metrics: Metrics, settings: GuardSettings
    ) -> None:
        self._clock = clock
        self._loop_time = loop_time
        self._metrics = metrics
        self._settings = settings
        self._modules: list[GuardedModule] = []
        self._shadows: list[Shadow] = []

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
        self._modules.append(self._guarded(module, get_users_for_states, get_interested_users))

    @property
    def shadows(self) -> Sequence[Shadow]:
        """The modules whose answers do not count, in config order."""
        return self._shadows

    def register_shadow(
        self,
        module: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
    ) -> None:
        """Add the callbacks of a module whose answers do not count."""
        guarded = self._guarded(module, get_users_for_states, get_interested_users)
        self._shadows.append(Shadow(guarded, len(self._modules)))

    def _guarded(
        self,
        module: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
    ) -> GuardedModule:
        return GuardedModule(
            module,
            get_users_for_states,
            get_interested_users,
            clock=self._clock,
            loop_time=self._loop_time,
            metrics=self._metrics,
            settings=self._settings,
        )


@dataclass(frozen=True, slots=True)
class ShadowRegistrations:
    """What a shadow module registers in, as others do in `Registrations`."""

    _registrations: Registrations

    def register(
        self,
        module: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
    ) -> None:
        """Add the callbacks of *module*, the name by which people know it."""
        self._registrations.register_shadow(module, get_users_for_states, get_interested_users)
