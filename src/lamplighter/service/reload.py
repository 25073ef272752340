"""The result of a reload of modules, for those who have asked for it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from lamplighter.errors import ClusterUnavailable, ConfigError, ModuleError
from lamplighter.routing.containment import described

__all__ = ["Reload", "ReloadResult", "carried_out"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """The modules after a reload, and why it has failed, if it has."""

    #: The names of the modules that run now, in config order.
    modules: Sequence[str]
    #: Why the modules stay as they were; None if they were replaced.
    problem: str | None = None
    #: The changed keys of the configuration that take effect only after a restart.
    needs_restart: Sequence[str] = ()

    def __str__(self) -> str:
        if self.problem is not None:
            return f"the modules stay as they are: {self.problem}"
        keys = ", ".join(self.needs_restart)
        restart = f" (needs a restart: {keys})" if keys else ""
        return f"modules reloaded: {', '.join(self.modules) or 'none'}{restart}"


#: Replaces the modules by those of the configuration as it is now. It never raises.
Reload: TypeAlias = Callable[[], Awaitable[ReloadResult]]


async def carried_out(
    work: Awaitable[Sequence[str]], names: Callable[[], Sequence[str]]
) -> ReloadResult:
    """Return the result of *work*, which replaces the modules, and log it.

    *work* returns the keys that need a restart; *names* returns the modules that run.
    """
    try:
        needs_restart = await work
    except (ConfigError, ModuleError, ClusterUnavailable) as problem:
        result = ReloadResult(names(), str(problem))
    except Exception as failure:  # noqa: BLE001 - the old modules stay in use, whatever it is
        _log.exception("reloading failed")
        result = ReloadResult(names(), f"it failed: {described(failure)}")
    else:
        result = ReloadResult(names(), None, needs_restart)
        modules, restart = list(result.modules), list(needs_restart)
        _log.info("modules reloaded", modules=modules, needs_restart=restart)
        return result
    _log.error("modules not reloaded: the old ones go on", problem=result.problem)
    return result
