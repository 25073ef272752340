"""A node that starts tells clients of joins and leaves that were told around its start."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import msgspec
import pytest

from lamplighter.clock import Timestamp
from lamplighter.cluster.entries import HomeserverNews
from lamplighter.cluster.positions import at_time, record_of
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import MembershipChange
from lamplighter.routing.interest import SharedRooms
from tests.cluster.memory_log import Way
from tests.routing.people import ALICE, BOB, CHARLIE
from tests.service.counting import counted_functions
from tests.service.nodes import Cluster, Node

LOBBY: Final = RoomId("!lobby:demo")
#: The three are online.
PEOPLE: Final = (ALICE, BOB, CHARLIE)


class OneRoom(Cluster):
    """A cluster with one room, and a homeserver that tells what it has stored when a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[UserId, Timestamp] = {}
        #: What a node hears of what is stored, when the log has lost its data.
        self.unheard: list[bytes] = []
        #: What the homeserver keeps of what was written.
        self.written: list[bytes] = []

    def rooms(self, name: str) -> SharedRooms:
        rooms = SharedRooms(lambda _room_id: True, None)
        for user_id, since in self.stored.items():
            rooms.joined(LOBBY, user_id, at_time(Timestamp(since + 1)))
        return rooms

    def memberships_in(self, news: bytes) -> Sequence[MembershipChange]:
        return [msgspec.msgpack.decode(news, type=MembershipChange)]

    async def kept(self, name: str, told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        return self.written

    def stream_lost(self, name: str) -> Sequence[bytes]:
        for news in self.unheard:
            self.hear(name, news)
        return self.unheard

    def hear(self, name: str, news: bytes) -> None:
        node = self.nodes[name]
        for change in self.memberships_in(news):
            if change.joined != (change.user_id in node.core.rooms.members(LOBBY)):
                node.heard_events.memberships_changed([change])

    def write(self, user_id: UserId, *, joined: bool) -> bytes:
        """Store that a user joins or leaves; return the news of it."""
        self.stored.pop(user_id, None)
        if joined:
            self.stored[user_id] = self.clock.now()
        news = msgspec.msgpack.encode(MembershipChange(LOBBY, user_id, joined))
        self.written.append(news)
        return news

    async def move(self, user_id: UserId, *, joined: bool) -> None:
        """Let a user join or leave, and every node hear it."""
        await self.tell(self.write(user_id, joined=joined))

    async def tell(self, news: bytes) -> None:
        """Let every node hear what is stored."""
        self.nodes["a"].core.stream.append(HomeserverNews(news))
        await self.passes(1)


@pytest.fixture
async def cluster() -> AsyncIterator[OneRoom]:
    """A cluster of one node, on which everybody in the room is online."""
    cluster = OneRoom()
    node = await cluster.start("a")
    await cluster.passes(3)
    for user_id in PEOPLE:
        node.poll(user_id)
    await cluster.passes(1)
    yield cluster
    await cluster.stop()


async def token(node: Node, viewer: UserId) -> StreamPosition:
    """Return the position to which an answer leads that the viewer gets."""
    answer = await node.core.reader.read_since(viewer, node.core.feed.position)
    return answer.position


async def told(node: Node, viewer: UserId, position: StreamPosition) -> dict[str, str]:
    """Return what an answer says of others to a viewer with a token of *position*."""
    answer = await node.core.reader.read_since(viewer, position)
    states = [it.state for it in answer.updates]
    return {it.user_id: it.state for it in states if it.user_id != viewer}


async def test_a_leave_before_the_start(cluster: OneRoom) -> None:
    """A token from before a leave is told of it at a node that starts shortly after it: once, and
    both sides. Who was not in the room at the time of the leave is not named.
    """
    await cluster.move(ALICE, joined=True)
    await cluster.move(BOB, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    await cluster.move(BOB, joined=False)
    await cluster.move(CHARLIE, joined=True)
    node = await cluster.start("b")
    await cluster.passes(3)
    assert await told(node, ALICE, before) == {BOB: "offline", CHARLIE: "online"}
    assert await told(node, BOB, before) == {ALICE: "offline"}
    assert await told(node, ALICE, node.core.feed.position) == {}


async def test_two_leaves_before_the_start(cluster: OneRoom) -> None:
    """Two who have both left are told of each other, in the order of their leaves or not."""
    for user_id in PEOPLE:
        await cluster.move(user_id, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    await cluster.move(ALICE, joined=False)
    await cluster.move(BOB, joined=False)
    node = await cluster.start("b")
    await cluster.passes(3)
    assert await told(node, ALICE, before) == {BOB: "offline", CHARLIE: "offline"}
    assert await told(node, BOB, before) == {ALICE: "offline", CHARLIE: "offline"}
    assert await told(node, CHARLIE, before) == {ALICE: "offline", BOB: "offline"}


async def test_a_crowd_that_has_left(cluster: OneRoom) -> None:
    """Where all members of a large room have left at once before a start, nobody looks whom a
    stranger has seen, nor who has seen a stranger.
    """
    for user_id in (ALICE, BOB):
        await cluster.move(user_id, joined=True)
    strangers = [UserId(f"@u{number}:far.example") for number in range(100)]
    cluster.written = [cluster.write(it, joined=False) for it in (*strangers, ALICE, BOB)]
    with counted_functions("lamplighter/service/endings.py") as calls:
        node = await cluster.start("b")
    assert calls["VisibilityEnds.begin_to_look"] == 1
    assert node.core.ends.of(ALICE, StreamPosition(0)) == {BOB}


async def test_what_two_nodes_have_found_out(cluster: OneRoom) -> None:
    """A join that is told again after a leave counts from where it was told first: its user saw who
    has left since.
    """
    await cluster.passes(120)
    joins = cluster.write(ALICE, joined=True)
    await cluster.tell(joins)
    await cluster.move(BOB, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    for news in (cluster.write(BOB, joined=False), joins):
        cluster.nodes["a"].core.stream.append(HomeserverNews(news))
    await turns_until_idle()  # no node has saved what it ends
    node = await cluster.start("b")
    await cluster.passes(3)
    assert await told(node, ALICE, before) == {BOB: "offline"}


@pytest.mark.parametrize("is_told_before", [True, False], ids=["before", "after"])
async def test_a_join_that_is_told_late(cluster: OneRoom, is_told_before: bool) -> None:
    """A token from between the storing and the telling of a join is told of it at a node that
    starts before the telling, or after it; so is a client that polls there already.
    """
    await cluster.move(ALICE, joined=True)
    stored = cluster.write(BOB, joined=True)
    await cluster.passes(1)
    cluster.nodes["a"].set(CHARLIE, "between")
    await cluster.passes(1)
    between = await token(cluster.nodes["a"], ALICE)
    if is_told_before:
        await cluster.tell(stored)
    node = await cluster.start("b")
    await cluster.passes(1)
    if not is_told_before:
        assert await told(node, ALICE, between) == {}
        await cluster.tell(stored)
    assert await told(node, ALICE, between) == {BOB: "online"}
    assert await told(node, ALICE, node.core.feed.position) == {}


@pytest.mark.parametrize("is_told_before", [True, False], ids=["before", "after"])
async def test_a_token_of_the_record_of_a_join(cluster: OneRoom, is_told_before: bool) -> None:
    """A token that ends with the record of a join, from before its node has told of the join, is
    told of it at a node that starts before the record, or after it.
    """
    await cluster.move(ALICE, joined=True)
    stored = cluster.write(BOB, joined=True)
    await cluster.passes(1)
    if is_told_before:
        await cluster.tell(stored)
        at_join = record_of(cluster.nodes["a"].core.feed.position)
        node = await cluster.start("b")
    else:
        node = await cluster.start("b")
        await cluster.passes(3)
        await cluster.tell(stored)
        at_join = record_of(cluster.nodes["a"].core.feed.position)
    assert await told(node, ALICE, at_join) == {BOB: "online"}
    assert await told(node, ALICE, node.core.feed.position) == {}


@pytest.mark.parametrize("later", [1, 300])
async def test_a_leave_that_is_told_late(cluster: OneRoom, later: int) -> None:
    """A leave that is stored before the start of a node, and told after it, is told to clients,
    also if nothing else was told for a while: a node that was cut off may tell it minutes later.
    """
    await cluster.move(ALICE, joined=True)
    await cluster.move(BOB, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    stored = cluster.write(BOB, joined=False)
    await cluster.passes(80)  # the log reaches back far enough
    node = await cluster.start("b")
    await cluster.passes(later)
    await cluster.tell(stored)
    assert await told(node, ALICE, before) == {BOB: "offline"}


@pytest.mark.parametrize("told_before", [0, 1])
async def test_two_leaves_that_are_told_late(cluster: OneRoom, told_before: int) -> None:
    """If two leave one room before the start of a node, and one or both are told of after it, they
    are told of each other, too: neither was in the room by what the node has read.
    """
    for user_id in (ALICE, BOB, CHARLIE):
        await cluster.move(user_id, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    await cluster.passes(80)  # the log reaches back far enough
    stored = [cluster.write(user_id, joined=False) for user_id in (ALICE, BOB)]
    for news in stored[:told_before]:
        cluster.nodes["a"].core.stream.append(HomeserverNews(news))
    await turns_until_idle()  # no node has saved what it ends
    node = await cluster.start("b")
    await cluster.passes(1)
    for news in stored[told_before:]:
        await cluster.tell(news)
    assert await told(node, ALICE, before) == {BOB: "offline", CHARLIE: "offline"}


async def test_a_leave_that_nobody_has_told(cluster: OneRoom) -> None:
    """If all nodes end before one of them has told a leave that is stored, the node that starts
    next tells clients of it: the database has kept it.
    """
    for user_id in (ALICE, BOB):
        await cluster.move(user_id, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    await cluster.passes(80)  # the log reaches back far enough
    cluster.write(BOB, joined=False)
    cluster.kill("a")
    await cluster.passes(60)
    node = await cluster.start("b")
    await cluster.passes(2)
    assert await told(node, ALICE, before) == {BOB: "offline"}


async def test_a_later_leave_is_told_first(cluster: OneRoom) -> None:
    """If one leaves a room before the start of a node, and another after it, and the later leave is
    told first, they are told of each other: the node has never had both in the room.
    """
    for user_id in (ALICE, BOB, CHARLIE):
        await cluster.move(user_id, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    await cluster.passes(80)  # the log reaches back far enough
    stored = cluster.write(BOB, joined=False)
    node = await cluster.start("b")
    await cluster.passes(1)
    await cluster.move(ALICE, joined=False)
    await cluster.tell(stored)
    assert await told(node, ALICE, before) == {BOB: "offline", CHARLIE: "offline"}


async def test_what_nobody_has_told_since_the_log_was_lost(cluster: OneRoom) -> None:
    """A leave that a node finds in the database when it comes to a log that has lost its data is
    told in this log: a client may come with a token that the log has given before.
    """
    for user_id in (ALICE, BOB):
        await cluster.move(user_id, joined=True)
    a, b = cluster.nodes["a"], await cluster.start("b")
    await cluster.passes(60)
    cluster.server.lose_data()
    b.log.way = Way.CLOSED
    await cluster.passes(6)
    a.set(CHARLIE, "between")
    await cluster.passes(1)
    between = await token(a, ALICE)
    cluster.unheard = [cluster.write(BOB, joined=False)]
    cluster.kill("a")
    b.log.way = Way.OPEN
    await cluster.passes(8)
    assert (await told(b, ALICE, between))[BOB] == "offline"


async def test_what_one_node_heard_when_the_log_was_lost(cluster: OneRoom) -> None:
    """A join that one node found in the database after the log lost its data, and another did not
    find, counts from where it is told: the other has given tokens.
    """
    await cluster.move(ALICE, joined=True)
    a, b = cluster.nodes["a"], await cluster.start("b")
    await cluster.passes(60)
    cluster.server.lose_data()
    a.log.way = Way.CLOSED
    stored = cluster.write(BOB, joined=True)
    cluster.unheard = [stored]
    await cluster.passes(6)
    cluster.unheard = []
    a.log.way = Way.OPEN
    await cluster.passes(2)
    a.set(CHARLIE, "between")
    await cluster.passes(1)
    between = await token(a, ALICE)
    await cluster.tell(stored)
    assert await told(b, ALICE, between) == await told(a, ALICE, between) == {BOB: "online"}


async def test_a_node_that_comes_late_to_a_log_that_was_lost(cluster: OneRoom) -> None:
    """A join that was told while a node was cut off counts there from where it was told, however
    long ago the log lost its data: a token from before it has not heard of it.
    """
    await cluster.move(ALICE, joined=True)
    a, b = cluster.nodes["a"], await cluster.start("b")
    await cluster.passes(60)
    cluster.server.lose_data()
    b.log.way = Way.CLOSED
    await cluster.passes(60)
    a.set(CHARLIE, "between")
    await cluster.passes(1)
    between = await token(a, ALICE)
    stored = cluster.write(BOB, joined=True)
    await cluster.tell(stored)
    cluster.unheard = [stored]
    b.log.way = Way.OPEN
    await cluster.passes(6)
    assert await told(b, ALICE, between) == await told(a, ALICE, between) == {BOB: "online"}


async def test_a_start_after_the_log_was_lost(cluster: OneRoom) -> None:
    """A node that starts shortly after the log has lost its data tells clients of leaves, and of
    joins, that the log told before.
    """
    for user_id in (ALICE, BOB):
        await cluster.move(user_id, joined=True)
    before = await token(cluster.nodes["a"], ALICE)
    await cluster.move(BOB, joined=False)
    await cluster.move(CHARLIE, joined=True)
    cluster.server.lose_data()
    await cluster.passes(6)
    node = await cluster.start("b")
    await cluster.passes(3)
    assert await told(node, ALICE, before) == {BOB: "offline", CHARLIE: "online"}
    assert await told(node, BOB, before) == {ALICE: "offline"}
    assert await told(node, ALICE, node.core.feed.position) == {}


@pytest.mark.parametrize("joined", [True, False], ids=["join", "leave"])
async def test_a_start_before_the_log_was_lost(cluster: OneRoom, joined: bool) -> None:
    """What is stored before the start of a node, and told after it in what the log loses, is told
    to clients there: they come with tokens from before it.
    """
    a = cluster.nodes["a"]
    await cluster.move(ALICE, joined=True)
    if not joined:
        await cluster.move(BOB, joined=True)
    await cluster.passes(120)
    cluster.write(BOB, joined=joined)
    b = await cluster.start("b")
    await cluster.passes(1)
    a.set(CHARLIE, "between")
    await cluster.passes(1)
    before = await token(a, ALICE)
    cluster.server.lose_data()
    await cluster.passes(6)
    assert await told(b, ALICE, before) == {BOB: "online" if joined else "offline"}
