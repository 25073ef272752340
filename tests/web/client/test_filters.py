"""What a client's filter says of presence."""

import re
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
        (["M.PRESENCE"], None, False),
        (None, ["m.presence"], False),
        (None, ["m.*"], False),
        (None, ["m.typing"], True),
        (["m.presence"], ["m.presence"], False),
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
    """`senders` admits, an empty list no one; `not_senders` excludes, and excluding wins."""
    found = presence(senders=senders, not_senders=not_senders)
    assert {user for user in ("@a:x", "@b:x") if found.admits(user)} == admitted


def test_the_limit_is_kept() -> None:
    """`limit` says how many at once; zero is a limit too."""
    assert presence(limit=7) == PresenceFilter(limit=7)
    assert presence(limit=0) == PresenceFilter(limit=0)


@pytest.mark.parametrize(
    ("definition", "kind", "error"),
    [
        ({"presence": 1}, BadJson, "presence: expected object, got int"),
        ({"presence": {"limit": "5"}}, BadJson, "presence.limit: expected int | null, got str"),
        ({"presence": {"limit": -1}}, BadJson, "presence.limit: expected int >= 0"),
        ({"presence": {"types": [1]}}, BadJson, "presence.types[0]: expected str, got int"),
        ({"presence": {"senders": ["bob"]}}, InvalidParam, "presence.senders: 'bob' is not a"),
        ({"presence": {"not_senders": ["@b"]}}, InvalidParam, "presence.not_senders: '@b' is not"),
    ],
)
def test_an_error_names_the_field(
    definition: Json, kind: type[LamplighterError], error: str
) -> None:
    """A wrong type is M_BAD_JSON, a malformed user ID M_INVALID_PARAM, by the field's name."""
    with pytest.raises(kind, match=f"^{re.escape(error)}"):
        presence_filter(definition)


def test_the_same_filter_is_read_once() -> None:
    """A filter in the query of a usual length is read once; one that is longer each time."""
    usual, long = (f'{{"presence":{{"types":["{"a" * length}"]}}}}' for length in (4_000, 5_000))
    assert read_inline('{"presence": {"limit": 2}}') == PresenceFilter(limit=2)
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
