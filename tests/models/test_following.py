"""Real nodes go where the model goes: the same acts befall both, and both look alike after each."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import groupby
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.effort import EXAMPLES
from tests.models.cluster import Design
from tests.models.following import DESIGN, Followed, Seen
from tests.models.promises import broken_promise
from tests.models.worlds import NODES, USERS, Way, What, World, last_told, lives, node_at, owner

#: What happens: a word, and which user or node it is about.
Act = tuple[str, int, int]

_KINDS: Final = ("ask", "cut", "end", "frozen", "kill", "meet", "open", "part", "poll", "put")
acts = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.sampled_from([1, 1, 2, 7, 9, 13]), st.just(0)),
        st.tuples(st.sampled_from([*_KINDS, "start"]), st.integers(0, 1), st.integers(0, 1)),
    ),
    max_size=25,
)


#: How a node goes on to which an act can happen; None is no process.
_WAYS: Final[Mapping[str, AbstractSet[Way | None]]] = {
    **{kind: {Way.OPEN} for kind in ("cut", "frozen", "kill", "meet", "part")},
    **{kind: {Way.OPEN, Way.CUT} for kind in ("ask", "poll")},
    "end": {None, *Way},
    "open": {Way.CUT, Way.FROZEN},
    "put": {*Way},
    "start": {None},
}


class Follower:
    """The model, and the nodes that follow it."""

    def __init__(self, design: Design = DESIGN) -> None:
        self._design = design
        self.cluster = Followed()
        self.worlds = {World()}

    async def play(self, story: Iterable[Act]) -> str:
        """Let *story* happen to both; return what is wrong, "" if nothing is."""
        happened: list[tuple[str | int, ...]] = []
        beginning = [("start", 0, 0), ("start", 1, 0), ("tick", 2, 0), ("ask", 0, 0)]
        for act in [*beginning, *story]:
            for what in self._possible(*act):
                happened.append(what)
                if wrong := await self._both(what):
                    return f"{wrong} after {happened}"
        return ""

    def _possible(self, kind: str, one: int, other: int) -> Iterator[tuple[str | int, ...]]:
        """Give what can happen of an act, in every world: *one* is a node, *other* a user."""
        # Whether a process runs, and how, is alike in all worlds.
        node = next(iter(self.worlds)).nodes[one % len(NODES)]
        way = None if node is None else node.way
        if kind == "tick":
            yield from [("tick",)] * one
        elif way in _WAYS[kind] and all(_can(it, kind, one) for it in self.worlds):
            yield {
                "end": ("end", other),
                **{it: (it, other, one) for it in ("put", "poll", "meet", "part")},
            }.get(kind, (kind, one))

    async def _both(self, what: tuple[str | int, ...]) -> str:
        kind, *about = str(what[0]), *map(int, what[1:])
        before = self.cluster.seen()
        await self.cluster.act(kind, *about)
        seen = self.cluster.seen()
        following = {it: _after(self._design, it, kind, *about) for it in self.worlds}
        if kind == "ask" and not self.cluster.may_repeat:
            following = {it: to for it, to in following.items() if self._is_new(it, to)}
        after = set(following.values())
        if kind == "ask" and (before, self.cluster.told) == (seen, frozenset()):
            after |= self.worlds  # there was no answer
        reached = _at_rest(self._design, after)
        if broken := {broken_promise(it) for it in reached} - {""}:
            return f"the model breaks {broken}"
        alike = {it for it in reached if _seen_of(it) == seen}
        if not alike:
            expected = {_seen_of(it) for it in reached}
            return f"the nodes look like {seen}, the model like {expected}"
        self.worlds = alike
        return ""

    def _is_new(self, before: World, after: World) -> bool:
        """Tell whether there is news of all of whom the viewer was told."""
        return all(before.heard[user] != after.heard[user] for user in self.cluster.told)


def _can(world: World, kind: str, number: int) -> bool:
    """Tell whether the log lets an act happen."""
    if kind == "start":
        return world.leases[number].until <= world.now
    return kind not in ("meet", "part") or lives(world, node_at(world, number).epoch)


def _after(design: Design, world: World, kind: str, *about: int) -> World:
    match kind:
        case "tick":
            return design.tick(world)
        case "start":
            return design.start(world, *about)
        case "kill":
            return design.kill(world, *about)
        case "open" | "frozen" | "cut":
            return design.turn(world, about[0], Way(kind))
        case "put":
            return design.put(world, *about)
        case "poll":
            return design.poll(world, about[0], about[1])
        case "end":
            return design.poll(world, about[0], None)
        case "meet" | "part":
            return design.meet(world, about[0], meets=kind == "meet")
        case "ask":
            return design.ask(world, *about)
    raise AssertionError(kind)


def _at_rest(design: Design, worlds: set[World]) -> set[World]:
    """Return the worlds in which nothing is left to do; owners may or may not have told."""
    found, open_, ends = set(worlds), list(worlds), set()
    while open_:
        world = open_.pop()
        steps = [after for _, after in design.steps(world)]
        if not steps:
            ends.add(world)
        for after in [*steps, *(after for _, after in design.may(world))]:
            if after not in found:
                found.add(after)
                open_.append(after)
    return ends


def _seen_of(world: World) -> Seen:
    """Return how *world* looks."""
    nodes = tuple(
        None
        if node is None
        else (
            frozenset(
                user
                for user in USERS
                if node.epoch and owner(world.log[: node.read], user) == node.epoch
            ),
            tuple(last_told(world.log[: node.read], user)[1] for user in USERS),
        )
        for node in world.nodes
    )
    waiting = frozenset(it.number for it in world.puts if it.edge is not None)
    polling = frozenset(user for it in world.nodes if it is not None for user in it.polls)
    until = max((it.read for it in world.nodes if it is not None), default=0)
    records = [it for it in world.log[:until] if it.what is What.TOLD]
    told = tuple(
        tuple(value for value, _ in groupby(it.value[0] for it in records if it.user == user))
        for user in USERS
    )
    return Seen(nodes, waiting, world.answered, polling, told, world.believes)


async def play(story: Sequence[Act], design: Design = DESIGN) -> str:
    """Return what is wrong with nodes to which *story* happens."""
    follower = Follower(design)
    return await follower.play(story)


#: What must not be left to chance. User 0 belongs to node 0: an act names a node, and then a user.
STORIES: Final[Mapping[str, Sequence[Act]]] = {
    "a frozen owner goes on after another has taken over, and a PUT has come to it": [
        ("put", 0, 0), ("ask", 1, 0), ("frozen", 0, 0), ("tick", 9, 0), ("put", 0, 0),
        ("open", 0, 0), ("tick", 2, 0), ("poll", 1, 0), ("ask", 1, 0), ("end", 0, 0),
        ("tick", 13, 0), ("poll", 1, 0), ("cut", 1, 0), ("tick", 13, 0),
    ],
    "the owner of a user who polls dies": [
        ("poll", 1, 0), ("tick", 13, 0), ("tick", 13, 0), ("kill", 0, 0), ("tick", 9, 0),
        ("tick", 2, 0), ("end", 0, 0), ("tick", 9, 0), ("poll", 1, 0), ("tick", 13, 0),
    ],
    "the owner dies, and its user has polled there": [
        ("poll", 1, 1), ("tick", 13, 0), ("tick", 13, 0), ("kill", 1, 0), ("tick", 9, 0),
        ("tick", 9, 0), ("tick", 13, 0),
    ],
    "the node dies at which a user polls": [
        ("poll", 1, 0), ("tick", 13, 0), ("kill", 1, 0), ("tick", 9, 0), ("tick", 2, 0),
        ("tick", 9, 0), ("poll", 0, 0), ("tick", 13, 0), ("end", 0, 0), ("tick", 13, 0),
    ],
    "a PUT waits for an owner that is frozen": [
        ("frozen", 0, 0), ("put", 1, 0), ("tick", 1, 0), ("open", 0, 0), ("tick", 2, 0),
        ("frozen", 0, 0), ("put", 1, 0), ("tick", 9, 0), ("open", 0, 0), ("tick", 2, 0),
    ],
    "a token is ahead of a node that is cut off": [
        ("ask", 1, 0), ("tick", 1, 0), ("cut", 1, 0), ("put", 0, 0), ("ask", 0, 0), ("ask", 1, 0),
        ("ask", 0, 0), ("open", 1, 0), ("ask", 1, 0), ("tick", 1, 0), ("ask", 1, 0),
    ],
    "a room is left while a node is cut off": [
        ("put", 0, 0), ("ask", 1, 0), ("cut", 1, 0), ("part", 0, 0), ("put", 0, 0), ("ask", 0, 0),
        ("ask", 1, 0), ("open", 1, 0), ("tick", 1, 0), ("ask", 1, 0), ("meet", 0, 0), ("ask", 1, 0),
    ],
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_stories(story: Sequence[Act]) -> None:
    """What is hard to come by, and was thought of, the nodes follow too."""
    assert await play(story) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        replace(DESIGN, lease=4),
        replace(DESIGN, lease=12),
        replace(DESIGN, grace=20),
        replace(DESIGN, out=20),
    ],
)
async def test_a_difference_is_seen(wrong: Design) -> None:
    """Nodes do not follow a model whose durations are others."""
    story = next(iter(STORIES.values()))
    assert await play(story, wrong) != ""


@pytest.mark.timeout(900)  # many clusters, and their shrinking if one is wrong
@settings(max_examples=EXAMPLES, derandomize=True)  # a difference may be the model's own
@given(story=acts)
def test_nodes_follow_the_model(story: Sequence[Act]) -> None:
    """Whatever befalls both, the nodes come to a world to which the model comes."""
    with capture_logs() as logs:
        assert asyncio.run(play(story)) == ""
    assert [log for log in logs if log.get("exc_info")] == []
