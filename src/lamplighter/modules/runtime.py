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

import structlog
from starlette.types import ASGIApp

from lamplighter.config import Config
from lamplighter.config.differences import changed_keys
from lamplighter.errors import ConfigError, ModuleError
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.host import ModuleExchange
from lamplighter.modules.loader import ConfiguredModule, LoadedModule
from lamplighter.modules.module_set import ModuleSet
from lamplighter.routing.containment import described
from lamplighter.service.reload import ReloadResult

__all__ = ["ModuleRuntime", "ReloadSource"]

_log = structlog.get_logger(__name__)

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
        self._one_reload_at_a_time = asyncio.Lock()
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

        If that fails, the result says why, and the modules stay as they are.
        """
        assert self._source is not None
        async with self._one_reload_at_a_time:
            result = await self._reload(self._source)
        if result.problem is None:
            _log.info(
                "modules reloaded",
                modules=list(result.modules),
                needs_restart=list(result.needs_restart),
            )
        else:
            _log.error("modules not reloaded: the old ones go on", problem=result.problem)
        return result

    async def _reload(self, source: ReloadSource) -> ReloadResult:
        try:
            config = source.read_config()
            await self.replace(source.entries(config))
        except (ConfigError, ModuleError) as problem:
            return ReloadResult(self._names(), str(problem))
        except Exception as failure:  # noqa: BLE001 - the old modules stay in use, whatever it is
            _log.exception("reloading failed")
            return ReloadResult(self._names(), f"it failed: {described(failure)}")
        changed = (
            key
            for key in changed_keys(source.config, config)
            if not any(f"{key}.".startswith(f"{taken}.") for taken in _RELOADED)
        )
        return ReloadResult(self._names(), needs_restart=tuple(changed))

    async def replace(self, entries: Sequence[ConfiguredModule]) -> None:
        """Replace the modules by those of *entries*; the caller does so once at a time.

        Raises `ConfigError` or `ModuleError`; then the modules stay as they are.
        """
        candidate = self._make_set()
        try:
            await candidate.load_afresh(entries)
            await self._exchange.try_out(candidate.registrations)
        except BaseException:
            await candidate.discard()
            raise
        old = self._set

        def use() -> None:
            old.end_use()
            candidate.begin_use()
            self._set = candidate

        await self._exchange.swap(candidate.registrations, use)
        candidate.start()
        await old.stop()

    def _names(self) -> tuple[str, ...]:
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
        await self._set.stop()
