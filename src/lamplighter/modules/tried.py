"""Modules that are loaded and tried, and may be put in the place of those in use."""

from collections.abc import Callable, Sequence

from lamplighter.modules.module_set import ModuleSet
from lamplighter.routing.registrations import Registrations

__all__ = ["TriedModules"]


class TriedModules:
    """A set of modules that is not in use: either `use` and `begin` follow, or `discard`."""

    def __init__(
        self,
        modules: ModuleSet,
        needs_restart: Sequence[str],
        replace: Callable[[ModuleSet], ModuleSet],
        over: Callable[[], None],
    ) -> None:
        """*replace* puts a set in use and returns the one before; *over* lets another one come."""
        #: The changed keys of the configuration that take effect only after a restart.
        self.needs_restart = needs_restart
        self._modules = modules
        self._replace = replace
        self._over = over
        self._old: ModuleSet | None = None
        self._is_discarded = False

    @property
    def registrations(self) -> Registrations:
        """What the modules have registered."""
        return self._modules.registrations

    def use(self) -> None:
        """Let calls of these modules take effect from this instant, and none of the old ones.

        Does nothing if they are discarded: then the server stops.
        """
        if not self._is_discarded:
            self._old = self._replace(self._modules)

    async def begin(self) -> None:
        """Begin the background work of these modules, and stop the old ones, if they are in use."""
        if self._old is None:
            return
        try:
            self._modules.start()
            await self._old.stop()
        finally:
            self._over()

    async def discard(self) -> None:
        """Stop modules that are not in use. Does nothing if they are, or the second time."""
        if self._old is not None or self._is_discarded:
            return
        self._is_discarded = True
        try:
            await self._modules.discard()
        finally:
            self._over()
