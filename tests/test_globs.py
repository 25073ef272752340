"""Names with wildcards."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.globs import Globs, matches


@pytest.mark.parametrize(
    ("pattern", "text", "is_it"),
    [
        ("m.tag", "m.tag", True),
        ("m.*", "m.", True),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*b*c", "a b b c", True),
        ("a*b", "a\nb", True),
        ("m.?ag", "m.tag", False),
        ("*b*ab", "ab", False),
    ],
)
def test_wildcards(pattern: str, text: str, is_it: bool) -> None:
    """A star matches any text, also none; every other character matches itself."""
    assert matches(pattern, text) is is_it


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_any_pattern(pattern: str, text: str) -> None:
    """A pattern matches what the regular expression with `.*` in place of each star matches."""
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, text) is (re.fullmatch(expression, text) is not None)


def test_a_pattern_that_tries_everything() -> None:
    """A pattern with many stars takes linear time."""
    assert not matches("*a" * 100 + "*b", "a" * 10_000)


def test_lists() -> None:
    """A list matches what one of its names matches; an empty list matches nothing."""
    globs = Globs(["m.tag", "org.*"])
    assert [globs.match(it) for it in ("m.tag", "m.tags", "org.x")] == [True, False, True]
    assert not Globs([]).match("")
