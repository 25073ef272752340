"""Random worlds: whatever happens, nobody is told what they may not know, and all hear the rest."""

import pytest
from hypothesis import given

from tests.scenarios.world_land import Land, play, settle
from tests.scenarios.world_steps import World, worlds


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Land:
    """Where the worlds are played."""
    return settle(tmp_path_factory.mktemp("land"))


@pytest.mark.timeout(900)  # a hundred worlds, and their shrinking if one is wrong
@given(world=worlds())
def test_everybody_believes_what_the_oracle_says(land: Land, world: World) -> None:
    """In the end each client shows what a brute-force oracle says. No answer on the way, to a sync,
    a poll or a GET, holds a presence that the oracle forbids. Explanations agree with GET.
    """
    play(land, world)
