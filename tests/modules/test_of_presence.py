"""Modules that are no presence modules, alone and among others."""

import importlib
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.turns import turns
from lamplighter.errors import ConfigError, ModuleError, NotOfPresence
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle
from lamplighter.modules.of_presence import look_at
from lamplighter.modules.other_callbacks import OTHER_CALLBACKS
from tests.modules.fakes import ALICE, BOB, World, state_of

ROUTER = """
class Router:
    def __init__(self, config, api):
        api.register_presence_router_callbacks(
            get_users_for_states=self.states, get_interested_users=self.interest
        )
{more}
    async def states(self, updates):
        return {{"@alice:example.com": set(updates)}}

    async def interest(self, user_id):
        return {{"@bob:example.com"}} if user_id == "@alice:example.com" else set()
"""
CHECKER = """
class Checker:
    def __init__(self, config, api):
        api.register_spam_checker_callbacks(check_event_for_spam=self.check)

    async def check(self, event):
        return False
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for modules, which is a package with a name of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / f"their_modules_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    return folder


def entry(package: Path, path: str, *, skip: bool = False) -> ConfiguredModule:
    """Return an entry of the list `modules:`."""
    return ConfiguredModule(
        f"{package.name}.{path}",
        {},
        ModuleStyle.CALLBACKS,
        "modules[0]",
        may_stay_in_synapse=skip,
    )


@pytest.mark.parametrize("method", OTHER_CALLBACKS)
async def test_a_router_that_is_more(world: World, package: Path, method: str) -> None:
    """Other callbacks of a presence router are accepted and logged once, and its routes count."""
    callbacks = ", ".join(f"{name}=None" for name in OTHER_CALLBACKS[method])
    more = f"        for _ in range(2):\n            api.{method}({callbacks})\n"
    (package / "routing.py").write_text(ROUTER.format(more=more))
    with capture_logs() as lines:
        [module] = world.load(entry(package, "routing.Router"))
    bob = state_of(BOB)
    assert await world.router.ask([bob]) == [{ALICE: {bob}}]
    assert module.api.registered_elsewhere == (method,)
    assert [(it["module"], it["registered_by"]) for it in lines if "callbacks" in it] == [
        ("Router", method)
    ]


@pytest.mark.parametrize("method", OTHER_CALLBACKS)
async def test_a_callback_that_synapse_does_not_know(world: World, method: str) -> None:
    """A misspelt callback of another kind raises as in Synapse."""
    register = getattr(world.api(), method)
    with pytest.raises(TypeError, match=rf"^{method}\(\) takes no chekc; it takes "):
        register(chekc=print)


#: Ways in which a module that is not of presence fails here, and a part of the refusal.
FAILING = {
    "works": (CHECKER, "Checker", "callbacks for spam checker"),
    "twisted": (f"from twisted.internet import defer\n{CHECKER}", "Checker", "spam checker"),
    "synapse": (f"from synapse.http.server import respond_with_json\n{CHECKER}", "Checker", "spam"),
    "dependency": (f"import no_such_dependency\n{CHECKER}", "Checker", "spam checker"),
    "no_class": (CHECKER, "Chekcer", "spam checker"),
    "parse_config": (
        f"{CHECKER}\n    parse_config = staticmethod(lambda config: config['x'])\n",
        "Checker",
        "spam checker",
    ),
    "constructor": (
        CHECKER.replace("api.reg", "api.no_such()\n        api.reg"),
        "Checker",
        "spam",
    ),
    "twisted_only": ("from twisted.web import http\nclass Auth: ...\n", "Auth", "needs Twisted"),
    "nothing": (
        "class Idle:\n    def __init__(self, config, api): ...\n",
        "Idle",
        "its source names nothing of presence, and it registers nothing",
    ),
    "by_hidden_name": (
        "class Checker:\n    def __init__(self, config, api):\n"
        "        getattr(api, 'register_' + 'ratelimit_callbacks')()\n",
        "Checker",
        "it only registers callbacks for ratelimit",
    ),
}


@pytest.mark.parametrize("way", FAILING)
async def test_a_module_that_is_not_of_presence_is_refused(
    world: World, package: Path, way: str
) -> None:
    """The refusal says what the module is and what to do, in whichever way the module fails. If the
    operator says skip, the module is logged, and the others are loaded.
    """
    source, name, evidence = FAILING[way]
    (package / "other.py").write_text(source)
    with pytest.raises(NotOfPresence) as raised:
        world.load(entry(package, f"other.{name}"))
    text = str(raised.value)
    assert text.startswith(f"modules[0].module: '{package.name}.other.{name}' is not of presence (")
    assert text.endswith(
        "): it stays in Synapse. Remove it here, or set modules_not_of_presence: skip"
    )
    assert evidence in text
    (package / "routing.py").write_text(ROUTER.format(more=""))
    other = entry(package, f"other.{name}", skip=True)
    with capture_logs() as lines:
        loaded = world.load(other, entry(package, "routing.Router", skip=True))
    assert [it.name for it in loaded] == ["Router"]
    assert world.runtime.left_out == [other]
    assert [(it["event"], it["module"]) for it in lines if it["log_level"] == "warning"] == [
        ("a module stays in Synapse: it is not loaded", other.path)
    ]


BUSY_CHECKER = """
import asyncio
if False:
    from twisted.internet import defer

notes = []

