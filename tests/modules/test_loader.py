"""Loading modules."""

from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.errors import ConfigError, ModuleError
from lamplighter.modules.loader import (
    ConfiguredModule,
    ModuleStyle,
    import_and_parse,
    module_entries,
)
from tests.modules.fakes import ALICE, BOB, World, entry, legacy

ROUTES = {"routes": {ALICE: [BOB]}}


async def test_modules_are_instantiated_in_config_order(world: World) -> None:
    """Modules are instantiated, and so registered, in config order."""
    world.load(entry("routers.AllUsers", {"viewers": []}), entry("routers.Routes", ROUTES))
    assert world.router.names == ["AllUsers", "Routes"]


async def test_older_style_with_one_method(world: World) -> None:
    """An older router with one of the two methods is a ModuleError with its name."""
    with pytest.raises(ModuleError) as raised:
        world.load(legacy("legacy_routers.HalfRouter"))
    assert str(raised.value) == (
        "module HalfRouter (presence.presence_router.module: "
        "'tests.compat.modules.legacy_routers.HalfRouter') cannot be started: "
        "module HalfRouter registers get_interested_users alone: "
        "get_users_for_states and get_interested_users go together"
    )


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("Routes", "is not the dotted path of a class, such as my_package.MyRouter"),
        (
            "no_such.Routes",
            "cannot be imported: No module named 'no_such'; nothing here tells whether it is of "
            "presence: install its package, or remove it here if it stays in Synapse",
        ),
        (
            "tests.compat.modules.routers.Rotes",
            "cannot be used: module 'tests.compat.modules.routers' has no attribute 'Rotes'",
        ),
        ("tests.compat.modules.faulty.CALLBACKS", "is a tuple, not a class"),
    ],
)
def test_path_that_leads_nowhere(path: str, complaint: str) -> None:
    """A path that is not that of a class is a config error with key, value and problem."""
    with pytest.raises(ConfigError) as raised:
        import_and_parse([ConfiguredModule(path, None, ModuleStyle.CALLBACKS, "modules[3]")])
    assert str(raised.value) == f"modules[3].module: {path!r} {complaint}"


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("import synapse.storage.x", "Lamplighter has no synapse.storage: use api.run_db_inter"),
        ("raise OSError('no\\nchain')", "OSError: no chain"),
    ],
)
def test_module_that_cannot_be_imported(
    statement: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of an import is a config error in one line, with what to use instead."""
    (tmp_path / "broken_module.py").write_text(statement)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError) as raised:
        import_and_parse(
            [ConfiguredModule("broken_module.X", {}, ModuleStyle.CALLBACKS, "modules[0]")]
        )
    assert str(raised.value).startswith(
        f"modules[0].module: 'broken_module.X' cannot be imported: {complaint}"
    )


PARSERS = """
from synapse.module_api.errors import ConfigError
from synapse.config import ConfigError as Same
assert ConfigError is Same

class SchemaError(Exception):
    message, absolute_path = "7 is not of type 'string'", ["names", 0]

class Plain: ...
class Static:
    parse_config = staticmethod(lambda config: ["any", "type", config])
class Class:
    @classmethod
    def parse_config(cls, config):
        config["added"] = cls.__name__
        return config
class Refusing:
    @staticmethod
    def parse_config(config):
        raise ConfigError("must be\\n positive", path=["limits", 1])
class Checking:
    @staticmethod
    def parse_config(config):
        raise SchemaError
class Raising:
    @staticmethod
    def parse_config(config):
        return config["missing"]
"""


@pytest.fixture
def parsers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Python module of classes that parse their configuration."""
    name = f"parsers_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(PARSERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def parsed(parsers: str, name: str, config: dict[str, object] | None) -> object:
    """Return the result of a class's `parse_config`."""
    path = f"{parsers}.{name}"
    [module] = import_and_parse(
        [ConfiguredModule(path, config, ModuleStyle.CALLBACKS, "modules[0]")]
    )
    return module.config


def test_parse_config(parsers: str) -> None:
    """parse_config, a static or a class method, may return anything; without one, the dict."""
    assert parsed(parsers, "Plain", None) == {}
    assert parsed(parsers, "Plain", {"a": 1}) == {"a": 1}
    assert parsed(parsers, "Static", {"a": 1}) == ["any", "type", {"a": 1}]
    assert parsed(parsers, "Class", {"a": 1}) == {"a": 1, "added": "Class"}


def test_parse_config_gets_a_copy(parsers: str) -> None:
    """A module that changes its configuration does not change the server's."""
    config: dict[str, object] = {"a": 1}
    parsed(parsers, "Class", config)
    assert config == {"a": 1}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Refusing", "modules[0].config.limits.1: must be positive"),
        ("Checking", "modules[0].config.names.0: 7 is not of type 'string'"),
        ("Raising", "modules[0].config: KeyError: 'missing'"),
    ],
)
def test_refused_configuration(parsers: str, name: str, message: str) -> None:
    """An exception of parse_config is a config error in one line, with the path to the value."""
    with pytest.raises(ConfigError) as raised:
        parsed(parsers, name, {})
    assert str(raised.value) == message


def test_configuration_that_is_no_mapping() -> None:
    """A module's config that is no mapping is a config error."""
    with pytest.raises(ConfigError) as raised:
        import_and_parse([entry("routers.Routes", ["a"])])
    assert str(raised.value) == 'modules[0].config: ["a"] is not a mapping'


async def test_constructor_that_raises(world: World) -> None:
    """An exception of a constructor is the cause of a ModuleError with the module's name."""
    with pytest.raises(ModuleError) as raised:
        world.load(entry("routers.AllUsers", {}))
    assert str(raised.value) == (
        "module AllUsers (modules[0].module: 'tests.compat.modules.routers.AllUsers') "
        "cannot be started: KeyError: 'viewers'"
    )
    assert isinstance(raised.value.__cause__, KeyError)


def test_names_tell_modules_apart() -> None:
    """A module's name is its class, with more of the path if two classes have the same name."""
    names = [
        "routers.Routes",
        "routers.MoreRoutes",
        "routers.Routes",
        "faulty.Raising",
    ]
    loaded = import_and_parse([entry(name, ROUTES) for name in names])
    assert [module.name for module in loaded] == ["Routes#1", "MoreRoutes", "Routes#2", "Raising"]


def test_entries_of_a_config() -> None:
    """The modules of the list come first, in its order, and then the older key."""
    config = parse_config_text(
        "server_name: example.org\n"
        "modules: [{module: a.B, config: {x: 1}}, {module: c.D}]\n"
        "presence: {presence_router: {module: e.F, config: {y: 2}}}\n",
        Path("lamplighter.yaml"),
    )
    assert module_entries(config) == [
        ConfiguredModule("a.B", {"x": 1}, ModuleStyle.CALLBACKS, "modules[0]"),
        ConfiguredModule("c.D", {}, ModuleStyle.CALLBACKS, "modules[1]"),
        ConfiguredModule("e.F", {"y": 2}, ModuleStyle.ROUTER, "presence.presence_router"),
    ]
