"""Filters for events, where they are applied outside SQL."""

import pytest

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.sql.filtering import EventFilter
from lamplighter.ports import Json


@pytest.mark.parametrize(
    ("definition", "admitted"),
    [
        ({}, ["m.tag", "m.push.rules", "a\nb"]),
        ({"types": ["m.*"]}, ["m.tag", "m.push.rules"]),
        ({"types": ["m.t?g", "m[.]tag", "m.ta"]}, []),
        ({"types": ["a*b"]}, ["a\nb"]),
        ({"types": []}, []),
        ({"types": [1, "m.tag"]}, ["m.tag"]),
        ({"types": None, "not_types": ["m.*.*"]}, ["m.tag", "a\nb"]),
        ({"types": ["m.tag"], "not_types": ["m.tag"]}, []),
    ],
)
def test_types(definition: Json, admitted: list[str]) -> None:
    """A star stands for anything, every other character for itself; exclusion wins."""
    chosen = EventFilter.of(definition)
    assert [t for t in ("m.tag", "m.push.rules", "a\nb") if chosen.admits_type(t)] == admitted


@pytest.mark.parametrize(
    ("definition", "admitted"),
    [
        ({}, True),
        ({"rooms": ["!a:b"]}, True),
        ({"rooms": []}, False),
        ({"rooms": ["!a:b"], "not_rooms": ["!a:b"]}, False),
    ],
)
def test_rooms(definition: Json, admitted: bool) -> None:
    """A part of a filter may hold for some rooms only."""
    assert EventFilter.of(definition).admits_room("!a:b") is admitted


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a"] * 401, "types has more than 400 entries"),
        (["a*"] * 21, "types has more than 20 names with a wildcard"),
        (["a*b*c*d*"], "types has a name with more than 3 wildcards"),
    ],
)
def test_monstrous_filters(names: list[str], problem: str) -> None:
    """A filter that would be much work for every event is refused by what is too much."""
    with pytest.raises(InvalidParam) as refused:
        EventFilter.of({"types": names})
    assert str(refused.value) == f"filter: {problem}"
