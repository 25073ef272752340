"""docs/testing-modules.md: its tests pass, and its words are those of the code."""

import inspect
import re
from pathlib import Path

import pytest

from lamplighter.devtools.testing import Person
from tests.docs.commands import ROOT, blocks, named_files, typed

PAGE = "docs/testing-modules.md"
PYTEST = "python -m pytest -q -p no:cacheprovider -p no:asyncio -W error"


@pytest.mark.processes
def test_the_tests_pass(tmp_path: Path) -> None:
    """Every test on the page passes, in a folder with nothing but the page's files."""
    files = named_files(PAGE, "python")
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert len(files) == len(blocks(PAGE, "python"))
    assert "4 passed" in typed(PYTEST, tmp_path).stdout


@pytest.mark.processes
def test_failures_look_as_shown(tmp_path: Path) -> None:
    """The assertions that the page shows failing fail with the page's words."""
    (tmp_path / "on_call.py").write_text(named_files(PAGE, "python")["on_call.py"])
    shown = [body.strip().splitlines() for _, body in blocks(PAGE, "text")]
    tests = "".join(
        f"def test_{number}(presence_server, load_module):\n"
        "    load_module(OnCall, CONFIG)\n"
        '    alice, bob, charlie = presence_server.users("alice", "bob", "charlie")\n'
        '    bob.goes_online("brb")\n'
        f"    {assertion.removeprefix('>').strip()}\n"
        for number, (assertion, _) in enumerate(shown)
    )
    config = 'CONFIG = {"on_call": ["@bob:demo"], "help_desk": ["@alice:demo"]}\n'
    (tmp_path / "test_shown.py").write_text(f"from on_call import OnCall\n{config}{tests}")
    printed = typed(PYTEST, tmp_path, code=1).stdout
    for lines in shown:
        assert "\n".join(lines) in printed


def test_every_word_is_explained() -> None:
    """The table has every word that a person knows, and no other."""
    text = (ROOT / PAGE).read_text()
    rows = re.findall(r"^\| (`(?:bob|alice)\..*?) \|", text, re.MULTILINE)
    explained = {word for row in rows for word in re.findall(r"(?:bob|alice)\.(\w+)\(", row)}
    known = {
        name
        for name, _ in inspect.getmembers(Person, inspect.isfunction)
        if not name.startswith("_")
    }
    assert explained == known - {"catch_up"}
