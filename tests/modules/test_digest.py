"""The digest of configured modules."""

from dataclasses import replace

import pytest

from lamplighter.modules.digest import digest_of
from lamplighter.modules.loader import ConfiguredModule
from tests.modules.fakes import entry

DESK = entry("help_desk.HelpDesk", {"desk": ["@a:x"], "shown": ["@b:x"]})
OTHER = entry("other.Other")


def test_the_same() -> None:
    """The order of keys, and the place in the configuration, make no difference."""
    same = entry("help_desk.HelpDesk", {"shown": ["@b:x"], "desk": ["@a:x"]}, "modules[1]")
    assert digest_of([same]) == digest_of([DESK])


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [OTHER, DESK],
        [DESK],
        [entry("help_desk.HelpDesk", {"desk": ["@a:x"], "shown": []}), OTHER],
        [replace(DESK, shadow=True), OTHER],
    ],
)
def test_what_differs(entries: list[ConfiguredModule]) -> None:
    """Other modules, another order, another configuration and a shadow make a difference."""
    assert digest_of(entries) != digest_of([DESK, OTHER])
