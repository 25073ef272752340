"""The presence router callbacks of one set of modules, in config order."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamplighter.clock import Clock
from lamplighter.metrics import Metrics
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.guard import GuardedModule, GuardSettings
from lamplighter.routing.loop_time import LoopTime

__all__ = ["Registrations", "Shadow"]


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """A module that the server asks without using the answers."""

    module: GuardedModule
    #: How many of the modules whose answers count stand before it in config order.
    place: int


class Registrations:
    """The registered modules. The server asks them once a `ModuleRouter` has adopted the object."""

    def __init__(
        self, clock: Clock, loop_time: LoopTime, metrics: Metrics, settings: GuardSettings
    ) -> None:
        self._clock = clock
        self._loop_time = loop_time
        self._metrics = metrics
        self._settings = settings
        #: The modules whose answers count, in config order.
        self.modules: list[GuardedModule] = []
        #: The modules whose answers do not count, in config order.
        self.shadows: Sequence[Shadow] = ()

    def register(
        self,
        module: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
        *,
        shadow: bool = False,
    ) -> None:
        """Add the callbacks of *module*, the name by which people know the module."""
        guarded = GuardedModule(
            module,
            get_users_for_states,
            get_interested_users,
            clock=self._clock,
            loop_time=self._loop_time,
            metrics=self._metrics,
            settings=self._settings,
        )
        if shadow:
            self.shadows = (*self.shadows, Shadow(guarded, len(self.modules)))
        else:
            self.modules.append(guarded)

    def discard(self, module: str) -> None:
        """Forget the callbacks of *module*, which is not loaded after all."""
        self.modules[:] = [it for it in self.modules if it.name != module]
        self.shadows = tuple(it for it in self.shadows if it.module.name != module)
