"""The import paths `synapse.…` that modules use, provided if no real Synapse is installed.

`install` puts a finder before Python's own finders. Imports from `synapse.…` then get the names in
the table below, and other names raise an error that tells what to use instead. No package with the
name `synapse` is ever installed.
"""

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

import structlog

from lamplighter.modules.account_part import AccountDataManager
from lamplighter.modules.acting import ImportedFunctions, make_deferred_yieldable
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.background import BackgroundWork
from lamplighter.modules.cache import CachedFunction, cached
from lamplighter.modules.hints import import_hint
from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.storage import ModuleTransaction
from lamplighter.modules.synapse import constants, errors, types
from lamplighter.modules.synapse.other_kinds import OTHER_KINDS
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS

__all__ = ["SynapsePaths", "install", "installed", "uninstall"]

Names = Mapping[str, object]

_ROOT: Final = "synapse"

_log = structlog.get_logger(__name__)


class SynapsePaths(MetaPathFinder, Loader):
    """Finds and fills the Python modules of the table."""

    #: One for the process, because imports are: functions from an earlier finder go on working.
    functions: Final = ImportedFunctions()

    def __init__(self) -> None:
        self._table = _table(self.functions)

    @property
    def paths(self) -> Sequence[str]:
        """All paths of the table, parents first."""
        return tuple(self._table)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        del path, target
        if fullname in self._table:
            # A package, so that Python asks this finder for names that the module does not have.
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(f"{_ROOT}."):
            # With `name=`, Python would hide this error in `from synapse.x import y`.
            raise ModuleNotFoundError(_not_served(fullname))
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        def missing(name: str) -> Any:
            raise AttributeError(_not_served(f"{module.__name__}.{name}"), name=name)

        names = self._table[module.__name__]
        module.__doc__ = f"Lamplighter's stand-in for {module.__name__}."
        module.__dict__.update(names, __all__=sorted(names))
        module.__dict__["__getattr__"] = missing


def install(server: BackgroundWork | None = None) -> SynapsePaths | None:
    """Provide `synapse.…` from now on, and make its functions work for *server*.

    Calling this twice is harmless. Returns None if a real Synapse is installed: modules then import
    from there, which works for everything that does not need Synapse's reactor.
    """
    finder = installed()
    if finder is None:
        # The finder on demand would be mistaken for a real Synapse.
        on_demand = [it for it in sys.meta_path if getattr(it, "is_synapse_on_demand", False)]
        sys.meta_path[:] = [it for it in sys.meta_path if it not in on_demand]
        if _is_real_synapse_here():
            _log.warning(
                "a real Synapse is installed: modules import from it; its run_in_background and "
                "cached need its own reactor, those of the api that a module is given do not"
            )
            return None
        finder = SynapsePaths()
        _forget_modules()
        sys.meta_path.insert(0, finder)
    for path in finder.paths:
        importlib.import_module(path)
    if server is not None:
        finder.functions.add(server)
    return finder


def installed() -> SynapsePaths | None:
    """Return the installed finder, or None."""
    return next((found for found in sys.meta_path if isinstance(found, SynapsePaths)), None)


def uninstall() -> None:
    """Provide `synapse.…` no longer; modules that were imported keep their names."""
    finder = installed()
    if finder is not None:
        sys.meta_path.remove(finder)
        _forget_modules()


def _is_real_synapse_here() -> bool:
    """Tell whether a real `synapse.module_api` can be imported.

    A directory that is only called `synapse` does not count.
    """
    try:
        return importlib.util.find_spec(f"{_ROOT}.module_api") is not None
    except (ImportError, ValueError):
        return False


def _forget_modules() -> None:
    for name in [name for name in sys.modules if name == _ROOT or name.startswith(f"{_ROOT}.")]:
        del sys.modules[name]


def _not_served(path: str) -> str:
    return f"Lamplighter has no {path}: {import_hint(path)}"


def _public(module: ModuleType, *names: str) -> dict[str, object]:
    return {name: getattr(module, name) for name in names or module.__all__}


def _table(functions: ImportedFunctions) -> dict[str, Names]:
    """Return all paths with their names, parents before children."""
    presence = {"UserPresenceState": UserPresenceState}
    config = _public(errors, "ConfigError")
    background = {
        "make_deferred_yieldable": make_deferred_yieldable,
        "run_in_background": functions.run_in_background,
    }
    return {
        "synapse": {},
        "synapse.api": presence,
        "synapse.api.constants": {
            name: thing for name, thing in _public(constants).items() if name != "PresenceRouter"
        },
        "synapse.api.errors": {
            name: thing for name, thing in _public(errors).items() if name != "ConfigError"
        },
        "synapse.api.presence": {**presence, **_public(constants, "PresenceState")},
        "synapse.config": config,
        "synapse.config._base": config,
        "synapse.events": _public(types, "EventBase"),
        "synapse.events.presence_router": _public(constants, "PresenceRouter"),
        "synapse.handlers": {},
        "synapse.handlers.presence": presence,
        "synapse.logging": {},
        "synapse.logging.context": background,
        "synapse.module_api": {
            **presence,
            **background,
            **_public(types, "EventBase", "JsonDict", "JsonMapping", "ProfileInfo", "RoomAlias"),
            **_public(types, "DomainSpecificString", "Requester", "RoomID", "StateMap", "UserID"),
            **_public(types, "UserInfo"),
            **OTHER_KINDS,
            "AccountDataManager": AccountDataManager,
            "CachedFunction": CachedFunction,
            "LoggingTransaction": ModuleTransaction,
            "ModuleApi": ModuleApi,
            "PRESENCE_ALL_USERS": PRESENCE_ALL_USERS,
            "SimpleHttpClient": SimpleHttpClient,
            "cached": cached,
            "run_as_background_process": functions.run_as_background_process,
        },
        "synapse.module_api.errors": _public(
            errors,
            "AuthError",
            "Codes",
            "ConfigError",
            "InvalidClientCredentialsError",
            "RedirectException",
            "SynapseError",
        ),
        "synapse.types": {
            name: thing
            for name, thing in _public(types).items()
            if name not in ("EventBase", "ProfileInfo")
        },
    }
