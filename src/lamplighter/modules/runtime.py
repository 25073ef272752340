"""All modules of one server: loaded, running, stopped."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from starlette.types import ASGIApp

from lamplighter.clock import Clock
from lamplighter.modules import synapse_paths
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.background import Background
from lamplighter.modules.host import ModuleDirectory, PresenceHost, Router, ServerFacts
from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.loader import LoadedModule, ModuleEntry, load_modules
from lamplighter.modules.parts import ApiParts
from lamplighter.modules.storage import ModuleDatabase
from lamplighter.modules.web import WebResources

__all__ = ["ModuleRuntime"]


class ModuleRuntime:
    """What `app.py` builds: `load` before listening, `start` once the server runs, `stop` at last.

    *database_path* is the file of the modules' own database; None keeps it in memory.
    """

    def __init__(
        self,
        server: ServerFacts,
        *,
        router: Router,
        host: PresenceHost,
        directory: ModuleDirectory,
        clock: Clock,
        database_path: Path | None,
    ) -> None:
        self._parts = ApiParts(
            server=server,
            router=router,
            host=host,
            directory=directory,
            background=Background(clock),
            database=ModuleDatabase(database_path),
            web=WebResources(),
            http_client=SimpleHttpClient(),
        )
        self._loaded: Sequence[LoadedModule] = ()
        self._web_resources: Mapping[str, ASGIApp] = {}

    def load(self, entries: Sequence[ModuleEntry]) -> Sequence[LoadedModule]:
        """Import, configure and instantiate; raise `ConfigError` or `ModuleError`."""
        synapse_paths.install(self._parts.background)
        try:
            self._loaded = load_modules(entries, self.make_api)
        except BaseException:
            self._leave_synapse_paths()
            raise
        self._web_resources = self._parts.web.close()
        return self._loaded

    def make_api(self, module: str) -> ModuleApi:
        """Return an API for the module of this name."""
        return ModuleApi(module, self._parts)

    @property
    def loaded(self) -> Sequence[LoadedModule]:
        """The modules that run, in the order of the config."""
        return self._loaded

    @property
    def web_resources(self) -> Mapping[str, ASGIApp]:
        """What modules serve, by path, once they are loaded."""
        return self._web_resources

    def start(self) -> None:
        """Begin with the modules' background work, in the event loop that runs now."""
        self._parts.background.start()

    async def stop(self) -> None:
        """End the modules' background work, and close what they share."""
        self._leave_synapse_paths()
        await self._parts.background.stop()
        self._parts.database.close()
        await self._parts.http_client.close()

    def _leave_synapse_paths(self) -> None:
        finder = synapse_paths.installed()
        if finder is not None:
            finder.functions.remove(self._parts.background)
