"""What a client's filter says of presence."""

from typing import Any

import pytest

from lamplighter.errors import BadJson, InvalidParam, LamplighterError, NotJson
from lamplighter.ports import Json
from lamplighter.web.client.filters import (
    ALL_PRESENCE,
    PresenceFilter,
    presence_filter,
    read_inline,
)


def presence(**fields: Any) -> PresenceFilter:
    """Return the presence part of a filter with these *fields*."""
    return presence_filter({"presence": fields})


def test_the_empty_filter_admits_everything() -> None:
    """A filter that says nothing is the one of a client that sends none."""
    assert presence_filter({"room": 1}) is ALL_PRESENCE
    assert ALL_PRESENCE.admits("@alice:demo")


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


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ({"presence": 1}, "presence: expected object, got int"),
        ({"presence": {"limit": "5"}}, "presence.limit: expected int | null, got str"),
        ({"presence": {"limit": -1}}, "presence.limit: expected int >= 0"),
        ({"presence": {"types": [1]}}, "presence.types[0]: expected str, got int"),
    ],
)
def test_a_wrong_type_names_the_field(definition: Json, error: str) -> None:
    """A known field of another type is M_BAD_JSON, by the field's name."""
    with pytest.raises(BadJson) as refused:
        presence_filter(definition)
    assert str(refused.value) == error


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({"presence": {"senders": ["bob"]}}, "presence.senders"),
        ({"presence": {"not_senders": ["@bob"]}}, "presence.not_senders"),
    ],
)
def test_a_malformed_id_names_the_field(definition: Json, field: str) -> None:
    """A user ID that is none is M_INVALID_PARAM, by the field's name."""
    with pytest.raises(InvalidParam, match=f"^{field}: '.*' is not a"):
        presence_filter(definition)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", ALL_PRESENCE),
        ('{"presence": {"limit": 2}}', PresenceFilter(limit=2)),
    ],
)
def test_a_filter_in_the_query(text: str, found: PresenceFilter) -> None:
    """A filter may stand in the query as JSON."""
    assert read_inline(text) == found


def test_the_same_filter_is_read_once() -> None:
    """The JSON of a usual length is read once for all who send it, one that is longer each time."""
    usual, long = (f'{{"presence":{{"types":["{"a" * length}"]}}}}' for length in (4_000, 5_000))
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
