"""What nodes tell each other of their modules."""

from dataclasses import replace

import msgspec
import pytest

from lamplighter.modules.digest import told_modules
from lamplighter.modules.loader import ConfiguredModule
from tests.modules.fakes import entry

DESK = entry("help_desk.HelpDesk", {"desk": ["@a:x"], "shown": ["@b:x"]})
OTHER = entry("other.Other", where="modules[1]")
NAMES = (DESK.path, OTHER.path)


def test_the_same() -> None:
    """The order of keys, and the place in the configuration, make no difference."""
    same = entry("help_desk.HelpDesk", {"shown": ["@b:x"], "desk": ["@a:x"]}, "modules[1]")
    assert told_modules([same]).text == told_modules([DESK]).text


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ([], f"{NAMES[0]} (modules[0]) is missing; {NAMES[1]} (modules[1]) is missing"),
        (
            [replace(OTHER, where="modules[0]"), replace(DESK, where="modules[1]")],
            f"the order is {NAMES[1]}, {NAMES[0]} instead of {NAMES[0]}, {NAMES[1]}",
        ),
        ([DESK], f"{NAMES[1]} (modules[1]) is missing"),
        (
            [entry("help_desk.HelpDesk", {"desk": ["@a:x"], "shown": []}), OTHER],
            f"{NAMES[0]} (modules[0]) has another configuration",
        ),
        ([replace(DESK, shadow=True), OTHER], f"{NAMES[0]} (modules[0]) is a shadow"),
    ],
)
def test_what_differs(entries: list[ConfiguredModule], line: str) -> None:
    """Other modules, another order, another configuration and a shadow make a difference."""
    told, other = told_modules(entries), told_modules([DESK, OTHER])
    assert told.text != other.text
    assert told.unlike(other) == line


def test_no_value_is_told() -> None:
    """What nodes tell of a module has no value of its configuration, which may be a secret."""
    told = told_modules([entry("quick.Never", {"password": "swordfish"})])
    assert b"swordfish" not in msgspec.json.encode(told)
