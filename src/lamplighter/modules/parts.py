"""What the parts of `ModuleApi` share: whose API it is, and what it works with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from lamplighter.modules.background import BackgroundWork, Label
from lamplighter.modules.host import ModuleDirectory, PresenceHost, ServerFacts
from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.storage import ModuleDatabase
from lamplighter.modules.web import WebResources
from lamplighter.routing.callbacks import Register

__all__ = ["ApiPart", "ApiParts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What every module's API works with; one for all modules of a server."""

    server: ServerFacts
    register: Register
    host: PresenceHost
    directory: ModuleDirectory
    background: BackgroundWork
    database: ModuleDatabase
    web: WebResources
    http_client: SimpleHttpClient


class ApiPart:
    """The base of what makes up `ModuleApi`."""

    def __init__(self, module: str, parts: ApiParts) -> None:
        self._module = module
        self._parts = parts

    async def _serve(self, desc: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work* in the server's loop: a module may call from a loop of its own."""
        label = Label(self._module, desc)
        return await self._parts.background.in_server_loop(label, work)
