"""What those who ask for other modules are told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Reload", "ReloadResult"]


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What has come of it."""

    #: The modules that run now, by name, in config order.
    modules: Sequence[str]
    #: Why those that ran before still do; None where others are in their place.
    problem: str | None = None
    #: Keys of the configuration that differ, and will count only after a restart.
    needs_restart: Sequence[str] = ()

    def __str__(self) -> str:
        if self.problem is not None:
            return f"the modules stay as they are: {self.problem}"
        said = f"modules reloaded: {', '.join(self.modules) or 'none'}"
        return f"{said}{self._restart()}"

    def _restart(self) -> str:
        keys = ", ".join(self.needs_restart)
        return f" (needs a restart: {keys})" if keys else ""


class Reload(Protocol):
    """Loads the modules of the configuration as it is now."""

    async def reload(self) -> ReloadResult:
        """Put them in the place of those that run; never raises for what is wrong with them."""
