"""The import paths that modules know: `synapse.…`, served where no real Synapse is installed.

Nothing of that name is ever installed. `install` puts a finder before Python's own ones, and
whatever is imported from `synapse.…` then comes out of the table below. What is not in it raises an
error that says what to use instead.
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
from lamplighter.modules.storage import Transaction
from lamplighter.modules.synapse import constants, errors, types
from lamplighter.modules.synapse.other_kinds import OTHER_KINDS
from lamplighter.modules.synapse_on_demand import SynapseOnDemand
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS

__all__ = ["SynapsePaths", "install", "installed", "uninstall"]

Names = Mapping[str, object]

_ROOT: Final = "synapse"

_log = structlog.get_logger(__name__)


class SynapsePaths(MetaPathFinder, Loader):
    """Finds and fills the modules of the table."""

    #: One for the process, as imports are: what was imported from an earlier finder works as well.
    functions: Final = ImportedFunctions()

    def __init__(self) -> None:
        self._table = _table(self.functions)

    @property
    def paths(self) -> Sequence[str]:
        """The paths that are served, parents first."""
        return tuple(self._table)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        del path, target
        if fullname in self._table:
            # Each is a package, so that Python asks here for a name that is not in it.
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(f"{_ROOT}."):
            # Without `name=`, which would make Python swallow it in `from synapse.x import y`.
            raise ModuleNotFoundError(_not_served(fullname))
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        names = self._table[module.__name__]
        module.__doc__ = f"Lamplighter's stand-in for {module.__name__}."
        module.__dict__.update(names, __all__=sorted(names))
        module.__dict__["__getattr__"] = _refusal(module.__name__)


def install(server: BackgroundWork | None = None) -> SynapsePaths | None:
    """Serve `synapse.…` from now on, and let its functions work for *server*.

    Harmless when it is done. Returns None where a real Synapse is installed: modules then import
    from that, and work as far as what they import does without Synapse's reactor.
    """
    finder = installed()
    if finder is None:
        _forget_on_demand()  # which would be taken for a real Synapse
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
    """Return the finder that serves, or None."""
    return next((found for found in sys.meta_path if isinstance(found, SynapsePaths)), None)


def uninstall() -> None:
    """Serve nothing any more; modules that were imported keep what they have."""
    finder = installed()
    if finder is not None:
        sys.meta_path.remove(finder)
        _forget_modules()


def _is_real_synapse_here() -> bool:
    """Tell whether `synapse.module_api` can be imported without us.

    A directory that is only called `synapse` is not it.
    """
    try:
        return importlib.util.find_spec(f"{_ROOT}.module_api") is not None
    except (ImportError, ValueError):
        return False


def _forget_on_demand() -> None:
    sys.meta_path[:] = [it for it in sys.meta_path if not isinstance(it, SynapseOnDemand)]


def _forget_modules() -> None:
    for name in [name for name in sys.modules if name == _ROOT or name.startswith(f"{_ROOT}.")]:
        del sys.modules[name]


def _not_served(path: str) -> str:
    return f"Lamplighter has no {path}: {import_hint(path)}"


def _refusal(path: str) -> Any:
    def __getattr__(name: str) -> Any:  # noqa: N807 - what Python calls for a missing attribute
        raise AttributeError(_not_served(f"{path}.{name}"), name=name)

    return __getattr__


def _public(module: ModuleType, *names: str) -> dict[str, object]:
    return {name: getattr(module, name) for name in names or module.__all__}


def _table(functions: ImportedFunctions) -> dict[str, Names]:
    """Return every served path with the names in it, parents before children."""
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
            "LoggingTransaction": Transaction,
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
