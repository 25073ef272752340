"""Rooms through the API."""

import pytest

from lamplighter.modules.synapse.errors import SynapseError
from lamplighter.modules.synapse.types import EventBase, RoomAlias, RoomID
from lamplighter.ports import Json
from tests.modules.fakes import ROOM, World


def event(event_type: str, state_key: str, content: Json) -> Json:
    """Return a state event."""
    return {"type": event_type, "state_key": state_key, "content": content, "sender": "@a:b.c"}


MEMBER = event("m.room.member", "@alice:example.com", {"membership": "join"})
ALIAS = event("m.room.canonical_alias", "", {"alias": "#hall:example.com"})


@pytest.fixture(autouse=True)
def started(world: World) -> None:
    """Let the server run, with a room."""
    world.directory.state = [MEMBER, ALIAS]


def whole(of: Json) -> EventBase:
    """Return an event as modules get it."""
    return EventBase({**of, "room_id": ROOM})


async def test_room_state(running: World) -> None:
    """A room's state is a dict by (type, state key), and can be filtered."""
    api = running.api()
    member = {("m.room.member", "@alice:example.com"): whole(MEMBER)}
    alias = {("m.room.canonical_alias", ""): whole(ALIAS)}
    assert await api.get_room_state(ROOM) == member | alias
    assert await api.get_room_state(ROOM, [("m.room.member", None)]) == member
    assert await api.get_state_events_in_room(ROOM, [("m.room.canonical_alias", "")]) == [
        whole(ALIAS)
    ]


async def test_event() -> None:
    """An event's fields are attributes and items."""
    member = whole(MEMBER)
    assert (member.type, member.state_key, member.room_id) == (*MEMBER_KEY, ROOM)
    assert (member.membership, member["sender"], member.get("x", 7)) == ("join", "@a:b.c", 7)
    assert member.content == {"membership": "join"}
    assert "sender" in member
    assert member.is_state()


MEMBER_KEY = ("m.room.member", "@alice:example.com")


async def test_malformed_room(world: World) -> None:
    """A malformed room ID is a SynapseError with status 400."""
    with pytest.raises(SynapseError) as raised:
        await world.api().get_room_state("room")
    assert (raised.value.code, raised.value.errcode) == (400, "M_INVALID_PARAM")


async def test_alias(running: World) -> None:
    """An alias has a room, and a room a canonical alias."""
    api = running.api()
    assert await api.lookup_room_alias("#hall:example.com") == (ROOM, ["example.com"])
    found = await api.get_canonical_room_alias(RoomID.from_string(ROOM))
    assert found == RoomAlias("hall", "example.com")


@pytest.mark.parametrize(("alias", "code"), [("#x:example.com", 404), ("hall", 400)])
async def test_alias_of_nothing(running: World, alias: str, code: int) -> None:
    """An unknown alias is a 404, and a malformed one a 400."""
    with pytest.raises(SynapseError) as raised:
        await running.api().lookup_room_alias(alias)
    assert raised.value.code == code
