"""Goes through all worlds that a modelled cluster can come to, breadth first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.models.cluster import Design, Step
from tests.models.promises import broken_promise
from tests.models.worlds import NODES, Node, Way, World

__all__ = ["Found", "Scope", "begun", "explore", "settled"]


@dataclass(frozen=True)
class Scope:
    """What may befall a cluster: by kind, on which nodes and users, and how often at most."""

    #: The ways that a node is turned to, and back.
    ways: tuple[Way, ...] = ()
    turned: tuple[int, ...] = (0,)
    killed: tuple[int, ...] = ()
    puts: int = 0
    #: Which users change, and poll; at which nodes all of that is done.
    users: tuple[int, ...] = (0,)
    polls: bool = False
    polls_at: tuple[int, ...] = NODES
    moves: bool = False
    asks: bool = False
    gets: bool = False

    def acts(self, design: Design, world: World) -> Iterator[Step]:
        """Give everything that may befall *world*, but for time."""
        for number in NODES:
            node = world.nodes[number]
            if node is not None:
                yield from self._to_node(design, world, number, node)
                if node.way is not Way.FROZEN:
                    yield from self._at_node(design, world, number, node)
            elif number in self.killed and world.leases[number].until <= world.now:
                yield ("start", number), design.start(world, number)
        for user in self.users:
            if self.polls and any(it is not None and user in it.polls for it in world.nodes):
                yield ("end", user), design.poll(world, user, None)
            if self.moves:
                yield ("part", user), design.meet(world, user, meets=False)
                yield ("meet", user), design.meet(world, user, meets=True)

    def _to_node(self, design: Design, world: World, number: int, node: Node) -> Iterator[Step]:
        if number in self.turned:
            for way in self.ways if node.way is Way.OPEN else (Way.OPEN,):
                yield (way.value, number), design.turn(world, number, way)
        if number in self.killed:
            yield ("kill", number), design.kill(world, number)
        for user in self.users:
            if world.number < self.puts:
                yield ("put", user, number), design.put(world, user, number)

    def _at_node(self, design: Design, world: World, number: int, node: Node) -> Iterator[Step]:
        for user in self.users:
            if self.gets:
                yield ("get", user, number), design.get(world, user, number)
            if self.polls and number in self.polls_at and user not in node.polls:
                yield ("poll", user, number), design.poll(world, user, number)
        if self.asks:
            yield ("ask", number), design.ask(world, number)


@dataclass(frozen=True)
class Found:
    """What an exploration has found."""

    #: How many different ones there are.
    worlds: int
    #: The promise that is broken, and a way there with the fewest acts; "" if none is.
    broken: str = ""
    trace: tuple[tuple[str | int, ...], ...] = ()


def settled(design: Design, worlds: Iterable[World]) -> set[World]:
    """Return the worlds in which nothing is left to do, whatever is done first."""
    found, open_, ends = set(worlds), list(worlds), set()
    while open_:
        world = open_.pop()
        following = [after for _, after in design.steps(world)]
        if not following:
            ends.add(world)
        for after in following:
            if after not in found:
                found.add(after)
                open_.append(after)
    return ends


def begun(design: Design) -> World:
    """Return a world in which both nodes run, and each owns its partition."""
    world = design.start(design.start(World(), 0), 1)
    for _ in range(2):
        world = min(settled(design, [design.tick(world)]), key=str)
    return world


def explore(
    design: Design,
    scope: Scope,
    acts: int,
    look: Callable[[World], str] = broken_promise,
) -> Found:
    """Go through every world that up to so many *acts*, time among them, can lead to.

    Ends at the first world of which *look* says something.

    What nodes do by themselves comes in every order, and counts for nothing.
    """
    begin = begun(design)
    came_from: dict[World, tuple[World, tuple[str | int, ...]]] = {begin: (begin, ())}
    level = [begin]
    for left in range(acts, -1, -1):
        following: list[World] = []
        while level:
            world = level.pop()
            steps = list(design.steps(world))
            by_itself = [*steps, *design.may(world)]
            acted = []
            if left:
                acted = [*scope.acts(design, world)]
                if not steps:
                    acted.append((("tick",), design.tick(world)))
            for place, (name, after) in enumerate([*by_itself, *acted]):
                if after in came_from:
                    continue
                came_from[after] = (world, name)
                if broken := look(after):
                    return Found(len(came_from), broken, _trace(came_from, after))
                (level if place < len(by_itself) else following).append(after)
        level = following
    return Found(len(came_from))


def _trace(
    came_from: dict[World, tuple[World, tuple[str | int, ...]]], world: World
) -> tuple[tuple[str | int, ...], ...]:
    names: list[tuple[str | int, ...]] = []
    while (before := came_from[world])[1]:
        world, name = before
        names.append(name)
    return tuple(reversed(names))
