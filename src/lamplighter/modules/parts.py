"""What the parts of `ModuleApi` have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from lamplighter.modules.background import BackgroundWork, Label
from lamplighter.modules.host import PresenceHost, ServerFacts
from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.storage import ModuleDatabase
from lamplighter.modules.web import WebResources
from lamplighter.ports import ModuleDirectory
from lamplighter.routing.callbacks import Register

__all__ = ["ApiPart", "ApiParts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApiParts:
    """The objects behind the API, shared by the modules of a set."""

    server: ServerFacts
    register: Register
    host: PresenceHost
    directory: ModuleDirectory
    background: BackgroundWork
    database: ModuleDatabase
    web: WebResources
    http_client: SimpleHttpClient
    #: Gets the name of each call that would change the server, and has no effect, of a module in
    #: the shadow; None: the calls have an effect.
    left_undone: Callable[[str], None] | None = None


class ApiPart:
    """The base class of the parts of `ModuleApi`."""

    def __init__(self, module: str, parts: ApiParts) -> None:
        self._module = module
        self._parts = parts

    async def _serve(self, desc: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work* in the server's event loop; a module may call from another one."""
        label = Label(self._module, desc)
        return await self._parts.background.in_server_loop(label, work)

    async def _change(self, call: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do *work*, which changes the server; only count the *call* of a module in the shadow."""
        left_undone = self._parts.left_undone

        async def count() -> None:
            if left_undone is not None:
                left_undone(call)

        await self._serve(call, work if left_undone is None else count)
