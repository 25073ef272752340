"""A set of modules: loaded together, in use together, and stopped together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog
from starlette.types import ASGIApp

from lamplighter.clock import Clock
from lamplighter.errors import ModuleError
from lamplighter.modules import synapse_paths
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.background import BackgroundWork
from lamplighter.modules.fresh import FreshImports
from lamplighter.modules.host import ModuleExchange, PresenceHost, ServerFacts
from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.loader import (
    ConfiguredModule,
    LoadedModule,
    ParsedModule,
    import_and_parse,
    instantiate,
)
from lamplighter.modules.parts import ApiParts
from lamplighter.modules.set_host import SetHost
from lamplighter.modules.storage import ModuleDatabases
from lamplighter.modules.threads import start_thread
from lamplighter.modules.web import WebResources
from lamplighter.ports import ModuleDirectory

__all__ = ["ModuleSet"]

_log = structlog.get_logger(__name__)


class ModuleSet:
    """A set of modules with its registrations, background work and database.

    A server has one set in use, and for a moment a second one, during a reload.
    """

    def __init__(
        self,
        server: ServerFacts,
        *,
        exchange: ModuleExchange,
        host: PresenceHost,
        directory: ModuleDirectory,
        clock: Clock,
        make_databases: Callable[[], ModuleDatabases],
    ) -> None:
        #: The registered callbacks.
        self.registrations = exchange.prepare()
        self._exchange = exchange
        self._host = SetHost(host)
        self._background = BackgroundWork(clock)
        databases = make_databases()
        self._parts = ApiParts(
            server=server,
            register=self.registrations.register,
            host=self._host,
            directory=directory,
            background=self._background,
            database=databases.in_use,
            web=WebResources(),
            http_client=SimpleHttpClient(),
        )
        self._shadow_database = databases.shadow
        self.loaded: Sequence[LoadedModule] = ()
        #: Modules of the configuration that are not presence modules, and were not loaded.
        self.left_out: list[ConfiguredModule] = []
        self.web_resources: Mapping[str, ASGIApp] = {}
        self._imports: FreshImports | None = None

    def load(self, entries: Sequence[ConfiguredModule]) -> None:
        """Import, configure and instantiate; raise `ConfigError` or `ModuleError`."""
        synapse_paths.install(self._background)
        self._instantiate(import_and_parse(entries, self._left_out))

    async def load_afresh(self, entries: Sequence[ConfiguredModule]) -> None:
        """Do as `load` does, but import all code anew, in a thread while the server goes on."""
        self._background.prepare()
        synapse_paths.install(self._background)
        self._imports = FreshImports(it.path for it in entries if it.factory is None)
        try:
            with self._imports:
                importing = start_thread(
                    "module-import", lambda: import_and_parse(entries, self._left_out)
                )
                parsed = await asyncio.wrap_future(importing)
            self._instantiate(parsed)
        except SystemExit as leaving:  # it would end the server if it left this task
            raise ModuleError(f"a module tried to end the server: {leaving!r}") from None

    def make_api(self, module: str) -> ModuleApi:
        """Return an API for the module of this name."""
        return ModuleApi(module, self._parts)

    def begin_use(self) -> None:
        """Put the set in use: from now on, calls of its modules take effect."""
        self._imports = None
        self._host.open()

    def start(self) -> None:
        """Begin the modules' background work in the running event loop."""
        self._background.start()

    def end_use(self) -> None:
        """Take the set out of use: calls of its modules take no effect any more."""
        self._host.close()

    async def stop(self) -> None:
        """End the modules' background work, and close what the modules share."""
        self.end_use()
        self.serve_no_imports()
        await self._background.stop()
        self._parts.database.close()
        self._shadow_database.close()
        await self._parts.http_client.close()

    def serve_no_imports(self) -> None:
        """Remove the set from the servers that imported functions can find."""
        finder = synapse_paths.installed()
        if finder is not None:
            finder.functions.remove(self._background)

    async def discard(self) -> None:
        """Stop a set that was never in use, and undo its imports."""
        if self._imports is not None:
            self._imports.undo()
        await self.stop()

    def _instantiate(self, parsed: Sequence[ParsedModule]) -> None:
        def api_of(module: ParsedModule) -> ModuleApi:
            make = self._shadow_api if module.entry.shadow else self.make_api
            return make(module.name)

        self.loaded = instantiate(parsed, api_of, self._discard)
        for module in self.loaded:
            entry = module.entry
            _log.info("module loaded", module=module.name, path=entry.path, shadow=entry.shadow)
        self.web_resources = self._parts.web.close()

    def _discard(self, module: ParsedModule, why: str) -> None:
        """Undo what a module has done by its API while it was built."""
        self._background.discard(module.name)
        self._host.discard(module.name)
        self._parts.web.discard(module.name)
        self.registrations.discard(module.name)
        self._left_out(module.entry, why)

    def _left_out(self, entry: ConfiguredModule, why: str) -> None:
        self.left_out.append(entry)
        _log.warning("a module stays in Synapse: it is not loaded", module=entry.path, why=why)

    def _shadow_api(self, module: str) -> ModuleApi:
        parts = replace(
            self._parts,
            register=partial(self.registrations.register, shadow=True),
            left_undone=partial(self._exchange.left_undone, module),
            database=self._shadow_database,
            web=WebResources(),  # the server does not serve them
        )
        return ModuleApi(module, parts)
