"""Answers to `/sync`, cut open at the top level."""

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.homeserver.upstream.sync_answer import (
    RoomsHalfAnswer,
    RoomsOfAnswer,
    SlidingRoomsAnswer,
    read_sliding_answer,
    read_sync_answer,
)
from lamplighter.ids import RoomId
from lamplighter.pieces import PORTION, Pieces

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(members=st.dictionaries(st.text(), JSON), next_batch=st.text())
def test_all_members_stay(members: dict[str, object], next_batch: str) -> None:
    """Whatever an answer holds is in the body, but for its token and presence of the homeserver."""
    body = msgspec.json.encode({**members, "next_batch": next_batch, "presence": {"events": []}})
    found = read_sync_answer(body)
    expected = {key: it for key, it in members.items() if key not in ("next_batch", "presence")}
    shown = msgspec.json.decode(bytes(found.answer.body))
    assert (found.answer.next_batch, shown) == (next_batch, expected)


def test_members_stay_as_they_are_written() -> None:
    """Spaces, escapes, the order and large numbers are the homeserver's."""
    body = b'{ "b" : {"n": 1e400, "u":"\\u00e4"} ,"next_batch":"s1", "a":[1,  2] }'
    found = read_sync_answer(body)
    assert found.answer.body == b'{"b":{"n": 1e400, "u":"\\u00e4"},"a":[1,  2]}'


COUNTS = b'"device_one_time_keys_count":{"signed_curve25519":50}'


@pytest.mark.parametrize(
    ("members", "is_empty"),
    [
        (b"", True),
        (COUNTS, True),
        (b'"rooms":{"join":{},"invite":{},"leave":{}}', True),
        (b'"account_data":{"events":[]},"to_device":{"events":[]}', True),
        (b'"device_lists":{"changed":[],"left":[]}', True),
        (b'"rooms":{"leave":{"!a:b":{}}}', False),
        (b'"to_device":{"events":[{}]}', False),
        (b'"device_lists":{"changed":["@a:b"],"left":[]}', False),
        (b'"unknown":0', False),
    ],
)
def test_what_is_empty(members: bytes, is_empty: bool) -> None:
    """An answer with nothing but counts of keys, and empty objects and lists, is empty."""
    comma = b"," if members else b""
    assert read_sync_answer(b'{"next_batch":"s1"' + comma + members + b"}").is_empty is is_empty


def test_counts() -> None:
    """The counts of keys are there to be compared with those of the answer before."""
    types = b'"device_unused_fallback_key_types":["a"]'
    found = read_sync_answer(b'{"next_batch":"s1",' + COUNTS + b"," + types + b"}")
    assert found.counts == b'{"signed_curve25519":50},["a"]'


def test_a_large_answer_is_not_copied() -> None:
    """The members of a large answer are written in pieces while it is sent. Until then there is
    the answer alone, and what is written is as if it were small.
    """
    small = {"a": "x" * 9, "next_batch": "s1", "rooms": {"join": {"!a:b": "y" * 9}}}
    large = {"a": "x" * 9, "next_batch": "s1", "rooms": {"join": {"!a:b": "y" * 5_000_000}}}
    body = msgspec.json.encode(large)
    tracemalloc.start()
    found = read_sync_answer(body, is_first=True).answer.body
    longest = max(map(len, found))  # type: ignore[arg-type]  # pieces
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, Pieces)
    assert longest <= 4 * PORTION
    assert peak < 16 * PORTION
    written = read_sync_answer(msgspec.json.encode(small), is_first=True).answer.body
    assert bytes(found) == bytes(written).replace(b"y" * 9, b"y" * 5_000_000)


def room(timeline: list[str], *, limited: bool = False, state: list[str] | None = None) -> object:
    """Return a joined room with events of these types."""
    return {
        "timeline": {"events": [{"type": it} for it in timeline], "limited": limited},
        "state": {"events": [{"type": it} for it in state or []]},
    }


def test_rooms() -> None:
    """Memberships have changed where the timeline says so, or may have, in a gap; not where the
    sender of a message is told with it, or where a first sync tells everything.
    """
    member, message = "m.room.member", "m.room.message"
    rooms = {
        RoomId("!message:a"): room([message]),
        RoomId("!lazy:a"): room([message], state=[member]),
        RoomId("!member:a"): room([member]),
        RoomId("!gap:a"): room([message], limited=True, state=[member]),
    }
    body = {"next_batch": "s1", "rooms": {"join": rooms, "leave": {"!left:a": {}}}}
    assert read_sync_answer(msgspec.json.encode(body)).rooms == RoomsOfAnswer(
        frozenset(rooms),
        frozenset({RoomId("!left:a")}),
        frozenset({RoomId("!member:a"), RoomId("!gap:a")}),
    )
    first = read_sync_answer(msgspec.json.encode(body), is_first=True).rooms
    assert first == RoomsOfAnswer(frozenset(rooms), frozenset({RoomId("!left:a")}))
    odd = {"next_batch": "s1", "rooms": {"join": [1]}}
    assert read_sync_answer(msgspec.json.encode(odd)).rooms == RoomsOfAnswer()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"next_batch":1}', b'{"next_batch":"a"', b"[" * 100_000]
)
def test_no_answer(body: bytes) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="no answer to /sync"):
        read_sync_answer(body)


def test_sliding_sync() -> None:
    """All stays as it is written, but for `pos` and presence; every answer is worth sending."""
    body = b'{"rooms":{"!a:b": {"n":1e400}}, "pos":"1/s1~2","extensions":{"presence":1,"e2ee": {}}}'
    members = {"rooms": msgspec.Raw(b'{"!a:b": {"n":1e400}}')}
    extensions = {"e2ee": msgspec.Raw(b"{}")}
    answer = SlidingRoomsAnswer("1/s1~2", members=members, extensions=extensions)
    assert read_sliding_answer(body) == RoomsHalfAnswer(answer, is_empty=False)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"pos":1}', b'{"pos":"a"', b'{"pos":"a","extensions":[]}',
        b'{"pos":"a","extensions":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_no_answer_to_sliding_sync(body: bytes) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="no answer to sliding sync"):
        read_sliding_answer(body)
