"""Typing notices, across restarts and in bounded memory."""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from lamplighter.clock import next_turn
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ClusterUnavailable
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.typing_notices import TypingNotices
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import RoomId, UserId
from tests.contract.directories import ALICE, BOB, PHONE, on_phone, subject_beside, subject_in
from tests.contract.nodes import Node, NodesOfOne, nodes_on

TEN_SECONDS = timedelta(seconds=10)


async def test_a_restart_ends_typing() -> None:
    """After a restart, a viewer who saw somebody type learns that nobody does."""
    database, clock = open_memory(), FakeClock()
    async with subject_in(database, "alice", "bob", clock=clock) as tested:
        room, quiet = await tested.room(ALICE, BOB), await tested.room(ALICE)
        untold = (await tested.sync(ALICE)).next_batch
        await tested.directory.set_typing(BOB, room, TEN_SECONDS)
        told = (await tested.sync(ALICE)).next_batch
        clock.advance(seconds=1)
        restarted = await subject_beside(database, clock)
        answer = await restarted.sync(ALICE, told)
        events = {it: answer.rooms["join"][it]["ephemeral"]["events"] for it in (room, quiet)}
        nobody = [{"type": "m.typing", "content": {"user_ids": []}}]
        assert events == {room: nobody, quiet: nobody}
        assert restarted.directory.rooms_are_quiet(ALICE, untold)
        assert restarted.directory.rooms_are_quiet(ALICE, answer.next_batch)


async def test_rooms_are_forgotten() -> None:
    """Of many rooms the one that changed longest ago is forgotten; then any may have changed."""
    database, clock = open_memory(), FakeClock()
    async with subject_in(database, "alice", clock=clock) as tested:
        rooms = [await tested.room(ALICE) for _ in range(3)]
        ledger = Ledger(database, clock)
        await ledger.start()
        ledger.members.begin(await tested.directory.members())
        typing = TypingNotices(ledger, clock, most_rooms=2)
        serials = []
        for room in rooms:
            await typing.set_typing(ALICE, room, TEN_SECONDS)
            serials.append(ledger.stream.typing_told(ALICE) or 0)
        assert [typing.in_room(room) for room in rooms] == [[], [ALICE], [ALICE]]
        assert typing.changed_since(serials[0] - 1) is None
        assert typing.changed_since(serials[0]) == [rooms[2], rooms[1]]
        assert typing.changed_since(serials[2]) == []


@pytest.fixture
def database() -> Database:
    """The database of all nodes."""
    return open_memory()


@pytest.fixture
async def cluster(database: Database) -> AsyncIterator[NodesOfOne]:
    """Two nodes at which alice and bob live."""
    async with nodes_on([database, database], FakeClock()) as cluster:
        for name in ("alice", "bob"):
            await cluster.nodes[0].directory.register(name, None, device_id=PHONE)
        yield cluster


@pytest.fixture
async def room(cluster: NodesOfOne) -> RoomId:
    """A room of alice and bob."""
    room_id = await cluster.nodes[0].directory.create_room(ALICE, NewRoom("public_chat"))
    await cluster.nodes[1].directory.join(BOB, room_id)
    for node in cluster.nodes:
        node.recorder.forget()
    return room_id


async def woken(node: Node) -> None:
    """Return once the node has woken the members, which it reads first."""
    while {ALICE, BOB} not in node.recorder.news:
        await next_turn()


async def typists(node: Node, room: RoomId, since: str) -> tuple[list[UserId] | None, str]:
    """Return who types in the room, if alice is told so, and alice's next token."""
    alice = on_phone(ALICE)
    if node.directory.rooms_are_quiet(ALICE, since):
        return None, since
    answer = await node.directory.sync_rooms(alice, since, RoomFilter(), full_state=False)
    rooms = msgspec.json.decode(bytes(answer.body)).get("rooms", {}).get("join", {})
    events = rooms.get(room, {}).get("ephemeral", {}).get("events", [])
    told = [it["content"]["user_ids"] for it in events if it["type"] == "m.typing"]
    return (told[0] if told else None), answer.next_batch


async def first_token(node: Node) -> str:
    """Return alice's token after a first sync."""
    alice = on_phone(ALICE)
    return (await node.directory.sync_rooms(alice, None, RoomFilter(), full_state=False)).next_batch


