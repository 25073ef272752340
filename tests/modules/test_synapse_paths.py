"""The import paths that modules know."""

import importlib
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.modules import synapse_paths
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle
from lamplighter.modules.synapse import constants, errors, types
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS
from tests.modules.fakes import BOB, World, state_of


@pytest.fixture(autouse=True)
def paths() -> Iterator[None]:
    """Serve the paths anew, and leave them served."""
    synapse_paths.uninstall()
    synapse_paths.install()
    yield
    synapse_paths.uninstall()
    synapse_paths.install()


def attribute(path: str, name: str) -> Any:
    """Return what `from path import name` gives."""
    return getattr(importlib.import_module(path), name)


def run(code: str) -> dict[str, Any]:
    """Run *code* as a module's; return its names."""
    names: dict[str, Any] = {"__name__": "third_party"}
    exec(code, names)
    return names


@pytest.mark.parametrize(
    ("path", "name", "thing"),
    [
        ("synapse.module_api", "ModuleApi", ModuleApi),
        ("synapse.module_api", "PRESENCE_ALL_USERS", PRESENCE_ALL_USERS),
        ("synapse.module_api", "UserPresenceState", UserPresenceState),
        ("synapse.module_api", "UserID", types.UserID),
        ("synapse.module_api", "JsonDict", types.JsonDict),
        ("synapse.module_api.errors", "ConfigError", errors.ConfigError),
        ("synapse.module_api.errors", "SynapseError", errors.SynapseError),
        ("synapse.api", "UserPresenceState", UserPresenceState),
        ("synapse.api.presence", "UserPresenceState", UserPresenceState),
        ("synapse.api.constants", "PresenceState", constants.PresenceState),
        ("synapse.api.errors", "AuthError", errors.AuthError),
        ("synapse.handlers.presence", "UserPresenceState", UserPresenceState),
        ("synapse.events.presence_router", "PresenceRouter", constants.PresenceRouter),
        ("synapse.types", "UserID", types.UserID),
        ("synapse.types", "create_requester", types.create_requester),
        ("synapse.config", "ConfigError", errors.ConfigError),
        ("synapse.config._base", "ConfigError", errors.ConfigError),
    ],
)
def test_paths(path: str, name: str, thing: object) -> None:
    """Every path has our own object under the name that modules import."""
    assert attribute(path, name) is thing


def test_everybody() -> None:
    """PRESENCE_ALL_USERS is the plain value "ALL", under both its names."""
    assert attribute("synapse.module_api", "PRESENCE_ALL_USERS") == "ALL"
    assert attribute("synapse.events.presence_router", "PresenceRouter").ALL_USERS == "ALL"


def test_presence_states_are_the_ones_on_the_wire() -> None:
    """PresenceState has the strings of the specification."""
    states = constants.PresenceState
    named = [states.ONLINE, states.UNAVAILABLE, states.OFFLINE, states.BUSY]
    assert named == [Presence.ONLINE, Presence.UNAVAILABLE, Presence.OFFLINE, Presence.BUSY]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "from synapse.module_api import DatabasePool",
            "Lamplighter has no synapse.module_api.DatabasePool: "
            "use the cursor that run_db_interaction gives",
        ),
        (
            "import synapse.http.server",
            "Lamplighter has no synapse.http: use what synapse.module_api offers, "
            "and the api that the module was given",
        ),
        (
            "from synapse.util.async_helpers import Linearizer",
            "Lamplighter has no synapse.util: there is no Twisted here: "
            "use async functions, and asyncio",
        ),
        (
            "from synapse.handlers.presence import PresenceHandler",
            "Lamplighter has no synapse.handlers.presence.PresenceHandler: "
            "use await api.get_presence_for_users(...) or api.subscribe_to_presence(...)",
        ),
    ],
)
def test_import_of_what_is_not_there(code: str, message: str) -> None:
    """An import of another name fails, and the error tells what to use instead."""
    with pytest.raises(ImportError) as raised:
        run(code)
    assert str(raised.value) == message


def test_attribute_that_is_not_there() -> None:
    """A missing attribute raises an AttributeError that tells what to use instead."""
    module = importlib.import_module("synapse.module_api")
    assert not hasattr(module, "DirectServeJsonResource")
    with pytest.raises(AttributeError, match=r"give api\.register_web_resource an async function"):
        _ = module.DirectServeJsonResource


def test_other_ways_to_import() -> None:
    """A star import has the served names; a module that can do without a name falls back; and the
    documentation's annotation "synapse.api.UserPresenceState" resolves after `import synapse`.
    """
    assert run("from synapse.types import *")["UserID"] is types.UserID
    code = "try:\n import synapse.util.duration\nexcept ModuleNotFoundError:\n fell_back = True"
    assert run(code)["fell_back"] is True
    names = run('import synapse\ndef f(s: "synapse.api.UserPresenceState"): ...')
    assert typing.get_type_hints(names["f"]) == {"s": UserPresenceState}


def test_installing_twice() -> None:
    """Installing twice is the same as once, and keeps the modules that were imported."""
    before = importlib.import_module("synapse.module_api")
    finder = synapse_paths.installed()
    assert synapse_paths.install() is finder
    assert importlib.import_module("synapse.module_api") is before


def test_uninstalling() -> None:
    """Once uninstalled, there is no `synapse` any more."""
    synapse_paths.uninstall()
    assert synapse_paths.installed() is None
    assert [name for name in sys.modules if name.split(".")[0] == "synapse"] == []
    with pytest.raises(ModuleNotFoundError, match="No module named 'synapse'"):
        importlib.import_module("synapse")


def test_installing_again() -> None:
    """Functions that were imported before an uninstallation work after the next installation."""
    before = attribute("synapse.module_api", "run_in_background")
    synapse_paths.uninstall()
    synapse_paths.install()
    assert attribute("synapse.module_api", "run_in_background") == before


def test_directory_called_synapse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with the name is not mistaken for a real Synapse."""
    synapse_paths.uninstall()
    (tmp_path / "synapse").mkdir()
    (tmp_path / "synapse" / "types.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert synapse_paths.install() is not None
    assert attribute("synapse.types", "UserID") is types.UserID
    assert attribute("synapse.module_api", "ModuleApi") is ModuleApi


FAKE_ROUTER = """
from synapse.module_api import ModuleApi

class Router:
    def __init__(self, config, api: ModuleApi):
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )
    async def get_users_for_states(self, state_updates):
        return {"@alice:example.com": set(state_updates)}
    async def get_interested_users(self, user_id):
        return set()
"""


@pytest.fixture
def real_synapse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that counts as a real Synapse for imports, and a router that uses it."""
    synapse_paths.uninstall()
    package = tmp_path / "synapse" / "module_api"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("class ModuleApi: ...\n")
    (tmp_path / "router_for_real.py").write_text(FAKE_ROUTER)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "synapse"]:
        del sys.modules[name]
    sys.modules.pop("router_for_real", None)


@pytest.mark.usefixtures("real_synapse")
async def test_real_synapse(world: World) -> None:
    """A real Synapse is left alone, and modules still get our own states."""
    with capture_logs() as lines:
        path = "router_for_real.Router"
        world.load(ConfiguredModule(path, {}, ModuleStyle.CALLBACKS, "modules[0]"))
    bob = state_of(BOB)
    assert attribute("synapse.module_api", "ModuleApi") is not ModuleApi
    assert await world.router.ask([bob]) == [{"@alice:example.com": {bob}}]
    assert lines[0]["log_level"] == "warning"
    assert str(lines[0]["event"]).startswith("a real Synapse is installed")
