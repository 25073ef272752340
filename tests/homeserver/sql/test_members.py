"""Who has news where something happens in a room."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.clock import Timestamp
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql.members import RoomMembers
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import JoinedMember, MembershipChange
from tests.contract.directories import ALICE, BOB, PHONE, SERVER, on_phone
from tests.contract.nodes import NodesOfOne, nodes_on

ROOM, OTHER = RoomId("!room"), RoomId("!other")
MANY = [UserId(f"@user{number}:{SERVER}") for number in range(50)]


def joins(room_id: RoomId, user_id: UserId) -> MembershipChange:
    """Return the join of a user."""
    return MembershipChange(room_id, user_id, joined=True)


def leaves(room_id: RoomId, user_id: UserId) -> MembershipChange:
    """Return the leave of a user."""
    return MembershipChange(room_id, user_id, joined=False)


def test_members() -> None:
    """The members are those who were read and those who have joined, but for those who have left;
    what is heard again changes nothing.
    """
    members = RoomMembers()
    members.begin([JoinedMember(ROOM, ALICE, Timestamp(1))])
    changes = [joins(ROOM, BOB), joins(OTHER, BOB), leaves(ROOM, ALICE), leaves(OTHER, BOB)]
    for _ in range(2):
        members.changed(changes)
        assert (set(members.of(ROOM)), set(members.of(OTHER))) == ({BOB}, set())
    assert members.among(frozenset({ALICE}), (ROOM, OTHER)) == {ALICE, BOB}


@pytest.fixture
def database() -> Database:
    """The database of all nodes."""
    return open_memory()


@pytest.fixture
async def cluster(database: Database) -> AsyncIterator[NodesOfOne]:
    """Two nodes, at which 50 users and alice live."""
    async with nodes_on([database, database], FakeClock()) as cluster:
        for user_id in (ALICE, *MANY):
            name = user_id[1:].partition(":")[0]
            await cluster.nodes[0].directory.register(name, None, device_id=PHONE)
        yield cluster


async def say(cluster: NodesOfOne, room_id: RoomId, transaction: str) -> bytes:
    """Let alice write; return what her node tells."""
    for node in cluster.nodes:
        node.recorder.forget()
    here, text = cluster.nodes[0].directory, {"body": "hi", "msgtype": "m.text"}
    await here.send_event(on_phone(ALICE), room_id, "m.room.message", text, transaction)
    return cluster.news.told[-1][1]


async def test_news_of_a_room(cluster: NodesOfOne, database: Database) -> None:
    """Every node wakes all members, one that has started since they joined, too; what is told does
    not grow with the room.
    """
    here = cluster.nodes[0].directory
    room_id = await here.create_room(ALICE, NewRoom("public_chat"))
    told = await say(cluster, room_id, "1")
    for user_id in MANY:
        await here.join(user_id, room_id)
    late = await cluster.one_more(database)
    again = await say(cluster, room_id, "2")
    assert len(again) == len(told)
    assert [node.recorder.news for node in cluster.nodes] == [[{ALICE, *MANY}]] * 3
    await here.leave(MANY[0], room_id)
    await say(cluster, room_id, "3")
    assert late.recorder.news == [{ALICE, *MANY[1:]}]
