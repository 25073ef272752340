"""docs/module-check.md says what the check does."""

import re
from pathlib import Path

import pytest

from lamplighter.devtools.check import Kind, Limits
from lamplighter.devtools.testing import PresenceServer
from tests.compat.modules.routers import Altering
from tests.devtools.check.modules.faulty import ForgetsToTell
from tests.docs.commands import ROOT, blocks, commands, named_files, typed

PAGE = "docs/module-check.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the page has its reader write."""
    for name, content in named_files(PAGE, "python", "yaml").items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_every_kind_of_finding_is_explained() -> None:
    """The table has a row for each kind, in the order of a report."""
    text = (ROOT / PAGE).read_text()
    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == list(Kind)


def test_the_limits_are_those_of_the_code() -> None:
    """The page names what a module is allowed."""
    limits = Limits()
    assert (limits.step.total_seconds(), limits.p99.total_seconds()) == (0.1, 0.02)
    assert limits.timeout.total_seconds() == 5


@pytest.mark.processes
def test_the_example(folder: Path) -> None:
    """The command says of the page's module what the page shows, and exits with 1."""
    check, of_all = commands(PAGE)
    [(_, shown)] = blocks(PAGE, "text")
    printed = typed(f"COLUMNS=200 {check}", folder, code=1).stdout
    printed = "\n".join(line.rstrip() for line in printed.splitlines())
    assert shown.strip() in printed
    assert "All together" in typed(of_all, folder, code=1).stdout
    assert typed(f"{check} --json", folder, code=1).stdout.startswith("{\n")


@pytest.mark.processes
def test_the_check_in_a_test(folder: Path) -> None:
    """The page's test fails for the page's module, and passes once that tells of every change."""
    command = "python -m pytest -q -p no:cacheprovider test_rules.py"
    assert "shown-but-not-told" in typed(command, folder, code=1).stdout
    module = folder / "my_rules.py"
    module.write_text(module.read_text().replace(' and it.state == "online"', ""))
    assert "1 passed" in typed(command, folder).stdout


@pytest.mark.parametrize("module", [ForgetsToTell, Altering])
@pytest.mark.parametrize("is_connected", [True, False])
def test_lamplighter_makes_up_for_it(module: type, *, is_connected: bool) -> None:
    """If one callback forgets what the other answers, viewers see the same here."""
    server = PresenceServer("server_name: example.com")
    server.load_module(module, {"viewers": ["@alice:example.com"]})
    alice, bob = server.users("alice", "bob")
    if is_connected:
        alice.goes_online()
    seen = []
    for act in (bob.goes_online, bob.goes_offline, bob.goes_online, alice.starts_afresh):
        act()
        seen.append(bool(alice.sees(bob)))
    server.close()
    assert seen == [True, False, True, True]
