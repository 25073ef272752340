"""Random worlds in which modules are replaced: whatever happens, only the rules of now count."""

import sys
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import example, given

from tests.scenarios.world_land import Land, play, settle
from tests.scenarios.world_steps import Put, Reload, Sync, Toggle, World, worlds

#: The new modules are refused, and what the old ones were asked about dave is kept.
REFUSED: Final = World(
    shared_rooms=True,
    largest_room=None,
    modules=("SeeingAll", "Raising"),
    thinks=(0, 0),
    gated=frozenset(),
    early=True,
    members=(),
    rules=(),
    steps=(
        Put("alice", "PHONE", "online", says=True),
        Sync("dave", "PHONE", "offline", "next"),
        Toggle("SeeingAll", "dave", "alice"),
        Reload(("Raising", "SeeingAll")),
    ),
)


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Land:
    """Where the worlds are played."""
    return settle(tmp_path_factory.mktemp("land"))


@pytest.fixture(autouse=True)
def imports() -> Iterator[None]:
    """The tests' own modules, which reloads import anew, are found as before after the test."""
    before = dict(sys.modules)
    yield
    sys.modules.update(before)


@pytest.mark.timeout(900)
@example(world=REFUSED)
@given(world=worlds(reloads=True))
def test_only_the_modules_of_now_count(land: Land, world: World) -> None:
    """After a reload no answer holds what only the old modules justify, and in the end everybody
    believes what the oracle says of the new ones.
    """
    play(land, world)
