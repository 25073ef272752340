"""The values that modules exchange with the server."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from lamplighter.modules.synapse.errors import SynapseError
from lamplighter.modules.synapse.types import (
    EventBase,
    ProfileInfo,
    Requester,
    RoomAlias,
    RoomID,
    UserID,
    UserInfo,
    create_requester,
    get_domain_from_id,
    get_localpart_from_id,
)


def test_user_id() -> None:
    """A user ID is taken apart and put together again."""
    bob = UserID.from_string("@bob:example.com:8448")
    assert (bob.localpart, bob.domain) == ("bob", "example.com:8448")
    assert (bob.to_string(), str(bob)) == ("@bob:example.com:8448", "@bob:example.com:8448")
    assert bob == UserID("bob", "example.com:8448")
    assert len({UserID("a", "b"), RoomAlias("a", "b")}) == 2


@pytest.mark.parametrize("text", ["bob", "@bob", "#bob:example.com", "@b b:example.com", "", 7])
def test_malformed_user_id(text: str) -> None:
    """A malformed user ID is not valid, and a SynapseError (400) where it is parsed."""
    assert not UserID.is_valid(text)
    with pytest.raises(SynapseError) as raised:
        UserID.from_string(text)
    assert (raised.value.code, raised.value.errcode) == (400, "M_INVALID_PARAM")


def test_room_id() -> None:
    """A room ID may have a domain or none."""
    assert RoomID.from_string("!room:example.com") == RoomID("room", "example.com")
    assert RoomID.from_string("!room").to_string() == "!room"
    assert RoomAlias.from_string("#hall:example.com").to_string() == "#hall:example.com"


def test_requester() -> None:
    """A requester can be made of a user ID, as text or as an object."""
    expected = Requester(UserID("bob", "b.c"), "PHONE", authenticated_entity="@bob:b.c")
    assert create_requester("@bob:b.c", "PHONE") == expected
    assert create_requester(UserID("bob", "b.c"), "PHONE") == expected


def test_parts_of_an_id() -> None:
    """The server name and the localpart of any identifier can be had; without one it is a 400."""
    assert get_domain_from_id("@bob:example.com:8448") == "example.com:8448"
    assert get_localpart_from_id("#hall:example.com") == "hall"
    with pytest.raises(SynapseError):
        get_domain_from_id("bob")


def test_message_is_no_state() -> None:
    """An event without a state key is no state, and has none."""
    event = EventBase({"type": "m.room.message", "origin_server_ts": 7, "event_id": "$x"})
    assert (event.is_state(), event.origin_server_ts, event.event_id) == (False, 7, "$x")
    assert not hasattr(event, "state_key")
    assert list(event) == list(event.get_dict()) == ["type", "origin_server_ts", "event_id"]


BOB = UserID("bob", "b.c")


@pytest.mark.parametrize(
    ("value", "fields", "evolved"),
    [
        (BOB, ["localpart", "domain"], {"domain": "d.e"}),
        (RoomAlias("hall", "b.c"), ["localpart", "domain"], {"domain": "d.e"}),
        (Requester(BOB), ["user", "device_id", "is_guest"], {"device_id": "PHONE"}),
        (UserInfo(BOB, False, False, 1), ["user_id", "is_admin", "is_deactivated"], {}),
        (ProfileInfo(None, "Bob"), ["avatar_url", "display_name"], {"display_name": "B"}),
    ],
    ids=lambda value: type(value).__name__ if attrs.has(type(value)) else None,
)
def test_attrs(value: Any, fields: Sequence[str], evolved: dict[str, object]) -> None:
    """A class that is an attrs class in Synapse works with the functions of attrs."""
    kind: Any = type(value)
    assert [field.name for field in attrs.fields(kind)][: len(fields)] == fields
    changed = attrs.evolve(value, **evolved)
    assert attrs.asdict(changed) == {**attrs.asdict(value), **evolved}
    assert (type(changed), changed == value) == (kind, not evolved)
    assert attrs.evolve(value) <= value
