"""The part of a client's filter about rooms and account data."""

import pytest

from lamplighter.errors import BadJson, InvalidParam
from lamplighter.homeserver.filters import parse_filter, read_inline_filter
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.ports import Json


def test_the_empty_filter_admits_everything() -> None:
    """A filter that says nothing is the one of a client that sends none."""
    assert parse_filter({}) == read_inline_filter("{}") == RoomFilter()


def test_the_rooms_half_is_handed_on() -> None:
    """Rooms, limits and the filters of events reach the directory as the client sent them."""
    timeline = {"limit": 3, "types": ["m.room.message"], "org.example": 1}
    definition: Json = {
        "account_data": {"types": ["m.direct"]},
        "room": {
            "rooms": ["!a:x"],
            "not_rooms": ["!b:x"],
            "include_leave": True,
            "timeline": timeline,
            "state": {"lazy_load_members": True},
            "account_data": {"not_types": ["m.tag"]},
        },
    }
    assert parse_filter(definition) == RoomFilter(
        timeline_limit=3,
        rooms=frozenset({"!a:x"}),
        not_rooms=frozenset({"!b:x"}),
        include_leave=True,
        timeline=timeline,
        state={"lazy_load_members": True},
        account_data={"types": ["m.direct"]},
        room_account_data={"not_types": ["m.tag"]},
    )


@pytest.mark.parametrize(("limit", "got"), [(0, 0), (100, 100), (101, 100), (10**40, 100)])
def test_a_timeline_has_a_limit(limit: int, got: int) -> None:
    """Nobody gets more than 100 events of a timeline at once."""
    definition: Json = {"room": {"timeline": {"limit": limit}}}
    assert parse_filter(definition).timeline_limit == got


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ({"presence": 1}, "presence: expected object, got int"),
        ({"event_fields": "a"}, "event_fields: expected array | null, got str"),
        ({"event_format": "odd"}, "event_format: invalid enum value 'odd'"),
        ({"room": {"include_leave": 1}}, "room.include_leave: expected bool, got int"),
        (
            {"room": {"state": {"lazy_load_members": "yes"}}},
            "room.state.lazy_load_members: expected bool, got str",
        ),
        ({"room": {"ephemeral": []}}, "room.ephemeral: expected object, got array"),
    ],
)
def test_a_wrong_type_names_the_field(definition: Json, error: str) -> None:
    """A known field of another type, of whichever part, is M_BAD_JSON, by the field's name."""
    with pytest.raises(BadJson) as refused:
        parse_filter(definition)
    assert str(refused.value) == error


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({"presence": {"senders": ["bob"]}}, "presence.senders"),
        ({"account_data": {"senders": [""]}}, "account_data.senders"),
        ({"room": {"rooms": ["a"]}}, "room.rooms"),
        ({"room": {"not_rooms": ["#a:b"]}}, "room.not_rooms"),
        ({"room": {"timeline": {"senders": ["bob"]}}}, "room.timeline.senders"),
        ({"room": {"state": {"rooms": ["a"]}}}, "room.state.rooms"),
        ({"room": {"ephemeral": {"not_rooms": ["a"]}}}, "room.ephemeral.not_rooms"),
    ],
)
def test_a_malformed_id_names_the_field(definition: Json, field: str) -> None:
    """A user or room ID that is none is M_INVALID_PARAM, by the field's name."""
    with pytest.raises(InvalidParam, match=f"^{field}: '.*' is not a"):
        parse_filter(definition)
