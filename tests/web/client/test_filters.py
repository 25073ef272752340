"""What a client's filter means."""

from typing import Any

import pytest

from lamplighter.errors import BadJson, InvalidParam, LamplighterError, NotJson
from lamplighter.ports import Json, RoomFilter
from lamplighter.web.client.filters import (
    EVERYTHING,
    ClientFilter,
    PresenceFilter,
    parse_filter,
    read_inline,
)


def presence(**fields: Any) -> PresenceFilter:
    """Return the presence part of a filter with these *fields*."""
    return parse_filter({"presence": fields}).presence


def test_the_empty_filter_admits_everything() -> None:
    """A filter that says nothing is the one of a client that sends none."""
    assert parse_filter({}) == EVERYTHING == ClientFilter(RoomFilter(), PresenceFilter())
    assert EVERYTHING.presence.admits("@alice:demo")


@pytest.mark.parametrize(
    ("types", "not_types", "wanted"),
    [
        (None, None, True),
        (None, [], True),
        ([], None, False),
        (["m.presence"], None, True),
        (["m.typing"], None, False),
        (["m.typing", "m.*"], None, True),
        (["*"], None, True),
        (["m.pres*nce"], None, True),
        (["m.presence*"], None, True),
        (["*.*"], None, True),
        (["m.presence.*"], None, False),
        (["m.p*presence"], None, False),
        (["*presence*presence"], None, False),
        (["M.PRESENCE"], None, False),
        (["m?presence"], None, False),
        (None, ["m.presence"], False),
        (None, ["m.*"], False),
        (None, ["m.typing"], True),
        (["m.presence"], ["m.presence"], False),
        (["*" * 60 + "x"], None, False),
    ],
)
def test_types_admit_presence_or_not(
    types: list[str] | None, not_types: list[str] | None, wanted: bool
) -> None:
    """`types` admits and `not_types` excludes, `*` stands for anything, and excluding wins."""
    found = presence(types=types, not_types=not_types)
    assert found == PresenceFilter(wanted=wanted)
    assert found.admits("@alice:demo") is wanted


@pytest.mark.parametrize(
    ("senders", "not_senders", "admitted"),
    [
        (None, None, {"@a:x", "@b:x"}),
        (["@a:x"], None, {"@a:x"}),
        ([], None, set()),
        (None, ["@a:x"], {"@b:x"}),
        (["@a:x", "@b:x"], ["@a:x"], {"@b:x"}),
    ],
)
def test_senders_are_admitted_or_not(
    senders: list[str] | None, not_senders: list[str] | None, admitted: set[str]
) -> None:
    """`senders` admits, an empty list nobody; `not_senders` excludes, and excluding wins."""
    found = presence(senders=senders, not_senders=not_senders)
    assert {user for user in ("@a:x", "@b:x") if found.admits(user)} == admitted


def test_the_limit_is_kept() -> None:
    """`limit` says how many at once; zero is a limit too."""
    assert presence(limit=7) == PresenceFilter(limit=7)
    assert presence(limit=0) == PresenceFilter(limit=0)


def test_the_rooms_half_is_handed_on() -> None:
    """Rooms, limits and the filters of events reach the directory as they are."""
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
    assert parse_filter(definition).rooms == RoomFilter(
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
    assert parse_filter(definition).rooms.timeline_limit == got


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ({"presence": 1}, "presence: expected object, got int"),
        ({"presence": {"limit": "5"}}, "presence.limit: expected int | null, got str"),
        ({"presence": {"limit": -1}}, "presence.limit: expected int >= 0"),
        ({"presence": {"types": [1]}}, "presence.types[0]: expected str, got int"),
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
    """A known field of another type is M_BAD_JSON, by the field's name."""
    with pytest.raises(BadJson) as refused:
        parse_filter(definition)
    assert str(refused.value) == error


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({"presence": {"senders": ["bob"]}}, "presence.senders"),
        ({"presence": {"not_senders": ["@bob"]}}, "presence.not_senders"),
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", EVERYTHING),
        ('{"presence": {"limit": 2}}', ClientFilter(presence=PresenceFilter(limit=2))),
    ],
)
def test_a_filter_in_the_query(text: str, found: ClientFilter) -> None:
    """A filter may stand in the query as JSON."""
    assert read_inline(text) == found


def test_the_same_filter_is_read_once() -> None:
    """The JSON of a usual length is read once for all who send it, one that is longer each time."""
    usual, long = (f'{{"presence":{{"types":["{"a" * length}"]}}}}' for length in (2_000, 3_000))
    assert read_inline(usual) is read_inline(usual)
    assert read_inline(long) is not read_inline(long)


@pytest.mark.parametrize(
    ("text", "kind", "error"),
    [
        ("{", NotJson, "filter: not JSON"),
        ("{\ufffd}", NotJson, "filter: not JSON"),
        ('{"presence": 1}', BadJson, "presence: expected object, got int"),
        ('{"a":' * 200 + "1" + "}" * 200, BadJson, "filter: nested too deeply"),
    ],
)
def test_a_filter_that_is_none_is_refused(
    text: str, kind: type[LamplighterError], error: str
) -> None:
    """What is no JSON is M_NOT_JSON, and what has a wrong shape M_BAD_JSON."""
    with pytest.raises(kind) as refused:
        read_inline(text)
    assert str(refused.value) == error