class Checker:
    def __init__(self, config, api):
        self.by_hidden_name(api, "register_presence_router", "callbacks")(
            **{"get_users_for" + "_states": self.note, "get_interested" + "_users": self.note}
        )
        self.by_hidden_name(api, "subscribe_to", "presence")(self.note)
        api.looping_background_call(self.note, 1000, "loop")
        api.delayed_background_call(1000, self.note, "delayed")
        api.run_in_background(self.note, "at once")
        api.register_web_resource("/_synapse/client/checker", self.note)
        self.task = asyncio.get_running_loop().create_task(self.note("own task"))
        self.api = api
        raise RuntimeError("there is no reactor")

    def by_hidden_name(self, api, *parts):
        return getattr(api, "_".join(parts))

    async def note(self, what):
        notes.append(what)
"""


async def test_a_module_that_is_left_out_does_nothing_more(world: World, package: Path) -> None:
    """A module whose instance shows that it is no presence module is discarded wholly."""
    (package / "other.py").write_text(BUSY_CHECKER)
    assert world.load(entry(package, "other.Checker", skip=True)) == []
    other = importlib.import_module(f"{package.name}.other")
    world.runtime.start()
    for _ in range(5):
        world.clock.advance(seconds=1)
        await turns(5)
    assert (other.notes, world.runtime.web_resources) == ([], {})
    assert (world.router.modules, world.host.listeners) == ([], {})


#: Faults of presence modules, which must never be taken for modules of another kind.
FAULTS = {
    "typo": f"import jsno\n{ROUTER.format(more='')}",
    "twisted": f"from twisted.internet import defer\n{ROUTER.format(more='')}",
    "synapse": f"from synapse.storage import x\n{ROUTER.format(more='')}",
    "from_its_package": f"from .missing import helper\n{ROUTER.format(more='')}",
    "syntax": f"def (\n{ROUTER.format(more='')}",
    "more_than_a_router": f"import jsno\n{ROUTER.format(more='')}\n{CHECKER}",
    "imported": "from .impl import Router\nimport jsno\n# register_spam_checker_callbacks",
    "empty": "import jsno\nclass Router: ...\n",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_a_presence_module_is_never_skipped(
    world: World, package: Path, fault: str
) -> None:
    """A faulty module is skipped only if its source shows that it is no presence module."""
    (package / "routing.py").write_text(FAULTS[fault])
    (package / "impl.py").write_text(ROUTER.format(more=""))
    with pytest.raises(ConfigError, match="cannot be imported: ") as raised:
        world.load(entry(package, "routing.Router", skip=True))
    assert not isinstance(raised.value, NotOfPresence)


async def test_a_package_that_is_not_installed(world: World) -> None:
    """A package that is not installed shows nothing, so it is an error, and not skipped; unless it
    is a published one of another kind, which is known by its name.
    """
    missing, *known = (
        ConfiguredModule(path, {}, ModuleStyle.CALLBACKS, "modules[0]", may_stay_in_synapse=True)
        for path in (
            "no_such_pkg.x.Router",
            "synapse_auto_accept_invite.InviteAutoAccepter",
            "ldap_auth_provider.Module",
        )
    )
    with pytest.raises(ConfigError, match="install its package, or remove it here if it stays"):
        world.load(missing)
    assert world.load(*known) == []
    assert world.runtime.left_out == known


async def test_a_constructor_of_a_router_that_fails(world: World, package: Path) -> None:
    """A presence module whose constructor raises is an error, even if others are skipped."""
    (package / "routing.py").write_text(ROUTER.format(more="        raise KeyError('x')\n"))
    with pytest.raises(ModuleError, match="cannot be started: KeyError: 'x'"):
        world.load(entry(package, "routing.Router", skip=True))


@pytest.mark.parametrize(
    "call",
    [
        "api.subscribe_to_presence(print)",
        "api.run_in_background(lambda: api.set_presence_for_users({}))",
        "api.register_web_resource('/_matrix/x', self.serve)",
    ],
)
async def test_modules_that_use_presence_in_another_way(
    world: World, package: Path, call: str
) -> None:
    """A module that only sets or reads presence, or serves a page, is loaded."""
    (package / "bot.py").write_text(
        f"class Bot:\n    def __init__(self, config, api):\n        {call}\n\n"
        "    async def serve(self, request):\n        return {}\n"
    )
    assert [it.name for it in world.load(entry(package, "bot.Bot"))] == ["Bot"]


async def test_an_older_router_is_of_presence_by_its_key(world: World, package: Path) -> None:
    """A module at presence.presence_router is a router, whatever its source names."""
    (package / "old.py").write_text(
        "class Old:\n    def __init__(self, config, module_api):\n"
        "        module_api.register_account_data_callbacks(on_account_data_updated=print)\n"
        "    def get_users_for_states(self, updates): return {}\n"
        "    def get_interested_users(self, user_id): return set()\n"
    )
    where = "presence.presence_router"
    world.load(ConfiguredModule(f"{package.name}.old.Old", {}, ModuleStyle.ROUTER, where))
    assert world.router.names == ["Old"]


def test_what_other_files_of_a_package_name_does_not_count(package: Path) -> None:
    """Each module of a package is judged by the files that it imports itself."""
    (package / "routing.py").write_text(ROUTER.format(more=""))
    (package / "spam.py").write_text(CHECKER)
    (package / "both.py").write_text("from . import routing, spam\nclass Both: ...\n")
    assert look_at(f"{package.name}.spam.Checker").is_of_another_kind
    assert look_at(f"{package.name}.both.Both").presence
    assert look_at(f"{package.name}.both.Both").other == ("register_spam_checker_callbacks",)
