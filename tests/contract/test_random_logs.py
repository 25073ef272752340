"""Random lives of a cluster's log: whatever happens, it keeps what nodes build on.

Of the invariants of a cluster, these are the log's:

- Who writes of a partition is its owner there, as the log itself says.
- Positions grow, also where the data are lost and the clock is set back.
- An epoch is never given twice to a node; and epochs grow, after a loss of all data above those of
  whose records somebody knows.
- Nobody writes with a lease that has ended, and nobody is refused whose lease lives.
- Nodes agree on something only if all who live take part.
- A message is in the inbox of the lease that it was said to, once, in order, and in no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar, cast

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lamplighter.cluster.log import (
    Agreed,
    Lease,
    Log,
    LogRecord,
    NodeFacts,
    Owned,
    PartitionId,
    ToldToAll,
)
from lamplighter.cluster.positions import BEGINNING, RECORD
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import LeaseLost, LogUnreachable, NodeNameInUse
from lamplighter.ids import StreamPosition
from tests.contract.logs import FACTS, AnyLogServer, InMemory, Joined, OnValkey, joined
from tests.effort import EXAMPLES
from tests.valkey import ValkeyServer

T = TypeVar("T")

NAMES: Final = st.sampled_from("abc")
PARTITIONS: Final = st.frozensets(st.integers(0, 5), max_size=4)
COUNTS: Final = st.integers(1, 40)
#: One of those that have ever joined.
ANY: Final = st.integers(0, 1_000)


class ToldValue(msgspec.Struct, frozen=True):
    """What a record says in these worlds."""

    number: int
    partitions: tuple[int, ...]


class LogWorld(RuleBasedStateMachine):
    """Nodes that come, go, write and read; and what must be true of the log after each step."""

    def __init__(self, server: AnyLogServer, run: Callable[[Awaitable[object]], object]) -> None:
        super().__init__()
        self.server = server
        self._run = run
        self.do(server.lose_data())
        self.nodes: list[Joined] = []
        self.living: dict[str, Joined] = {}
        self.owners: dict[int, Lease] = {}
        #: What the log has, since its data were lost.
        self.records: list[LogRecord] = []
        self.said: dict[Lease, list[tuple[Lease, bytes]]] = {}
        self.newest = BEGINNING
        #: What nodes know that have not joined since the last loss of data.
        self.known: dict[str, StreamPosition] = {}
        #: The largest epoch that must not be given again.
        self.highest = 0
        #: Each node's process goes on while its lease ends.
        self.logs: dict[str, Log] = {}
        self.epochs: dict[str, int] = {}
        #: The largest epoch of a record.
        self.written = 0
        self.numbers = 0

    def do(self, work: Awaitable[T]) -> T:
        """Return what *work* does."""
        result: T = self._run(work)  # type: ignore[assignment] # an event loop returns what it runs
        return result

    # --- nodes come and go ---

    @rule(name=NAMES)
    def join(self, name: str) -> None:
        """A node joins, if no living one has its name."""
        if name in self.living:
            with pytest.raises(NodeNameInUse):
                self.do(joined(self.server, name, self.newest))
            return
        known = self.known.pop(name, self.newest)
        node = self.do(joined(self.server, name, known, self.logs.get(name)))
        assert node.lease.epoch > max(self.highest, self.epochs.get(name, 0))
        self.logs[name], self.epochs[name] = node.log, node.lease.epoch
        self.highest = node.lease.epoch
        self.nodes.append(node)
        self.living[name] = node
        self.said[node.lease] = []

    @precondition(lambda self: self.nodes)
    @rule(which=ANY)
    def leave(self, which: int) -> None:
        """A node leaves, or one that has ended does."""
        node = self.one(which)
        self.do(node.log.leave(node.lease))
        self.has_ended(node)

    @precondition(lambda self: self.living)
    @rule(which=ANY)
    def end(self, which: int) -> None:
        """A node is frozen for longer than its lease."""
        node = [*self.living.values()][which % len(self.living)]
        self.do(self.server.end(node, *(it for it in self.living.values() if it is not node)))
        self.has_ended(node)

    # --- nodes write ---

    @precondition(lambda self: self.nodes)
    @rule(which=ANY, partitions=PARTITIONS)
    def take(self, which: int, partitions: frozenset[int]) -> None:
        """A node takes what is free."""
        node = self.one(which)
        free = partitions - self.owners.keys()
        if self.lives(node):
            assert self.do(node.take(*partitions)) == free
            self.now_owns(node.lease, free)
        else:
            self.refused(node.take(*partitions))

    @precondition(lambda self: self.nodes)
    @rule(which=ANY, other=ANY, partitions=PARTITIONS)
    def give(self, which: int, other: int, partitions: frozenset[int]) -> None:
        """A node gives to another what it has."""
        node, heir = self.one(which), self.one(other)
        numbers = [PartitionId(it) for it in partitions]
        giving = node.log.give(node.lease, heir.lease, numbers)
        if self.lives(node):
            given = {it for it in partitions if self.owners.get(it) == node.lease}
            given = given if self.lives(heir) else set()
            assert self.do(giving) == given
            self.now_owns(heir.lease, frozenset(given))
        else:
            self.refused(giving)

    @precondition(lambda self: self.nodes)
    @rule(which=ANY, partitions=PARTITIONS, count=COUNTS)
    def tell(self, which: int, partitions: frozenset[int], count: int) -> None:
        """A node tells of partitions, some of which may not be its own."""
        node = self.one(which)
        telling = node.tell(self.payload(partitions), *partitions, count=count)
        if self.may_tell(node, partitions):
            self.is_told(node, self.do(telling), partitions, count)
        else:
            self.refused(telling)

    @precondition(lambda self: self.nodes)
    @rule(which=ANY, partitions=PARTITIONS)
    def tell_unanswered(self, which: int, partitions: frozenset[int]) -> None:
        """A node tells while the server stands still: it may come late, and only if it may come."""
        node = self.one(which)

        async def unanswered() -> None:
            with self.server.frozen():
                telling = asyncio.ensure_future(node.tell(self.payload(partitions), *partitions))
                await turns_until_idle()
                self.server.clock.advance(seconds=1)
                with pytest.raises(LogUnreachable):
                    await telling
            for living in self.living.values():
                await living.renew()

        before = self.log_end()
        self.do(unanswered())
        for record in self.read_after(before):
            assert self.may_tell(node, partitions)
            self.is_told(node, record.position, partitions, 1)

    @precondition(lambda self: self.nodes)
    @rule(which=ANY, other=ANY, count=st.integers(1, 3))
    def say(self, which: int, other: int, count: int) -> None:
        """A node says something to another."""
        node, to = self.one(which), self.one(other)
        payloads = [self.payload(frozenset()) for _ in range(count)]
        saying = node.say(to, *payloads)
        if self.lives(node):
            assert self.do(saying) == self.lives(to)
            if self.lives(to):
                self.said[to.lease] += [(node.lease, payload) for payload in payloads]
        else:
            self.refused(saying)

    @precondition(lambda self: self.nodes)
    @rule(which=ANY, names=st.frozensets(NAMES))
    def agree(self, which: int, names: frozenset[str]) -> None:
        """A node lets some agree, who may not be all."""
        node = self.one(which)
        leases = {it.lease for name, it in self.living.items() if name in names}
        agreeing = node.log.agree(node.lease, leases, NodeFacts("", FACTS))
        if not self.lives(node):
            self.refused(agreeing)
            return
        are_all = leases == {it.lease for it in self.living.values()}
        assert self.do(agreeing) == are_all
        if are_all:
            self.note(Agreed(self.log_end(), node.lease, FACTS))

    # --- what befalls the server ---

    @rule(milliseconds=st.integers(1, 3))
    def time_passes(self, milliseconds: int) -> None:
        """Time passes."""
        self.server.clock.advance(milliseconds=milliseconds)

    @precondition(lambda self: self.living)
    @rule(which=ANY)
    def set_clock_back(self, which: int) -> None:
        """The clock is set back."""
        self.do(self.server.set_clock_back([*self.living.values()][which % len(self.living)]))
        self.do(next(iter(self.living.values())).renew())

    @rule()
    def lose_data(self) -> None:
        """The server is started without its data."""
        self.do(self.server.lose_data())
        for node in [*self.living.values()]:
            self.has_ended(node)
        self.records.clear()
        self.known = dict.fromkeys(self.logs, self.newest)
        # Nobody else knows of those who have written nothing.
        self.highest = self.written

    # --- what must be true ---

    @invariant()
    def the_log_has_what_was_told(self) -> None:
        """Whoever lives reads the same records, and they are those that were written."""
        for node in self.living.values():
            start = self.do(node.log.standing()).complete_after
            assert self.do(node.records(start)) == self.records

    @invariant()
    def owners_write(self) -> None:
        """The log says of each record that its writer owned its partitions there."""
        owners: dict[int, Lease] = {}
        for record in self.records:
            if isinstance(record, Owned):
                owners.update(dict.fromkeys(record.partitions, record.owner))
            elif isinstance(record, ToldToAll):
                told = msgspec.json.decode(record.payload, type=ToldValue)
                assert {owners[it] for it in told.partitions} <= {record.by}

    @invariant()
    def standing(self) -> None:
        """Every living node learns who lives, who owns what, and where the log ends."""
        for node in self.living.values():
            standing = self.do(node.log.standing())
            assert {it.lease for it in standing.nodes} == {it.lease for it in self.living.values()}
            assert standing.owners == self.owners
            assert standing.head == self.do(node.log.head()) >= self.newest or not self.records

    @invariant()
    def inboxes(self) -> None:
        """Each living node has the messages that were said to its lease, and no others."""
        for node in self.living.values():
            end = self.do(node.log.head())
            messages = self.do(node.read(end)).messages
            assert [(it.by, it.payload) for it in messages] == self.said[node.lease][:100]

    # --- the oracle ---

    def one(self, which: int) -> Joined:
        """Return one of the nodes that have ever joined; the last ones more often."""
        return self.nodes[-1 - which % min(4, len(self.nodes))]

    def lives(self, node: Joined) -> bool:
        """Tell whether the lease lives."""
        return self.living.get(node.lease.node) == node

    def has_ended(self, node: Joined) -> None:
        """Note that the lease lives no more."""
        if self.lives(node):
            del self.living[node.lease.node]
        self.owners = {it: by for it, by in self.owners.items() if by != node.lease}

    def refused(self, call: Awaitable[object]) -> None:
        """Make a call that nobody may make who has no lease."""
        with pytest.raises(LeaseLost):
            self.do(call)

    def may_tell(self, node: Joined, partitions: frozenset[int]) -> bool:
        """Tell whether the node may write of *partitions*."""
        return self.lives(node) and all(self.owners.get(it) == node.lease for it in partitions)

    def payload(self, partitions: frozenset[int]) -> bytes:
        """Return what has not been said before."""
        self.numbers += 1
        return msgspec.json.encode(ToldValue(self.numbers, tuple(partitions)))

    def is_told(
        self, node: Joined, position: StreamPosition, partitions: frozenset[int], count: int
    ) -> None:
        """Note a record, which is after all others, by as many places as it has entries."""
        assert position >= self.newest + count * RECORD
        payload = msgspec.json.encode(ToldValue(self.numbers, tuple(partitions)))
        self.note(ToldToAll(position, node.lease, count, payload))

    def now_owns(self, owner: Lease, partitions: frozenset[int]) -> None:
        """Note that partitions have another owner; the log says so, if there are any."""
        if not partitions:
            return
        self.owners |= dict.fromkeys(partitions, owner)
        numbers = frozenset(PartitionId(it) for it in partitions)
        position = self.log_end()
        assert position > self.newest
        self.note(Owned(position, owner, numbers))

    def note(self, record: LogRecord) -> None:
        """Note a record."""
        self.records.append(record)
        self.newest = record.position
        writer = record.owner if isinstance(record, Owned) else record.by
        self.written = max(self.written, writer.epoch)

    def log_end(self) -> StreamPosition:
        """Return where the log ends; where it has no data, where it ended."""
        for node in self.living.values():
            return self.do(node.log.head())
        return self.newest

    def read_after(self, position: StreamPosition) -> list[LogRecord]:
        """Return what is in the log after *position*, if anybody lives who can read it."""
        for node in self.living.values():
            return self.do(node.records(position))
        return []


@pytest.fixture
def run() -> Iterator[Callable[[Awaitable[object]], object]]:
    """What runs something to its end: hypothesis knows no event loop."""
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


def go_through(examples: int, world: Callable[[], LogWorld]) -> None:
    """Go through some of the worlds."""
    machine = cast("type[LogWorld]", world)  # all that is done with it is to call it
    run_state_machine_as_test(machine, settings=settings(max_examples=examples))


def test_in_memory(run: Callable[[Awaitable[object]], object]) -> None:
    """The log within the process keeps the invariants, whatever happens."""
    go_through(EXAMPLES, lambda: LogWorld(InMemory(), run))


def test_on_valkey(valkey: ValkeyServer, run: Callable[[Awaitable[object]], object]) -> None:
    """So does the log on a real Valkey: it answers like the one within the process."""
    worlds: list[OnValkey] = []

    def world() -> LogWorld:
        worlds.append(OnValkey(valkey))
        return LogWorld(worlds[-1], run)

    go_through(max(1, EXAMPLES // 5), world)
    for it in worlds:
        run(it.close())
