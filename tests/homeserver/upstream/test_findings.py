"""What one node finds out at the homeserver, every node believes at one place in the stream."""

import asyncio
from collections.abc import Iterable, Sequence

from lamplighter.clock import Timestamp
from lamplighter.cluster.positions import RECORD, at_time
from lamplighter.database.known_members import KnownMembers
from lamplighter.database.memory import open_memory
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ClusterUnavailable
from lamplighter.homeserver.upstream.findings import Findings, memberships_in
from lamplighter.homeserver.upstream.members_saving import KEPT, MembersSaving
from lamplighter.ids import DeviceId, RoomId, StreamPosition, UserId
from lamplighter.ports import JoinedMember, MembershipChange
from lamplighter.service.background import Background
from tests.routing.people import ALICE, BOB, HALL

PHONE = DeviceId("PHONE")
BOB_JOINS = MembershipChange(HALL, BOB, joined=True)
ALICE_JOINS = MembershipChange(HALL, ALICE, joined=True)
BOB_LEAVES = MembershipChange(HALL, BOB, joined=False)


class Listener:
    """Believes what differs, and writes down everything that it is told."""

    def __init__(self) -> None:
        self.joined: set[tuple[RoomId, UserId]] = set()
        self.told: list[object] = []
        self.ends: list[tuple[UserId, frozenset[DeviceId]]] = []

    def believe(
        self, changes: Sequence[MembershipChange], _now: Timestamp
    ) -> Sequence[MembershipChange]:
        new = []
        for change in changes:
            member = (change.room_id, change.user_id)
            if change.joined is not (member in self.joined):
                new.append(change)
                (self.joined.add if change.joined else self.joined.discard)(member)
        return new

    def ended(self, user_id: UserId, device_ids: frozenset[DeviceId]) -> None:
        self.ends.append((user_id, device_ids))

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        self.told.append(tuple(changes))

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        self.told.append((user_id, tuple(device_ids)))

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        raise AssertionError("the homeserver does not tell of that")

    def user_deactivated(self, user_id: UserId) -> None:
        self.told.append(user_id)

    def rooms_news(self, user_ids: Iterable[UserId]) -> None:
        raise AssertionError("that is not for all nodes")


def _findings(store: KnownMembers, clock: FakeClock) -> Findings:
    background = Background(clock)
    return Findings(MembersSaving(store, clock, background), clock, background)


