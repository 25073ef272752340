"""Queries on their way to the homeserver."""

import pytest

from lamplighter.homeserver.upstream.queries import acts_for


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("since=s1&timeout=5", ""),
        ("user_id=@a:b&since=s", "user_id=%40a%3Ab"),
        ("user_id=%40a%3Ab", "user_id=%40a%3Ab"),
        ("device_id=X&user_id=@a:b", "device_id=X&user_id=%40a%3Ab"),
        ("filter=user_id%3D", ""),
    ],
)
def test_whom_a_service_acts_for(query: str, expected: str) -> None:
    """The user and the device that a query names are part of who asks, however they are encoded."""
    assert acts_for(query) == expected
