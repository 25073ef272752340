"""Random clusters: whatever happens to nodes and to the log, everybody ends up with the truth."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.cluster.memory_log import Way
from tests.scenarios.cluster_in_front import ClusterInFront, config_in
from tests.scenarios.cluster_world import NAMES, PEOPLE, ROOMS, RandomCluster, Story

people = st.sampled_from(PEOPLE)
names = st.sampled_from(NAMES)
ways = st.sampled_from([Way.CLOSED, Way.SILENT, Way.ANSWERS_LOST, Way.OPEN])
passes = st.tuples(st.just("passes"), st.sampled_from([0.25, 1.0, 2.0, 3.5, 6.0, 20.0]))
happens = [
    passes,
    passes,
    st.tuples(st.just("put"), people),
    st.tuples(st.just("want"), people, st.booleans()),
    st.tuples(st.just("move"), people, st.sampled_from(ROOMS), st.booleans()),
    st.tuples(st.sampled_from(["kill", "begin_to_start", "leave", "freeze", "thaw"]), names),
    st.tuples(st.just("cut"), names, ways),
    st.tuples(st.just("server"), ways),
]
loses_data = st.tuples(st.just("lose_data"), st.sampled_from([0, 5]), st.sampled_from([0.0, 0.25]))
in_front = st.one_of(*happens, loses_data)
log_out = st.tuples(st.just("log_out"), people)
steps = st.one_of(in_front, log_out)
#: Where modules think, more is told in one millisecond than a log can begin anew after.
with_modules = st.one_of(*happens, log_out, st.just(("lose_data", 0, 0.25)))


async def play(make: Callable[[], RandomCluster], story: Story) -> Sequence[str]:
    """Return what is wrong with a cluster to which *story* happens."""
    cluster = make()
    try:
        return await cluster.play(story)
    finally:
        await cluster.end()


def _joins_before_the_clock_is_as_it_was(*others: tuple[Any, ...]) -> Story:
    """The clock of all nodes is set back by five seconds, and two users join another room."""
    [one, two], [_, alice, bob, _] = ROOMS, PEOPLE
    joins = [("move", alice, two, True), ("move", bob, two, True)]
    return [("move", bob, one, False), ("lose_data", 5, 0.25), *others, *joins]


@pytest.mark.timeout(900)  # many clusters, and their shrinking if one is wrong
@example(seed=232, story=_joins_before_the_clock_is_as_it_was())
@example(seed=2, story=_joins_before_the_clock_is_as_it_was(("move", PEOPLE[2], ROOMS[0], True)))
@given(seed=st.integers(0, 1000), story=st.lists(steps, max_size=25))
def test_everybody_ends_up_with_the_truth(seed: int, story: Story) -> None:
    """All nodes agree at each position, and each user has one owner. Nothing acknowledged is lost.

    Nobody whose client polls is told to be offline; nobody is shown to whom no room is shared. In
    the end every client shows the truth.
    """
    with capture_logs() as logs:
        assert asyncio.run(play(lambda: RandomCluster(seed), story)) == []
    assert [log for log in logs if log.get("exc_info")] == []


THINKS = [timedelta(milliseconds=ms) for ms in (0, 0, 250, 500, 1_000, 2_000)]


@pytest.mark.timeout(900)  # many clusters, and their shrinking if one is wrong
@given(seed=st.integers(0, 1000), story=st.lists(with_modules, max_size=25))
def test_modules_that_think(seed: int, story: Story) -> None:
    """The same is true where a module is asked, and thinks: nobody is shown who leaves, or goes
    offline, meanwhile; and a client that goes from one node to another is told no older state.
    """
    with capture_logs() as logs:
        assert asyncio.run(play(lambda: RandomCluster(seed, *THINKS), story)) == []
    failures = [log for log in logs if log.get("exc_info")]
    assert [
        log for log in failures if log["event"] != "module failed"
    ] == []  # cancelled at the end


def _the_log_is_lost_after_a_leave() -> Story:
    """Bob leaves while alice is away, the log loses it, and no node is left that has heard it."""
    [one, _], [alice, bob, *_] = ROOMS, PEOPLE
    leave = [("want", alice, False), ("passes", 2.0), ("move", bob, one, False)]
    return [*leave, ("lose_data", 0, 0.0), ("kill", "a"), ("kill", "b"), ("want", alice, True)]


def _a_node_dies_with_what_it_has_found_out() -> Story:
    """Bob leaves, and the node that finds it out cannot tell the other, and is killed."""
    finding = [("cut", "a", Way.CLOSED), ("move", PEOPLE[1], ROOMS[0], False), ("passes", 6.0)]
    return [("passes", 90.0), *finding, ("kill", "a"), ("passes", 6.0)]


@pytest.mark.timeout(900)  # many clusters, and their shrinking if one is wrong
@example(seed=1, story=_the_log_is_lost_after_a_leave())
@example(seed=0, story=_a_node_dies_with_what_it_has_found_out())
@given(seed=st.integers(0, 1000), story=st.lists(in_front, max_size=25))
def test_in_front_of_a_homeserver(seed: int, story: Story) -> None:
    """The same is true of nodes whose rooms are those of a homeserver behind them, which tells some
    node what happens there. A leave that it has told holds at all nodes that reach each other.
    """
    with TemporaryDirectory() as folder, capture_logs() as logs:
        config = config_in(Path(folder))
        assert asyncio.run(play(lambda: ClusterInFront(seed, config), story)) == []
    assert [log for log in logs if log.get("exc_info")] == []
