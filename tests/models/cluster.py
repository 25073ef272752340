"""A cluster as a small state machine: leases, fencing, tokens, and what was told and saved.

This module is the specification of how nodes share the users of one server. It has no event loop,
no bytes and no network: a world is a value (`worlds.py`), and each step gives another one.

- **The log** has records in one order. A node gets a *lease* from it, with an epoch that never
  comes twice, and renews it. The log ends a lease `lease` after the last renewal. A node that has
  had no answer for `out`, which is less, counts itself out: it refuses the polls that wait at it.
- **A partition** has one owner. A node that finds a partition without a living owner takes it, if
  it should be its own; an owner gives what should be another's, once all that it has decided is
  saved. Both are records.
- **A record of how a user is** is written only by the owner's lease, while it lives: the log checks
  both in the step that writes. An owner that is refused, or hears nothing, gives its lease up.
- **A PUT** goes to the owner, who decides; its record is written; the owner reads it back and saves
  it; the database refuses what is older than what it has; then the client is answered.
- **A poll**: its node tells the owner that the device polls. When no node says so, the grace
  begins, and after it the user is told to be offline. Whoever takes a partition begins the grace
  anew.
- **A token** is a place in the log. A node that has not read that far does not answer. Others tell
  what is new after it, by the rooms as they are where the node has read to.
- **A read that does not wait** asks first where the log ends.

`steps` are what nodes do by themselves, in any order; time passes (`tick`) when nothing is left to
do. So a message takes less than a tick, if its way is open. `acts` are what befalls the cluster, at
any moment. A message is heard in the step in which it is said: one that is lost is said again.

Each rule of `Design` can be switched off, and `test_cluster.py` shows which promise is then broken.
The log does not lose its data here; `tests/scenarios/test_random_clusters.py` has that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tests.models.promises import is_about, told_viewer
from tests.models.puts import again_put, ended_put, moved_put, saved_put
from tests.models.worlds import (
    NOBODY,
    NODES,
    USERS,
    Lease,
    Node,
    Put,
    Record,
    Stage,
    Value,
    Way,
    What,
    World,
    last_told,
    lives,
    lives_at,
    node_at,
    owner,
    process_of,
    replaced,
    shares,
    truth,
    with_node,
)

__all__ = ["Design", "Step"]

#: What happens, by its name and who it concerns; and the world after it.
Step: TypeAlias = tuple[tuple[str | int, ...], World]


@dataclass(frozen=True)
class Design:
    """The rules of a cluster. Durations are in ticks; a node renews its lease with each tick."""

    lease: int = 2
    out: int = 1
    grace: int = 3
    #: A PUT is answered after so long, if only with an error.
    patience: int = 10
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
        world = _without_polls(world, number, frozenset(USERS))
        return with_node(world, number, None)._replace(puts=puts)

    def turn(self, world: World, number: int, way: Way) -> World:
        """Let a process be cut off, stand still, or go on. Clients leave one that stands still."""
        if way is Way.FROZEN:
            world = _without_polls(world, number, frozenset(USERS))
        node = node_at(world, number)
        if way is Way.CUT:
            node = node._replace(hears=False)
        elif node.way is Way.FROZEN:
            # Its timers are due.
            node = node._replace(looked=min(node.looked, world.now - 1), hears=True)
        return with_node(world, number, node._replace(way=way))

    def put(self, world: World, user: int, number: int) -> World:
        """Let a client PUT a status at a node."""
        count = world.number + 1
        new = Put(user, count, world.now + self.patience, number)
        return world._replace(puts=(*world.puts, new), number=count)

    def poll(self, world: World, user: int, number: int | None) -> World:
        """Let a user's client poll at another node, or nowhere."""
        for it in NODES:
            world = _without_polls(world, it, frozenset({user}))
        if number is not None:
            node = node_at(world, number)
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

    # --- what nodes do by themselves ------------------------------------------------------

    def steps(self, world: World) -> Iterator[Step]:
        """Give everything that nodes can do now, and do before time passes."""
        for number in NODES:
            node = world.nodes[number]
            if node is None or node.way is Way.FROZEN:
                continue
            if node.looked < world.now:
                yield ("look", number), self._look(world, number, node)
            if node.hears and node.way is Way.OPEN and node.read < len(world.log):
                yield ("read", number), self._read(world, number, node)
            yield from self._hear_of_polls(world, number, node)
            yield from self._give(world, number, node)
        for put in world.puts:
            yield from self._go_on(world, put)

    def may(self, world: World) -> Iterator[Step]:
        """Give what an owner may do, now or later: tell that a user is offline."""
        for number in NODES:
            node = world.nodes[number]
            if node is None or node.way is Way.FROZEN:
                continue
            for user in USERS:
                idle = node.idle[user]
                if idle is None or world.now - idle < self.grace:
                    continue
                value = self._value_at(world, node, user)
                if value is not None and value[0] and self._owns(world, node, user):
                    after = self._tell(world, number, user, (False, value[1]))
                    is_early = world.now - world.seen[user] < self.grace
                    if is_early and len(after.log) > len(world.log):
                        after = after._replace(broken="offline, and the client polls")
                    yield ("offline", user), after

    def _look(self, world: World, number: int, node: Node) -> World:
        """Renew the lease or get another, and look who lives."""
        node = node._replace(looked=world.now)
        if node.way is Way.CUT:
            return self._count_out(with_node(world, number, node), number)
        if node.epoch and not lives(world, node.epoch):
            return self._count_out(self._lose(with_node(world, number, node), number), number)
        if node.epoch:
            lease = Lease(node.epoch, world.now + self.lease, is_ready=True)
        else:
            world = world._replace(epochs=world.epochs + 1)
            lease = Lease(world.epochs, world.now + self.lease)
        node = node._replace(epoch=lease.epoch, renewed=world.now, hears=True, is_out=False)
        world = world._replace(leases=replaced(world.leases, number, lease))
        missing = frozenset(by for _, by in node.vouched if not lives(world, by))
        node = self._without(node, missing & node.missing, world.now)._replace(missing=missing)
        ready = {it for it in NODES if world.leases[it].is_ready and lives_at(world, it)}
        for user in USERS:
            heir = user if user in ready | {number} else 1 - user
            current = owner(world.log, user)
            if not lives(world, current) and heir == number:
                taken = Record(What.OWNED, node.epoch, user)
                world = world._replace(log=(*world.log, taken))
            elif current == node.epoch and heir != number:
                node = node._replace(held=node.held | {user})
        return with_node(world, number, node)

    def _read(self, world: World, number: int, node: Node) -> World:
        """Read one record more."""
        record = world.log[node.read]
        node = node._replace(read=node.read + 1)
        if record.what is What.OWNED:
            vouched = frozenset(it for it in node.vouched if it[0] != record.user)
            since = world.now if self.take_over_begins_the_grace else world.now - self.grace
            idle = since if record.by == node.epoch else None
            node = node._replace(
                vouched=vouched,
                idle=replaced(node.idle, record.user, idle),
                held=node.held - {record.user},
            )
        return with_node(world, number, node)

    def _hear_of_polls(self, world: World, number: int, node: Node) -> Iterator[Step]:
        """As an owner, hear from other nodes and itself who polls, and tell who is online."""
        for user in USERS:
            if not self._owns(world, node, user) or user in node.held:
                continue
            for other in NODES:
                it = world.nodes[other]
                if it is None or not self._hear_each_other(world, number, other):
                    continue
                said = (user, it.epoch)
                if user in it.polls and said not in node.vouched and self._knows(world, it, user):
                    idle = replaced(node.idle, user, None)
                    heard = node._replace(vouched=node.vouched | {said}, idle=idle)
                    knows = world._replace(known=world.known | {user})
                    yield ("polls", user, other), with_node(knows, number, heard)
                elif user not in it.polls and said in node.vouched:
                    ended = self._without(node, frozenset({said[1]}), world.ended[user], user)
                    yield ("polls no more", user, other), with_node(world, number, ended)
            value = self._value_at(world, node, user)
            if value is not None and not value[0] and any(it[0] == user for it in node.vouched):
                yield ("online", user), self._tell(world, number, user, (True, value[1]))

    def _give(self, world: World, number: int, node: Node) -> Iterator[Step]:
        """Let another node own what should be its own, once all that was decided is saved."""
        for user in node.held:
            unsaved = (it for it in world.puts if it.stage is not Stage.SAVED)
            if any((it.owner, it.user) == (node.epoch, user) for it in unsaved):
                continue
            kept = with_node(world, number, node._replace(held=node.held - {user}))
            heir = world.leases[1 - number].epoch
            if node.way is Way.CUT:
                yield ("give", user), self._lose(kept, number)
            elif lives(world, heir) and owner(world.log, user) == node.epoch:
                given = Record(What.OWNED, heir, user)
                yield ("give", user), kept._replace(log=(*world.log, given))
            else:
                yield ("give", user), kept

    # --- what becomes of a PUT ------------------------------------------------------------

    def _go_on(self, world: World, put: Put) -> Iterator[Step]:
        edge = None if put.edge is None else world.nodes[put.edge]
        is_awake = edge is not None and edge.way is not Way.FROZEN
        if is_awake and world.now >= put.until:
            yield ("refuse", put.user), ended_put(world, put)
        if put.stage is Stage.WAITS:
            if edge is not None and is_awake:
                yield from self._decide(world, put, edge)
            return
        process = world.nodes[put.node]
        if process is not None and process.way is Way.FROZEN:
            return
        if put.stage is Stage.SAVING and process is not None:
            # The database has it, whoever is the owner by now.
            yield ("save", put.user), saved_put(world, put, self.saves_never_go_back)
        elif process is None or process.epoch != put.owner:
            yield ("again", put.user), again_put(world, put)
        elif put.stage is Stage.DECIDED:
            yield from self._write(world, put, process)
        elif put.stage is Stage.TOLD and process.read >= put.place:
            yield ("keep", put.user), moved_put(world, put, put._replace(stage=Stage.SAVING))
        if put.stage is Stage.SAVED or (put.stage is Stage.TOLD and self._is_careless):
            yield from self._answer(world, put)

    @property
    def _is_careless(self) -> bool:
        return not self.saved_before_acknowledged

    def _decide(self, world: World, put: Put, edge: Node) -> Iterator[Step]:
        """Bring a PUT to the owner, if the node knows one and both are there."""
        epoch = owner(world.log[: edge.read], put.user)
        number = process_of(world, epoch)
        if number is None or edge.epoch == NOBODY or put.edge is None:
            return
        process = node_at(world, number)
        if put.user in process.held or not self._owns(world, process, put.user):
            return
        if number != put.edge and not self._hear_each_other(world, number, put.edge):
            return
        decided = put._replace(stage=Stage.DECIDED, owner=epoch, node=number)
        place, value = last_told(world.log[: process.read], put.user)
        if value == (True, put.number):
            # It was told by an owner that could not answer.
            decided = decided._replace(stage=Stage.TOLD, place=place)
        yield ("decide", put.user), moved_put(world, put, decided)

    def _write(self, world: World, put: Put, process: Node) -> Iterator[Step]:
        value = (True, put.number)
        after = self._tell(world, put.node, put.user, value)
        if len(after.log) > len(world.log):
            told = put._replace(stage=Stage.TOLD, place=len(after.log))
            yield ("tell", put.user), moved_put(after, put, told)
            return
        yield ("tell in vain", put.user), again_put(after, put)
        if process.way is Way.CUT and self._may_write(world, put.owner, put.user):
            # The record has come, and its answer has not.
            record = Record(What.TOLD, put.owner, put.user, value)
            yield (
                ("tell unheard", put.user),
                again_put(after, put)._replace(log=(*world.log, record)),
            )

    def _answer(self, world: World, put: Put) -> Iterator[Step]:
        if put.edge is None:
            yield ("forget", put.user), ended_put(world, put)
        elif put.edge == put.node or self._hear_each_other(world, put.node, put.edge):
            newest = max(world.acknowledged[put.user], put.place)
            acknowledged = replaced(world.acknowledged, put.user, newest)
            yield ("answer", put.user), ended_put(world, put)._replace(acknowledged=acknowledged)

    # --- what all of that is made of ------------------------------------------------------

    def _tell(self, world: World, number: int, user: int, value: Value) -> World:
        """Write a record, or give the lease up because the log refuses or does not answer."""
        node = node_at(world, number)
        if node.way is Way.CUT or not self._may_write(world, node.epoch, user):
            return self._lose(world, number)
        return world._replace(log=(*world.log, Record(What.TOLD, node.epoch, user, value)))

    def _may_write(self, world: World, epoch: int, user: int) -> bool:
        """Tell whether the log lets a lease write of a user."""
        return not self.appends_are_fenced or (
            lives(world, epoch) and owner(world.log, user) == epoch
        )

    def _lose(self, world: World, number: int) -> World:
        node = node_at(world, number)
        lost = node._replace(
            epoch=NOBODY, vouched=frozenset(), idle=(None, None), held=frozenset(),
            missing=frozenset(),
        )  # fmt: skip
        leases = world.leases
        if node.way is Way.OPEN and leases[number].epoch == node.epoch:
            leases = replaced(leases, number, Lease())
        return with_node(world, number, lost)._replace(leases=leases)

    def _count_out(self, world: World, number: int) -> World:
        """Let a node refuse its polls that has not been answered for too long."""
        node = node_at(world, number)
        is_late = world.now - node.renewed >= self.out and self.cut_off_counts_itself_out
        if not is_late or node.is_out:
            return world
        world = self._lose(world, number)
        world = _without_polls(world, number, frozenset(USERS))
        return with_node(world, number, node_at(world, number)._replace(is_out=True))

    def _owns(self, world: World, node: Node, user: int) -> bool:
        """Tell whether a node owns a user, as it has read."""
        return node.epoch != NOBODY and owner(world.log[: node.read], user) == node.epoch

    def _knows(self, world: World, node: Node, user: int) -> bool:
        """Tell whether a node knows the user's owner, as the log has it."""
        return owner(world.log[: node.read], user) == owner(world.log, user)

    def _hear_each_other(self, world: World, one: int, other: int) -> bool:
        """Tell whether messages come from one node to the other and back: the log carries them."""
        if one == other:
            return True
        nodes = [world.nodes[one], world.nodes[other]]
        return all(
            it is not None and it.way is Way.OPEN and it.hears and lives(world, it.epoch)
            for it in nodes
        )

    def _value_at(self, world: World, node: Node, user: int) -> Value | None:
        """Return how an owner thinks a user is; None while a record of its own is to come."""
        unread = world.log[node.read :]
        if any(it.what is What.TOLD and it.by == node.epoch and it.user == user for it in unread):
            return None
        if any(it.user == user and it.stage is Stage.DECIDED for it in world.puts):
            return None
        return last_told(world.log[: node.read], user)[1]

    def _without(
        self, node: Node, epochs: frozenset[int], since: int, user: int | None = None
    ) -> Node:
        """Return an owner that hears no more that some nodes have polls: of *user*, or of all."""
        for it in USERS if user is None else (user,):
            vouched = frozenset(said for said in node.vouched if said[0] == it)
            left = frozenset(said for said in vouched if said[1] not in epochs)
            if vouched != left:
                idle = node.idle if left else replaced(node.idle, it, since)
                node = node._replace(vouched=node.vouched - vouched | left, idle=idle)
        return node


def _without_polls(world: World, number: int, users: frozenset[int]) -> World:
    """The polls of *users* at a node end."""
    node = world.nodes[number]
    if node is None or not node.polls & users:
        return world
    for user in node.polls & users:
        ended = replaced(world.ended, user, world.now)
        world = world._replace(ended=ended, known=world.known - {user})
    return with_node(world, number, node._replace(polls=node.polls - users))
