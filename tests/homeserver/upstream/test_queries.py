"""Queries on their way to the homeserver."""

import pytest

from lamplighter.homeserver.upstream.queries import acts_for, with_their_tokens


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("since=s1&timeout=5", ""),
        ("user_id=@a:b&since=s", "user_id=%40a%3Ab"),
        ("user_id=%40a%3Ab", "user_id=%40a%3Ab"),
        ("device_id=X&user_id=@a:b", "device_id=X&user_id=%40a%3Ab"),
        ("filter=user_id%3D", ""),
        ("x=1;user_id=@a:b", None),
    ],
)
def test_whom_a_service_acts_for(query: str, expected: str | None) -> None:
    """The user and the device that a query names are part of who asks, however they are encoded."""
    assert acts_for(query) == expected


OURS = "1795959981163-0-8147ffa4"
#: The same of one node of many, and of one that has still to tell something.
OF_NODE = "1795959981163-0-1a2b-8147ffa4"
UNSETTLED = "1795959981163-0-1a2b-1795959981162-0-8147ffa4"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"at=s1~2.3~{OURS}&membership=join", "at=s1~2.3&membership=join"),
        (f"from=s1%7E{OURS}&to=s2%7e{OURS}", "from=s1&to=s2"),
        (f"a=1&since=s1~{OURS}", "a=1&since=s1"),
        (f"at=s1~2.3~{OF_NODE}&from=s1%7E{UNSETTLED}", "at=s1~2.3&from=s1"),
        ("at=s1~2.3&from=t5-6_0_0", "at=s1~2.3&from=t5-6_0_0"),
        (f"text=s1~{OURS}&at=%20+~{OURS}x", f"text=s1~{OURS}&at=%20+~{OURS}x"),
        (f"at=~{OURS}", f"at=~{OURS}"),
    ],
)
def test_since_tokens_elsewhere(query: str, expected: str) -> None:
    """Our part is cut off where the specification takes a since token; all else stays."""
    assert with_their_tokens(b"/_matrix/client/v3/a", query.encode()) == expected.encode()
