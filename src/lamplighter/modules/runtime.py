"""All modules of one server: loaded, running, replaced by others, stopped."""

from collections.abc import Callable, Mapping, Sequence

from starlette.types import ASGIApp

from lamplighter.modules.api import ModuleApi
from lamplighter.modules.host import ModuleExchange
from lamplighter.modules.loader import ConfiguredModule, LoadedModule
from lamplighter.modules.module_set import ModuleSet

__all__ = ["ModuleRuntime"]


class ModuleRuntime:
    """`load` before listening, `start` once the server runs, `stop` at last."""

    def __init__(self, exchange: ModuleExchange, make_set: Callable[[], ModuleSet]) -> None:
        self._exchange = exchange
        self._make_set = make_set
        self._set = make_set()
        self._set.begin_use()

    def load(self, entries: Sequence[ConfiguredModule]) -> Sequence[LoadedModule]:
        """Import, configure and instantiate; raise `ConfigError` or `ModuleError`."""
        try:
            self._set.load(entries)
        except BaseException:
            self._set.serve_no_imports()
            raise
        self._exchange.adopt(self._set.registrations)
        return self.loaded

    async def reload(self, entries: Sequence[ConfiguredModule]) -> None:
        """Put the modules of *entries* in the place of those that run; one reload at a time.

        Their code is imported anew, and each is tried. Raises `ConfigError` or `ModuleError`; then
        those that run go on as if nothing had happened.
        """
        candidate = self._make_set()
        try:
            await candidate.load_afresh(entries)
            await self._exchange.try_out(candidate.registrations)
        except BaseException:
            await candidate.discard()
            raise
        old = self._set
        await self._exchange.swap(candidate.registrations, lambda: self._use(candidate))
        candidate.start()
        await old.stop()

    def make_api(self, module: str) -> ModuleApi:
        """Return an API for the module of this name."""
        return self._set.make_api(module)

    @property
    def loaded(self) -> Sequence[LoadedModule]:
        """The modules that run, in the order of the config."""
        return self._set.loaded

    @property
    def left_out(self) -> Sequence[ConfiguredModule]:
        """The modules of the configuration that are not of presence, and stay in Synapse."""
        return self._set.left_out

    @property
    def web_resources(self) -> Mapping[str, ASGIApp]:
        """What modules serve, by path, once they are loaded: another object with other modules."""
        return self._set.web_resources

    def start(self) -> None:
        """Begin with the modules' background work, in the event loop that runs now."""
        self._set.start()

    async def stop(self) -> None:
        """End the modules' background work, and close what they share."""
        await self._set.stop()

    def _use(self, candidate: ModuleSet) -> None:
        self._set.end_use()
        candidate.begin_use()
        self._set = candidate
