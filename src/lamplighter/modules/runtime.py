"""The modules of one server: loaded, running, replaced by others, stopped.

One set of modules is in use (`ModuleSet`). `reload` puts another set in its place while the server
runs:

1. The configuration is read again, and its modules are imported anew (`fresh.py`) and instantiated.
   They may read presence and rooms, but nothing that they do has an effect yet (`set_host.py`).
2. The server asks the new modules about some users, without using the answers.
3. At one instant, between two batches of changes, the new set replaces the old one: registrations,
   cached and late answers, and what waits in outboxes and for other servers.
4. The background work of the new set begins, and the old set is stopped.

If step 1 or 2 fails, the new set is discarded and the old one stays in use. Only modules are taken
from the new configuration; for other changed keys, the result says that they need a restart.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp

from lamplighter.cluster.parts import ToldValue
from lamplighter.config import Config
from lamplighter.config.differences import changed_keys
from lamplighter.errors import ModuleError
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.digest import told_modules
from lamplighter.modules.host import ModuleExchange
from lamplighter.modules.loader import ConfiguredModule, LoadedModule
from lamplighter.modules.module_set import ModuleSet
from lamplighter.modules.tried import TriedModules
from lamplighter.service.reload import ReloadResult, carried_out

__all__ = ["ModuleRuntime", "ReloadSource"]

#: The keys of the configuration that a reload takes.
_RELOADED: Final = ("modules", "presence.presence_router")


@dataclass(frozen=True, slots=True)
class ReloadSource:
    """Where a reload gets the modules from."""

    #: The configuration with which the server was started.
    config: Config
    #: Reads the configuration again; raises `ConfigError`.
    read_config: Callable[[], Config]
    #: Returns the modules of a configuration.
    entries: Callable[[Config], Sequence[ConfiguredModule]]

    def needs_restart(self, config: Config) -> Sequence[str]:
        """Return the keys in which *config* differs, and that no reload takes."""
        return tuple(
            key
            for key in changed_keys(self.config, config)
            if not any(f"{key}.".startswith(f"{taken}.") for taken in _RELOADED)
        )


class ModuleRuntime:
    """`load` before listening, `start` once the server runs, `stop` at the end."""

    def __init__(
        self,
        exchange: ModuleExchange,
        make_set: Callable[[], ModuleSet],
        source: ReloadSource | None = None,
    ) -> None:
        """Without a *source*, the modules cannot be reloaded."""
        self._exchange = exchange
        self._make_set = make_set
        self._source = source
        self._one_candidate_at_a_time = asyncio.Lock()
        self._candidate: TriedModules | None = None
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

    async def reload(self) -> ReloadResult:
        """Replace the modules by those of the configuration as it is now.

        If that fails, the result says why, and the modules stay as they are. The modules of other
        nodes stay as they are in any case.
        """
        return await carried_out(self._reload(), self.names)

    async def _reload(self) -> Sequence[str]:
        source = self._known_source
        config = source.read_config()
        await self.replace(source.entries(config))
        return source.needs_restart(config)

    async def replace(self, entries: Sequence[ConfiguredModule]) -> None:
        """Replace the modules by those of *entries*.

        Raises `ConfigError` or `ModuleError`; then the modules stay as they are.
        """
        candidate = await self._prepare(entries, ())
        try:
            await self._exchange.swap(candidate.registrations, candidate.use)
        except Exception:
            await candidate.discard()
            raise
        await candidate.begin()

    def told(self) -> ToldValue:
        """Return what the modules of the configuration are, as it is; raise `ConfigError`."""
        source = self._known_source
        return told_modules(source.entries(source.read_config()))

    async def prepare(self, told: ToldValue) -> TriedModules:
        """Load and try the modules of the configuration as it is, which must be those of *told*.

        Raises `ConfigError` or `ModuleError`. There is one candidate at a time: the next one waits
        until this one has begun or is discarded.
        """
        source = self._known_source
        config = source.read_config()
        entries = source.entries(config)
        ours = told_modules(entries)
        if ours.text != told.text:
            how = ours.unlike(told)
            what = "the modules in its configuration differ"
            raise ModuleError(f"{what}: {how}" if how else what)
        return await self._prepare(entries, source.needs_restart(config))

    async def _prepare(
        self, entries: Sequence[ConfiguredModule], needs_restart: Sequence[str]
    ) -> TriedModules:
        await self._one_candidate_at_a_time.acquire()
        modules = self._make_set()
        try:
            await modules.load_afresh(entries)
            await self._exchange.try_out(modules.registrations)
        except BaseException:
            await modules.discard()
            self._one_candidate_at_a_time.release()
            raise
        over = self._candidate_is_over
        self._candidate = TriedModules(modules, needs_restart, self._replace, over)
        return self._candidate

    @property
    def _known_source(self) -> ReloadSource:
        if self._source is None:
            raise ModuleError("these modules have no configuration to be read again")
        return self._source

    def names(self) -> Sequence[str]:
        """Return the names of the modules that run, in config order."""
        return tuple(module.name for module in self.loaded)

    def make_api(self, module: str) -> ModuleApi:
        """Return an API for the module of this name."""
        return self._set.make_api(module)

    @property
    def loaded(self) -> Sequence[LoadedModule]:
        """The modules that run, in config order."""
        return self._set.loaded

    @property
    def left_out(self) -> Sequence[ConfiguredModule]:
        """The modules of the configuration that are not presence modules, and stay in Synapse."""
        return self._set.left_out

    @property
    def web_resources(self) -> Mapping[str, ASGIApp]:
        """The web resources of the loaded modules, by path; another object after a reload."""
        return self._set.web_resources

    def start(self) -> None:
        """Begin the modules' background work in the running event loop."""
        self._set.start()

    async def stop(self) -> None:
        """End the modules' background work, and close what the modules share."""
        if self._candidate is not None:
            await self._candidate.discard()
        await self._set.stop()

    def _replace(self, modules: ModuleSet) -> ModuleSet:
        """Put *modules* in the place of those in use, which are returned."""
        old, self._set = self._set, modules
        old.end_use()
        modules.begin_use()
        return old

    def _candidate_is_over(self) -> None:
        self._candidate = None
        self._one_candidate_at_a_time.release()
