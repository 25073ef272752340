"""The rules of a modelled cluster, and what befalls it: deaths, requests, and time."""

from dataclasses import dataclass

from tests.models.promises import is_about, told_viewer
from tests.models.worlds import (
    NOBODY,
    NODES,
    USERS,
    Lease,
    Node,
    Put,
    Record,
    Stage,
    Way,
    What,
    World,
    last_told,
    node_at,
    replaced,
    shares,
    truth,
    with_node,
    without_polls,
)

__all__ = ["Befalling"]


@dataclass(frozen=True)
class Befalling:
    """The rules of a cluster, and what befalls it.

    Durations are in ticks; a node renews its lease with each tick.
    """

    lease: int = 2
    out: int = 1
    grace: int = 2
    #: A PUT is answered after so long, if only with an error.
    patience: int = 10
    #: An owner may hear of a poll that has ended, and tell what it had decided with an earlier
    #: lease. Real nodes do so. The worlds that are gone through are without: they are many.
    nodes_may_be_late: bool = False
    appends_are_fenced: bool = True
    behind_a_token_is_no_answer: bool = True
    tokens_say_what_was_read: bool = True
    rooms_come_in_order: bool = True
    reads_ask_first: bool = True
    saved_before_acknowledged: bool = True
    saves_never_go_back: bool = True
    take_over_begins_the_grace: bool = True
    cut_off_counts_itself_out: bool = True

    # --- what befalls a cluster -----------------------------------------------------------

    def tick(self, world: World) -> World:
        """Let time pass: all that can be done without it is done."""
        now = world.now + 1
        # A poll counts once an owner knows of it: one that began while its owner stood still, and
        # the grace was as good as over, may come too late.
        seen = tuple(now if user in world.known else world.seen[user] for user in USERS)
        return world._replace(now=now, seen=seen)

    def start(self, world: World, number: int) -> World:
        """Start a process that gets a lease, and has read what there is."""
        epoch = world.epochs + 1
        node = Node(epoch, world.now, world.now, len(world.log))
        lease = Lease(epoch, world.now + self.lease)
        return with_node(world, number, node)._replace(
            epochs=epoch, leases=replaced(world.leases, number, lease)
        )

    def kill(self, world: World, number: int) -> World:
        """Let a process vanish."""
        puts = tuple(
            it._replace(edge=None) if it.edge == number else it
            for it in world.puts
            if (it.edge, it.stage) != (number, Stage.WAITS)
        )
        world = without_polls(world, number, frozenset(USERS))
        return with_node(world, number, None)._replace(puts=puts)

    def turn(self, world: World, number: int, way: Way) -> World:
        """Let a process be cut off, stand still, or go on. Clients leave one that stands still."""
        was = node_at(world, number).way
        if way is Way.FROZEN:
            world = without_polls(world, number, frozenset(USERS))
        elif was is Way.FROZEN:
            # What has come meanwhile is taken in now.
            until = world.now + self.patience
            mine = {it for it in world.puts if it.edge == number and it.until is None}
            puts = tuple(it._replace(until=until) if it in mine else it for it in world.puts)
            world = world._replace(puts=puts)
        node = node_at(world, number)
        hears = node.hears and way is Way.OPEN
        return with_node(world, number, node._replace(way=way, hears=hears))

    def put(self, world: World, user: int, number: int) -> World:
        """Let a client PUT a status at a node."""
        count = world.number + 1
        is_taken_in = node_at(world, number).way is not Way.FROZEN
        new = Put(user, count, world.now + self.patience if is_taken_in else None, number)
        return world._replace(puts=(*world.puts, new), number=count)

    def poll(self, world: World, user: int, number: int | None) -> World:
        """Let a user's client poll at another node, or nowhere."""
        for it in NODES:
            world = without_polls(world, it, frozenset({user}))
        if number is not None:
            world = world._replace(unheard=world.unheard | {user})
            node = node_at(world, number)
            if node.is_out:
                return world._replace(ended=replaced(world.ended, user, world.now))
            world = with_node(world, number, node._replace(polls=node.polls | {user}))
        return world

    def meet(self, world: World, user: int, *, meets: bool) -> World:
        """Let a user begin, or cease, to share a room with the viewer: the log has it in order."""
        record = Record(What.MET if meets else What.PARTED, NOBODY, user)
        return world._replace(log=(*world.log, record))

    def ask(self, world: World, number: int) -> World:
        """Let the viewer's client poll at a node, with its token; the world is the same if in vain.

        The answer has, of each user, what is new after the token where the node has read to.
        """
        node, since = node_at(world, number), world.token
        if node.is_out or (node.read < since and self.behind_a_token_is_no_answer):
            return world
        until = node.read if self.tokens_say_what_was_read else len(world.log)
        read = world.log[: node.read]
        for user in USERS:
            places = [it for it in range(since, node.read) if is_about(world.log[it], user)]
            if not places:
                continue
            rooms = read if self.rooms_come_in_order else read[:since]
            told = last_told(read, user)[1] if shares(rooms, user) else truth((), user)
            world = told_viewer(world, user, told, places[-1] + 1, read)
        if until < since:
            # What was told of is before the token, and will be after it.
            world = world._replace(broken="told again")
        return world._replace(token=until)

    def get(self, world: World, user: int, number: int) -> World:
        """Let somebody GET a user's status at a node."""
        node = node_at(world, number)
        is_current = node.way is Way.OPEN and node.read == len(world.log) and node.epoch != NOBODY
        if node.is_out or (self.reads_ask_first and not is_current):
            return world
        place, _value = last_told(world.log[: node.read], user)
        if place < world.acknowledged[user]:
            return world._replace(broken="a read misses what was acknowledged")
        return world