async def test_typing_at_another_node(cluster: NodesOfOne, room: RoomId) -> None:
    """Every node tells of typing at any node; whom one node has told, no other tells again."""
    here, there = cluster.nodes
    since = await first_token(here)
    await there.directory.set_typing(BOB, room, TEN_SECONDS)
    await woken(here)
    told, since = await typists(here, room, since)
    assert told == [BOB]
    assert await typists(there, room, since) == (None, since)
    await here.directory.set_typing(BOB, room, None)
    told, since = await typists(there, room, since)
    assert told == []
    assert await typists(here, room, since) == (None, since)


async def test_a_token_that_is_ahead_of_a_node(cluster: NodesOfOne, room: RoomId) -> None:
    """A node behind a token of another node does not tell what the token knows, then or later."""
    here, there = cluster.nodes
    since = await first_token(here)
    here.is_held = True
    await there.directory.set_typing(BOB, room, TEN_SECONDS)
    told, since = await typists(there, room, since)
    assert told == [BOB]
    assert await typists(here, room, since) == (None, since)
    cluster.release()
    await turns_until_idle()
    assert await typists(here, room, since) == (None, since)


async def test_a_node_that_hears_late(cluster: NodesOfOne, room: RoomId) -> None:
    """A token of a node that hears late is not ahead of what other nodes tell afterwards."""
    late, other = cluster.nodes
    since = await first_token(late)
    late.is_held = True
    await other.directory.set_typing(BOB, room, TEN_SECONDS)
    await other.directory.set_typing(BOB, room, None)
    cluster.clock.advance(seconds=5)
    cluster.release()
    await woken(late)
    told, since = await typists(late, room, since)
    assert told == []
    await other.directory.set_typing(ALICE, room, TEN_SECONDS)
    assert (await typists(other, room, since))[0] == [ALICE]


async def test_a_notice_ends_everywhere(cluster: NodesOfOne, room: RoomId) -> None:
    """A notice whose time is over ends at every node, but not if its user has typed since."""
    here, there = cluster.nodes
    since = await first_token(here)
    await there.directory.set_typing(BOB, room, TEN_SECONDS)
    await woken(here)
    cluster.clock.advance(seconds=6)
    await there.directory.set_typing(BOB, room, TEN_SECONDS)
    cluster.clock.advance(seconds=6)
    await turns_until_idle()
    told, since = await typists(here, room, since)
    assert told == [BOB]
    cluster.clock.advance(seconds=4)
    await turns_until_idle()
    told, since = await typists(here, room, since)
    assert told == []
    assert await typists(there, room, since) == (None, since)


async def test_the_node_of_somebody_who_types_dies(cluster: NodesOfOne, room: RoomId) -> None:
    """If the node of its user cannot tell that a notice is over, another does 5 seconds later."""
    here, dead = cluster.nodes
    since = await first_token(here)
    await dead.directory.set_typing(BOB, room, TEN_SECONDS)
    dead.is_cut = dead.is_held = True
    await woken(here)
    told, since = await typists(here, room, since)
    cluster.clock.advance(seconds=14)
    await turns_until_idle()
    assert await typists(here, room, since) == (None, since)
    cluster.clock.advance(seconds=1)
    await turns_until_idle()
    assert (told, (await typists(here, room, since))[0]) == ([BOB], [])


async def test_a_node_that_starts_later(
    cluster: NodesOfOne, room: RoomId, database: Database
) -> None:
    """A node that was not there when a notice began tells of its end; from before, it tells that it
    knows of nobody.
    """
    here, there = cluster.nodes
    since = await first_token(here)
    await there.directory.set_typing(ALICE, room, TEN_SECONDS)
    await woken(here)
    told, before = await typists(here, room, since)
    await there.directory.set_typing(BOB, room, TEN_SECONDS)
    told, since = await typists(here, room, before)
    assert told == [ALICE, BOB]
    late = await cluster.one_more(database)
    assert await typists(late, room, since) == (None, since)
    assert (await typists(late, room, before))[0] == []
    cluster.clock.advance(seconds=10)
    await woken(late)
    assert (await typists(late, room, since))[0] == []
    assert (await typists(there, room, since))[0] == []


async def test_typing_at_a_node_cut_off(cluster: NodesOfOne, room: RoomId) -> None:
    """Typing that the other nodes cannot be told of is refused, and shown nowhere."""
    here, cut = cluster.nodes
    since = await first_token(here)
    cut.is_cut = True
    with pytest.raises(ClusterUnavailable):
        await cut.directory.set_typing(BOB, room, TEN_SECONDS)
    assert [await typists(it, room, since) for it in cluster.nodes] == [(None, since)] * 2
