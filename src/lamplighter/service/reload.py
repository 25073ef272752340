"""The result of a reload of modules, for those who have asked for it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Reload", "ReloadResult"]


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