class Nodes:
    """Two nodes, and a stream between them that a test holds up."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.is_open = True
        self.stream: list[tuple[bytes, asyncio.Future[None]]] = []
        self.position = at_time(Timestamp(5_000))
        self.listeners = [Listener(), Listener()]
        #: What each node stores: two databases, to see which of them does.
        self.stores = [KnownMembers(open_memory(), KEPT) for _ in range(2)]
        self.findings = [_findings(it, self.clock) for it in self.stores]
        for findings, listener in zip(self.findings, self.listeners, strict=True):
            findings.spread_by(self.append)
            findings.listen(listener)
            findings.when_heard(listener.believe, listener.ended)

    def append(self, news: bytes) -> "asyncio.Future[None]":
        appended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_open:
            self.stream.append((news, appended))
        else:
            appended.set_exception(ClusterUnavailable("the stream is away"))
        return appended

    async def read(self) -> None:
        """Let both nodes read what is in the stream."""
        await turns_until_idle()
        while self.stream:
            news, appended = self.stream.pop(0)
            for findings in self.findings:
                findings.heard(self.position, news)
            self.position = StreamPosition(self.position + RECORD)
            appended.set_result(None)
            await turns_until_idle()


async def test_a_single_node_believes_at_once() -> None:
    """Without a cluster, the listener is told when something is found out. It is stored, and that
    it was told is not.
    """
    clock, listener, store = FakeClock(), Listener(), KnownMembers(open_memory(), KEPT)
    findings = _findings(store, clock)
    findings.listen(listener)
    findings.when_heard(listener.believe, listener.ended)
    findings.memberships_changed([BOB_JOINS])
    findings.devices_gone(BOB, [PHONE])
    findings.user_deactivated(BOB)
    await findings.told()
    assert listener.told == [(BOB_JOINS,), (BOB, (PHONE,)), (BOB, ()), BOB]
    assert listener.ends == [(BOB, frozenset({PHONE})), (BOB, frozenset())]
    await turns_until_idle()
    assert await store.load() == [JoinedMember(HALL, BOB, clock.now())]
    assert await store.told_lately() == {}


async def test_every_node_believes_in_one_order() -> None:
    """No node believes a finding before it is heard; then each does, once, whoever found it."""
    nodes = Nodes()
    a, b = nodes.findings
    a.memberships_changed([BOB_JOINS])
    b.memberships_changed([BOB_JOINS])  # it was found out twice
    await turns_until_idle()
    assert [it.told for it in nodes.listeners] == [[], []]
    await nodes.read()
    b.memberships_changed([BOB_LEAVES])
    b.devices_gone(ALICE, [PHONE])
    await nodes.read()
    expected = [(BOB_JOINS,), (BOB_LEAVES,), (ALICE, (PHONE,))]
    assert [it.told for it in nodes.listeners] == [expected, expected]


async def test_whoever_waits() -> None:
    """`told` returns when this node has heard its own findings, or after two seconds."""
    nodes = Nodes()
    [a, _] = nodes.findings
    a.memberships_changed([BOB_JOINS])
    waiting = asyncio.ensure_future(a.told())
    await turns_until_idle()
    assert not waiting.done()
    await nodes.read()
    assert waiting.done()
    a.memberships_changed([BOB_LEAVES])
    waiting = asyncio.ensure_future(a.told())
    await turns_until_idle()
    nodes.clock.advance(seconds=2)
    await turns_until_idle()
    assert waiting.done()
    await nodes.read()


async def test_the_stream_is_away() -> None:
    """What cannot be told is told later, in the order in which it was found out."""
    nodes = Nodes()
    [a, _] = nodes.findings
    nodes.is_open = False
    a.memberships_changed([BOB_JOINS])
    await turns_until_idle()
    a.memberships_changed([BOB_LEAVES])
    await nodes.read()
    assert [it.told for it in nodes.listeners] == [[], []]
    nodes.is_open = True
    nodes.clock.advance(seconds=1)
    await nodes.read()
    expected = [(BOB_JOINS,), (BOB_LEAVES,)]
    assert [it.told for it in nodes.listeners] == [expected, expected]


async def test_what_findings_say_of_memberships() -> None:
    """What was told says who has joined and left, in order."""
    nodes = Nodes()
    [a, _] = nodes.findings
    a.memberships_changed([BOB_JOINS])
    a.devices_gone(BOB, [PHONE])
    a.memberships_changed([BOB_LEAVES])
    await turns_until_idle()
    told = [it for news, _ in nodes.stream for it in memberships_in(news)]
    assert told == [BOB_JOINS, BOB_LEAVES]
    await nodes.read()


async def test_whoever_has_told_stores() -> None:
    """What a node has told, this node stores: once it is told, as of then, and if it was new. The
    database keeps that it was told.
    """
    nodes = Nodes()
    [a, b], [first, second] = nodes.findings, nodes.stores
    before = nodes.position
    a.memberships_changed([BOB_JOINS, ALICE_JOINS])
    b.memberships_changed([BOB_JOINS])  # it was found out twice
    await turns_until_idle()
    assert (await first.load(), await first.told_lately()) == ([], {})
    await nodes.read()
    then = Timestamp(5_000)
    joined = [JoinedMember(HALL, ALICE, then), JoinedMember(HALL, BOB, then)]
    assert (await first.load(), await second.load()) == (joined, [])
    b.memberships_changed([BOB_LEAVES, ALICE_JOINS])
    await nodes.read()
    read = [
        {at: memberships_in(it) for at, it in (await store.told_lately()).items()}
        for store in nodes.stores
    ]
    assert read == [{before: [BOB_JOINS, ALICE_JOINS]}, {before + 2 * RECORD: [BOB_LEAVES]}]
