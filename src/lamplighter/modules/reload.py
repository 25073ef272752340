"""The reload of a server's modules: the configuration is read again, and its modules replace ours.

Nothing else of the configuration is taken in; what differs is reported.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from lamplighter.config import Config
from lamplighter.config.differences import changed_keys
from lamplighter.errors import ConfigError, ModuleError
from lamplighter.modules.loader import ConfiguredModule
from lamplighter.modules.runtime import ModuleRuntime
from lamplighter.routing.containment import described
from lamplighter.service.reload import ReloadResult

__all__ = ["ModuleReload"]

_log = structlog.get_logger(__name__)

#: What a reload is about.
_TAKEN_IN: Final = ("modules", "presence.presence_router")


class ModuleReload:
    """Reloads when it is told to, once at a time."""

    def __init__(
        self,
        runtime: ModuleRuntime,
        config: Config,
        read_config: Callable[[], Config],
        entries: Callable[[Config], Sequence[ConfiguredModule]],
    ) -> None:
        """*config* is what the server runs with; *entries* are the modules of a configuration."""
        self._runtime = runtime
        self._config = config
        self._read_config = read_config
        self._entries = entries
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> ReloadResult:
        """Load the modules of the configuration as it is now, and put them in place of ours.

        Where that cannot be done, the result says why, and everything stays as it was.
        """
        async with self._one_at_a_time:
            result = await self._reload()
        if result.problem is None:
            _log.info(
                "modules reloaded",
                modules=list(result.modules),
                needs_restart=list(result.needs_restart),
            )
        else:
            _log.error("modules not reloaded: the old ones go on", problem=result.problem)
        return result

    async def _reload(self) -> ReloadResult:
        try:
            config = self._read_config()
            await self._runtime.reload(self._entries(config))
        except (ConfigError, ModuleError) as problem:
            return ReloadResult(self._names(), str(problem))
        except Exception as failure:  # noqa: BLE001 - whatever it is, the old modules go on
            _log.exception("reloading failed")
            return ReloadResult(self._names(), f"it failed: {described(failure)}")
        changed = [key for key in changed_keys(self._config, config) if not _is_taken_in(key)]
        return ReloadResult(self._names(), needs_restart=tuple(changed))

    def _names(self) -> tuple[str, ...]:
        return tuple(module.name for module in self._runtime.loaded)


def _is_taken_in(key: str) -> bool:
    return any(f"{key}.".startswith(f"{taken}.") for taken in _TAKEN_IN)
