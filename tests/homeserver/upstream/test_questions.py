"""What the homeserver is asked in a client's name."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.homeserver.upstream.questions import SlidingSyncRequest, question_of
from lamplighter.ports import SyncRequest

OURS = ("since", "timeout", "set_presence")
OURS_SLIDING = ("pos", "timeout", "set_presence")
NAMES = st.sampled_from([*OURS, "pos", "filter", "full_state", "user_id", "x"])
QUERIES = st.lists(st.tuples(NAMES, st.text()))
TOKENS = st.none() | st.text(min_size=1)
TIMEOUT = timedelta(seconds=2)
TOKEN = b"secret"


def ours(name: str, since: str | None) -> list[tuple[str, str]]:
    """Return what the homeserver gets anew."""
    found = [("timeout", "2000"), ("set_presence", "offline")]
    return found if since is None else [*found, (name, since)]


@given(query=QUERIES, since=TOKENS)
def test_all_but_ours_stays(query: list[tuple[str, str]], since: str | None) -> None:
    """The homeserver gets every parameter that is not ours once, in order, with our own behind."""
    asked = question_of(SyncRequest(urlencode(query)), TOKEN).request(since, TIMEOUT)
    path, _, sent = asked.target.decode().partition("?")
    kept = [it for it in query if it[0] not in OURS]
    assert (asked.method, path, asked.body) == ("GET", "/_matrix/client/v3/sync", b"")
    assert parse_qsl(sent, keep_blank_values=True) == kept + ours("since", since)


@given(query=QUERIES, pos=TOKENS, body=st.binary())
def test_parameters_in_the_query(
    query: list[tuple[str, str]], pos: str | None, body: bytes
) -> None:
    """A sliding sync of that kind has its body unchanged, and the path that it came to."""
    request = SlidingSyncRequest(urlencode(query), path="/sync", body=body)
    asked = question_of(request, TOKEN).request(pos, TIMEOUT)
    path, _, sent = asked.target.decode().partition("?")
    kept = [it for it in query if it[0] not in OURS_SLIDING]
    assert (asked.method, path, asked.body) == ("POST", "/sync", body)
    assert parse_qsl(sent, keep_blank_values=True) == kept + ours("pos", pos)


@given(pos=TOKENS, others=st.dictionaries(st.sampled_from(["lists", "conn_id"]), st.text()))
def test_parameters_in_the_body(pos: str | None, others: Mapping[str, str]) -> None:
    """The other members of the body stay, and ours stand before them."""
    request = SlidingSyncRequest(
        path="/v4", body=msgspec.json.encode(others), has_parameters_in_body=True
    )
    asked = question_of(request, TOKEN).request(pos, TIMEOUT)
    expected = {"timeout": 2000, "set_presence": "offline", **others}
    if pos is not None:
        expected["pos"] = pos
    assert (asked.method, asked.target) == ("POST", b"/v4")
    assert msgspec.json.decode(asked.body) == expected


def test_names_are_read_as_the_homeserver_reads_them() -> None:
    """A name that is percent-encoded is the same name: nobody sets presence past us with it."""
    query = "%73et_presence=online&set%5Fpresence=online&since=s&a=%20"
    assert question_of(SyncRequest(query), TOKEN).query == "a=%20"
