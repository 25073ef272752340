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
  begins, and after it the user is told to be offline. It begins with a PUT, too, if the device
  does not poll. Whoever takes a partition begins the grace anew.
- **A token** is a place in the log. A node that has not read that far does not answer. Others tell
  what is new after it, by the rooms as they are where the node has read to.
- **A read that does not wait** asks first where the log ends.

`steps` are what nodes do by themselves, in any order; time passes (`tick`) when nothing is left to
do. So a message takes less than a tick, if its way is open. `acts` are what befalls the cluster, at
any moment. What nodes say of polls is heard in the step in which it is said, and a PUT lies in the
owner's inbox: one that is lost with its owner is said again.

Each rule of `Design` can be switched off, and `test_cluster.py` shows which promise is then broken.
The log does not lose its data here; `tests/scenarios/test_random_clusters.py` has that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tests.models.befalling import Befalling
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
    replaced,
    with_node,
    without_polls,
)

__all__ = ["Design", "Step"]

#: What happens, by its name and who it concerns; and the world after it.
Step: TypeAlias = tuple[tuple[str | int, ...], World]


@dataclass(frozen=True)
class Design(Befalling):
    """The rules of a cluster, what befalls it, and what its nodes do by themselves."""

    # --- what nodes do by themselves ------------------------------------------------------

    def steps(self, world: World) -> Iterator[Step]:
        """Give everything that nodes can do now, and do before time passes."""
        for number in NODES:
            node = world.nodes[number]
            if node is None or node.way is Way.FROZEN:
                continue
            if node.looked < world.now:
                yield ("look", number), self._look(world, number, node)
            if node.wanted:
                yield ("take", number), self._take(world, number, node)
            if node.hears and node.way is Way.OPEN and node.read < len(world.log):
                yield ("read", number), self._read(world, number, node)
            yield from self._hear_of_polls(world, number, node)
            yield from self._give(world, number, node)
        for put in world.puts:
            yield from self._go_on(world, put)

    def may(self, world: World) -> Iterator[Step]:
        """Give what nodes may do, now or later: tell that a user is offline, for example."""
        for number in NODES:
            node = world.nodes[number]
            if node is None or node.way is Way.FROZEN:
                continue
            for user in USERS:
                value = self._value_at(world, node, user)
                if value is not None and self._owns(world, node, user):
                    yield from self._tell_in_time(world, number, user, value)
            if self.nodes_may_be_late and node.way is Way.CUT and node.epoch:
                yield ("give up", number), self._lose(world, number)
        for put in world.puts:
            edge = None if put.edge is None else world.nodes[put.edge]
            if edge is not None and put.stage is Stage.WAITS and put.until is not None:
                epoch = owner(world.log[: edge.read], put.user)
                yield from self._say(world, put, edge, epoch)

    def _tell_in_time(self, world: World, number: int, user: int, value: Value) -> Iterator[Step]:
        if value[0] and self._grace_is_over(world, node_at(world, number), user):
            after = self._tell(world, number, user, (False, value[1]))
            is_early = world.now - world.seen[user] < self.grace
            if is_early and len(after.log) > len(world.log):
                after = after._replace(broken="offline, and the client polls")
            yield ("offline", user), after
        elif self.nodes_may_be_late:
            yield from self._tell_late(world, number, user, value)

    def _tell_late(self, world: World, number: int, user: int, value: Value) -> Iterator[Step]:
        """Tell of a poll that may have ended, and what could not be told with the last lease."""
        node = node_at(world, number)
        if not value[0] and user in world.unheard:
            heard = node._replace(idle=replaced(node.idle, user, world.now))
            after = with_node(world, number, heard)._replace(unheard=world.unheard - {user})
            yield ("online late", user), self._tell(after, number, user, (True, value[1]))
        if node.untold[user]:
            status = (True, node.untold[user])
            told = node._replace(untold=replaced(node.untold, user, 0))
            yield (
                ("told late", user),
                self._tell(with_node(world, number, told), number, user, status),
            )

    def _grace_is_over(self, world: World, node: Node, user: int) -> bool:
        if self.nodes_may_be_late and not any(it[0] == user for it in node.vouched):
            return world.now - world.seen[user] >= self.grace
        idle = node.idle[user]
        return idle is not None and world.now - idle >= self.grace

    def _look(self, world: World, number: int, node: Node) -> World:
        """Renew the lease or get another, and look who lives."""
        node = node._replace(looked=world.now)
        if node.way is Way.CUT:
            return self._count_out(with_node(world, number, node), number)
        node = node._replace(hears=True)
        if node.epoch and not lives(world, node.epoch):
            return self._count_out(self._lose(with_node(world, number, node), number), number)
        if node.epoch:
            lease = Lease(node.epoch, world.now + self.lease, is_ready=True)
        else:
            world = world._replace(epochs=world.epochs + 1)
            lease = Lease(world.epochs, world.now + self.lease)
        node = node._replace(epoch=lease.epoch, renewed=world.now, is_out=False)
        world = world._replace(leases=replaced(world.leases, number, lease))
        missing = frozenset(by for _, by in node.vouched if not lives(world, by))
        node = self._without(node, missing & node.missing, world.now)._replace(missing=missing)
        ready = {it for it in NODES if world.leases[it].is_ready and lives_at(world, it)}
        for user in USERS:
            heir = user if user in ready | {number} else 1 - user
            current = owner(world.log, user)
            if not lives(world, current) and heir == number:
                node = node._replace(wanted=node.wanted | {user})
            elif current == node.epoch and heir != number:
                node = node._replace(held=node.held | {user})
        return with_node(world, number, node)

    def _take(self, world: World, number: int, node: Node) -> World:
        """Take what no living node owns of what it wants."""
        world = with_node(world, number, node._replace(wanted=frozenset()))
        if node.way is Way.CUT:
            return world
        if not lives(world, node.epoch):
            return self._lose(world, number)
        free = [it for it in sorted(node.wanted) if not lives(world, owner(world.log, it))]
        taken = tuple(Record(What.OWNED, node.epoch, it) for it in free)
        return world._replace(log=world.log + taken)

    def _read(self, world: World, number: int, node: Node) -> World:
        """Read one record more."""
        record = world.log[node.read]
        node = node._replace(read=node.read + 1)
        if record.what is What.TOLD:
            node = node._replace(untold=replaced(node.untold, record.user, 0))
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
                    knows = world._replace(
                        known=world.known | {user}, unheard=world.unheard - {user}
                    )
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
            unsaved = (it for it in world.puts if it.stage not in (Stage.SAID, Stage.SAVED))
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
        if is_awake and put.until is not None and world.now >= put.until:
            yield ("refuse", put.user), ended_put(world, put)
        if put.stage is Stage.WAITS:
            if edge is not None and is_awake:
                yield from self._bring(world, put, edge)
            return
        if put.stage is Stage.SAID:
            yield from self._hear_of_put(world, put)
            return
        yield from self._go_on_at_owner(world, put)

    def _go_on_at_owner(self, world: World, put: Put) -> Iterator[Step]:
        process = world.nodes[put.node]
        if process is not None and process.way is Way.FROZEN:
            return
        if put.stage is Stage.SAVING and process is not None:
            # The database has it, whoever is the owner by now.
            yield ("save", put.user), saved_put(world, put, self.saves_never_go_back)
        elif process is None or process.epoch != put.owner:
            yield ("again", put.user), again_put(self._without_telling(world, put), put)
        elif put.stage is Stage.DECIDED:
            yield from self._write(world, put, process)
        elif put.stage is Stage.TOLD and process.read >= put.place:
            yield ("keep", put.user), moved_put(world, put, put._replace(stage=Stage.SAVING))
        if put.stage is Stage.SAVED or (put.stage is Stage.TOLD and self._is_careless):
            yield from self._answer(world, put)

    @property
    def _is_careless(self) -> bool:
        return not self.saved_before_acknowledged

    def _bring(self, world: World, put: Put, edge: Node) -> Iterator[Step]:
        """Bring a PUT to the owner, if the node knows one."""
        epoch = owner(world.log[: edge.read], put.user)
        if edge.epoch == NOBODY or put.edge is None:
            return
        if epoch == edge.epoch:
            yield from self._decide(world, put, put.edge, edge)
        elif edge.hears:
            yield from self._say(world, put, edge, epoch)

    def _say(self, world: World, put: Put, edge: Node, epoch: int) -> Iterator[Step]:
        if edge.way is Way.OPEN and lives(world, edge.epoch) and lives(world, epoch):
            number = next(it for it in NODES if world.leases[it].epoch == epoch)
            said = put._replace(stage=Stage.SAID, owner=epoch, node=number)
            yield ("say", put.user), moved_put(world, put, said)

    def _hear_of_put(self, world: World, put: Put) -> Iterator[Step]:
        process = world.nodes[put.node]
        if not lives(world, put.owner):
            yield ("again", put.user), again_put(world, put)
        elif process is None or process.epoch != put.owner:
            return
        elif process.way is Way.OPEN and process.hears:
            yield from self._decide(world, put, put.node, process)

    def _decide(self, world: World, put: Put, number: int, process: Node) -> Iterator[Step]:
        """Decide as the owner; another than the owner says that it is none."""
        epoch = process.epoch
        if put.user in process.held or not self._owns(world, process, put.user):
            if put.stage is Stage.SAID:
                yield ("elsewhere", put.user), again_put(world, put)
            return
        decided = put._replace(stage=Stage.DECIDED, owner=epoch, node=number)
        place, value = last_told(world.log[: process.read], put.user)
        if value == (True, put.number):
            # It was told by an owner that could not answer.
            decided = decided._replace(stage=Stage.TOLD, place=place)
        if not any(it[0] == put.user for it in process.vouched):
            # A device that does not poll stays for a grace.
            idle = replaced(process.idle, put.user, world.now)
            world = with_node(world, number, process._replace(idle=idle))
        seen = replaced(world.seen, put.user, world.now)
        yield ("decide", put.user), moved_put(world, put, decided)._replace(seen=seen)

    def _write(self, world: World, put: Put, process: Node) -> Iterator[Step]:
        value = (True, put.number)
        after = self._tell(world, put.node, put.user, value)
        if len(after.log) > len(world.log):
            told = put._replace(stage=Stage.TOLD, place=len(after.log))
            yield ("tell", put.user), moved_put(after, put, told)
            return
        after = self._without_telling(after, put)
        yield ("tell in vain", put.user), again_put(after, put)
        if process.way is Way.CUT and self._may_write(world, put.owner, put.user):
            # The record has come, and its answer has not.
            record = Record(What.TOLD, put.owner, put.user, value)
            yield (
                ("tell unheard", put.user),
                again_put(after, put)._replace(log=(*world.log, record)),
            )

    def _without_telling(self, world: World, put: Put) -> World:
        """Let the owner remember what it has decided, and could not tell."""
        process = world.nodes[put.node]
        if process is None or put.stage is not Stage.DECIDED or not self.nodes_may_be_late:
            return world
        untold = replaced(process.untold, put.user, put.number)
        return with_node(world, put.node, process._replace(untold=untold))

    def _answer(self, world: World, put: Put) -> Iterator[Step]:
        if put.edge is None:
            yield ("forget", put.user), ended_put(world, put)
        elif put.edge == put.node or self._hear_each_other(world, put.node, put.edge):
            newest = max(world.acknowledged[put.user], put.place)
            acknowledged = replaced(world.acknowledged, put.user, newest)
            answered = world.answered | {put.number}
            after = ended_put(world, put)._replace(acknowledged=acknowledged, answered=answered)
            yield ("answer", put.user), after

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
            wanted=frozenset(), missing=frozenset(),
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
        world = without_polls(world, number, frozenset(USERS))
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
