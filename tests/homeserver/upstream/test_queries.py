"""Queries on their way to the homeserver."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.homeserver.upstream.queries import acts_for, question_of, sync_target

NAMES = st.sampled_from(
    ["since", "timeout", "set_presence", "filter", "full_state", "user_id", "x"]
)


@given(query=st.lists(st.tuples(NAMES, st.text())), since=st.none() | st.text(min_size=1))
def test_all_but_ours_stays(query: list[tuple[str, str]], since: str | None) -> None:
    """The homeserver gets every parameter that is not ours once, in order, with our own behind."""
    target = sync_target(question_of(urlencode(query)), since, timedelta(seconds=2))
    path, _, asked = target.decode().partition("?")
    ours = [("timeout", "2000"), ("set_presence", "offline")]
    ours += [("since", since)] if since is not None else []
    kept = [it for it in query if it[0] not in ("since", "timeout", "set_presence")]
    assert path == "/_matrix/client/v3/sync"
    assert parse_qsl(asked, keep_blank_values=True) == kept + ours


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


def test_names_are_read_as_the_homeserver_reads_them() -> None:
    """A name that is percent-encoded is the same name: nobody sets presence past us with it."""
    assert question_of("%73et_presence=online&set%5Fpresence=online&since=s&a=%20") == "a=%20"
