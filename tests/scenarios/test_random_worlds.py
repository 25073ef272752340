"""Random worlds: whatever happens, nobody is told what they may not know, and all hear the rest."""

import pytest
from hypothesis import example, given

from tests.scenarios.world_land import Land, play, settle
from tests.scenarios.world_steps import Gate, Leave, Put, Sync, World, worlds


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Land:
    """Where the worlds are played."""
    return settle(tmp_path_factory.mktemp("land"))


def _offline_while_a_module_thinks() -> World:
    """Alice has heard that bob is online. Bob leaves, and goes offline before a module answers."""
    return World(
        shared_rooms=True,
        largest_room=None,
        modules=("Routing",),
        thinks=(0,),
        gated=frozenset({"Routing"}),
        early=False,
        members=(("alice", "hall"), ("bob", "hall")),
        rules=(),
        steps=(
            Put("bob", "PHONE", "online", says=True),
            Sync("alice", "PHONE", None, "next"),
            Gate(open=False),
            Leave("bob", "hall"),
            Put("bob", "PHONE", "offline", says=False),
        ),
    )


@pytest.mark.timeout(900)  # a hundred worlds, and their shrinking if one is wrong
@example(world=_offline_while_a_module_thinks())
@given(world=worlds())
def test_everybody_believes_what_the_oracle_says(land: Land, world: World) -> None:
    """In the end each client shows what a brute-force oracle says. No answer on the way, to a sync,
    a poll or a GET, holds a presence that the oracle forbids. Explanations agree with GET.
    """
    play(land, world)
