"""The operator's lists of servers."""

import pytest

from lamplighter.federation.policy import ServerPolicy
from lamplighter.ids import ServerName


@pytest.mark.parametrize("server", ["a.example", "a.example:8448", "[::1]:8448", "1.2.3.4"])
def test_without_rules(server: str) -> None:
    """Without lists every server is admitted; with an empty `allow`, none."""
    name = ServerName(server)
    assert (ServerPolicy().admits(name), ServerPolicy([]).admits(name)) == (True, False)


@pytest.mark.parametrize(
    ("pattern", "server", "matches"),
    [
        ("a.example", "a.example", True),
        ("a.example", "A.Example", True),
        ("A.Example", "a.example", True),
        ("a.example", "a.example.", True),
        ("a.example", "a.example.:8448", True),
        ("a.example", "a.example:8448", True),
        ("a.example", "b.a.example", False),
        ("a.example", "aaexample", False),
        ("a.example", "a.example.org", False),
        ("a.example:8448", "a.example:8448", True),
        ("a.example:8448", "a.example.:8448", True),
        ("a.example:8448", "a.example", False),
        ("a.example:8448", "a.example:8449", False),
        ("*.example", "a.example", True),
        ("*.example", "b.a.example:1", True),
        ("*.example", "example", False),
        ("*.example", "badexample", False),
        ("?.example", "a.example", True),
        ("?.example", "ab.example", False),
        ("*", "a.example:1", True),
        ("[::1]", "[::1]", True),
        ("[::1]", "[::1]:8448", True),
        ("[::1]:8448", "[::1]", False),
        ("10.*", "10.0.0.1:8448", True),
        ("", "a.example", False),
    ],
)
def test_patterns(pattern: str, server: str, matches: bool) -> None:
    """A pattern in `allow` admits what it matches, and in `deny` refuses it."""
    name = ServerName(server)
    admitted = (
        ServerPolicy(allow=[pattern]).admits(name),
        ServerPolicy(deny=[pattern]).admits(name),
    )
    assert admitted == (matches, not matches)


@pytest.mark.parametrize(
    ("server", "admitted"),
    [("a.example", True), ("bad.example", False), ("other", True), ("elsewhere", False)],
)
def test_both_lists(server: str, admitted: bool) -> None:
    """`deny` has priority over `allow`, and each name of a list counts."""
    policy = ServerPolicy(allow=["other", "*.example"], deny=["x", "bad.example"])
    assert policy.admits(ServerName(server)) is admitted
