"""The admin API on presence router modules: their condition, a reset, and a reload."""

from collections.abc import Callable, Sequence

import msgspec
import structlog
from starlette.requests import Request

from lamplighter.errors import NotFound
from lamplighter.routing.guard import GuardedModule
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.reload import Reload
from lamplighter.service.shadow import ShadowDifference
from lamplighter.web.admin.content import (
    Done,
    FailureContent,
    ModuleContent,
    ModuleList,
    ReloadContent,
    ShadowContent,
    ShadowList,
)
from lamplighter.web.admin.operations import Operation

__all__ = ["AdminModules"]

_log = structlog.get_logger(__name__)


class AdminModules:
    """Shows the modules, resets their breakers, and reloads them."""

    def __init__(
        self,
        router: ModuleRouter,
        differences: Callable[[], Sequence[ShadowDifference]],
        reload: Reload,
    ) -> None:
        """*differences* returns what shadow modules would change, the newest first."""
        self._router = router
        self._differences = differences
        self._reload = reload

    def operations(self) -> list[Operation]:
        reset = "Forget a module's failures: if it is paused, it is asked again at once."
        reload = "Read the configuration again, and replace the modules."
        shadow = "List the shadow modules, and what they would change."
        return [
            Operation("GET", "/modules/shadow", shadow, self.list_shadows, ShadowList),
            Operation("POST", "/modules/reload", reload, self.reload, ReloadContent),
            Operation("GET", "/modules", "List the modules.", self.list_all, ModuleList),
            Operation("POST", "/modules/{name}/reset", reset, self.reset, Done),
        ]

    async def list_all(self, _request: Request) -> ModuleList:
        """Return all modules, in the order of the configuration."""
        return ModuleList([_module(module) for module in self._router.modules])

    async def list_shadows(self, _request: Request) -> ShadowList:
        """Return the shadow modules, and what they would change, the newest first."""
        modules = [_module(shadow.module) for shadow in self._router.shadows]
        differences = [
            msgspec.convert(it, ShadowContent, from_attributes=True) for it in self._differences()
        ]
        return ShadowList(modules, differences)

    async def reset(self, request: Request) -> Done:
        """Close the breaker of a module, a shadow module too. Raises `NotFound`."""
        name = request.path_params["name"]
        asked = (*self._router.modules, *(shadow.module for shadow in self._router.shadows))
        found = [module for module in asked if module.name == name]
        if not found:
            raise NotFound("No such module is asked who sees whom")
        for module in found:
            module.reset()
        _log.info("the operator has reset a module", module=name)
        return Done()

    async def reload(self, _request: Request) -> ReloadContent:
        """Reload the modules. If that fails, the present modules go on."""
        return msgspec.convert(await self._reload(), ReloadContent, from_attributes=True)


def _module(module: GuardedModule) -> ModuleContent:
    health = module.health
    last = health.last_failure
    last_failure = msgspec.convert(last, FailureContent, from_attributes=True) if last else None
    return ModuleContent(
        name=module.name,
        calls=health.calls,
        failures=health.failures,
        last_failure=last_failure,
        median_seconds=health.seconds(0.5),
        p95_seconds=health.seconds(0.95),
        paused=module.is_paused,
        paused_until_ts=module.paused_until,
    )
