"""The pytest plugin, in a project as a module's author has it: with pytest and nothing else."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.docs.commands import ROOT, typed

MODULE: Final = """
from synapse.module_api import ModuleApi


class ShowBobToAlice:
    def __init__(self, config: dict, api: ModuleApi):
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates):
        updates = {it for it in state_updates if it.user_id == "@bob:demo"}
        return {"@alice:demo": updates} if updates else {}

    async def get_interested_users(self, user_id):
        return {"@bob:demo"} if user_id == "@alice:demo" else set()
"""

pytestmark = pytest.mark.processes

#: pytest as a project has it that uses neither pytest-asyncio nor any other plugin of ours.
PYTEST: Final = (
    "python -m pytest -p no:asyncio -p no:xdist -p no:timeout -p no:cacheprovider -W error"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a module, and nothing that configures pytest."""
    (tmp_path / "show_bob.py").write_text(MODULE)
    return tmp_path


def _fails(folder: Path) -> str:
    with pytest.raises(AssertionError) as failed:
        typed(PYTEST, folder)
    return str(failed.value)


def test_the_fixtures(project: Path) -> None:
    """A test file imports the module first thing, and speaks of people."""
    (project / "test_show_bob.py").write_text(
        """
from show_bob import ShowBobToAlice


def test_story(presence_server, load_module, clock):
    load_module(ShowBobToAlice)
    alice, bob, charlie = presence_server.users("alice", "bob", "charlie")
    bob.goes_online("brb")
    assert alice.sees(bob, "online", "brb")
    assert not charlie.sees(bob)
    clock.advance(minutes=5)
    assert alice.sees(bob, "unavailable")


def test_a_server_for_each_test(presence_server, load_module):
    load_module("show_bob.ShowBobToAlice", {"any": "thing"})
    assert not presence_server.user("alice").sees(presence_server.user("bob"))
"""
    )
    assert "2 passed" in typed(PYTEST, project).stdout


def test_failures_explain_themselves(project: Path) -> None:
    """An assertion that fails says who sees what, and why."""
    (project / "test_show_bob.py").write_text(
        """
import pytest
from show_bob import ShowBobToAlice


@pytest.fixture
def people(presence_server, load_module):
    load_module(ShowBobToAlice)
    alice, bob, charlie = presence_server.users("alice", "bob", "charlie")
    bob.goes_online("brb")
    return alice, bob, charlie


def test_not_seen(people):
    alice, bob, charlie = people
    assert charlie.sees(bob)


def test_seen(people):
    alice, bob, charlie = people
    assert not alice.sees(bob)


def test_seen_otherwise(people):
    alice, bob, charlie = people
    assert alice.sees(bob, "unavailable")
"""
    )
    output = _fails(project)
    assert re.findall(r"^E +(?:AssertionError: )?(assert .*)$", output, re.MULTILINE) == [
        "assert charlie does not see bob: no shared room, and no module names bob",
        "assert not alice sees bob as online “brb” (because: module ShowBobToAlice)",
        "assert alice sees bob as online “brb”, not as unavailable "
        "(because: module ShowBobToAlice)",
    ]


def test_in_an_async_test(project: Path) -> None:
    """An `async def` test with the fixture fails, and the error says what to use."""
    (project / "test_async.py").write_text("async def test_it(presence_server): ...\n")
    assert "for tests that are plain functions: write `def`, or use" in _fails(project)


def test_another_configuration(project: Path) -> None:
    """`presence_config` is the server's configuration; a wrong one is an error in its words."""
    (project / "test_config.py").write_text(
        """
import pytest


@pytest.fixture
def presence_config():
    return "server_name: example.org\\npresence: {idle_timeout: 2m}"


def test_it(presence_server, clock):
    alice = presence_server.user("alice")
    alice.goes_online()
    clock.advance(minutes=2)
    assert alice.user_id == "@alice:example.org"
    assert alice.sees(alice, "unavailable")


class TestWrong:
    @pytest.fixture
    def presence_config(self):
        return "idle_timeout: 2m"

    def test_it(self, presence_server):
        pass
"""
    )
    output = _fails(project)
    assert "1 passed, 1 error" in output
    assert "ConfigError: presence_config: idle_timeout" in output


def test_it_costs_nothing_where_nobody_asks(project: Path) -> None:
    """A project that does not use the fixtures imports next to nothing of Lamplighter."""
    (project / "test_other.py").write_text(
        """
import sys


def test_other_business():
    assert sorted(name for name in sys.modules if name.startswith("lamplighter")) == [
        "lamplighter",
        "lamplighter.devtools",
        "lamplighter.devtools.pytest_plugin",
        "lamplighter.modules",
        "lamplighter.modules.synapse_on_demand",
    ]
    assert "synapse" not in sys.modules
"""
    )
    assert "1 passed" in typed(PYTEST, project).stdout


def test_it_is_listed(project: Path) -> None:
    """`pytest --fixtures` shows what there is, in one line each."""
    listed = typed(f"{PYTEST} --fixtures", project).stdout
    for fixture in ("presence_config", "presence_server", "load_module", "clock"):
        assert f"\n{fixture} -- " in listed


def test_lamplighter_needs_no_pytest() -> None:
    """Nothing that is installed depends on pytest: only pytest itself loads the plugin."""
    sources = (ROOT / "src" / "lamplighter").rglob("*.py")
    importing = [it.name for it in sources if "import pytest" in it.read_text()]
    assert importing == ["pytest_plugin.py"]
