"""The grammars of Matrix identifiers."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.errors import InvalidId
from lamplighter.ids import (
    RoomAlias,
    UserId,
    is_user_id,
    localpart_of,
    parse_localpart,
    parse_room_alias,
    parse_room_id,
    parse_server_name,
    parse_user_id,
    server_of,
)

Parse = Callable[[str], str]

LONGEST = "@" + "a" * (255 - len("@:demo")) + ":demo"


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_user_id, "@alice:example.org"),
        (parse_user_id, "@alice:example.org:8448"),
        (parse_user_id, "@a.b_c=d-e/f+1:1.2.3.4"),
        (parse_user_id, "@alice:[2001:db8::1]:8448"),
        (parse_user_id, '@~|{}!"A' + ":demo"),
        (parse_user_id, "@:demo"),
        (parse_user_id, LONGEST),
        (parse_room_id, "!room:example.org"),
        (parse_room_id, "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"),
        (parse_room_id, "!a room/ü:demo:1"),
        (parse_room_alias, "#room:example.org"),
        (parse_room_alias, "#ü #b/c:demo"),
        (parse_room_alias, "#:demo"),
        (parse_server_name, "localhost"),
        (parse_server_name, "Example.ORG:65535"),
        (parse_server_name, "[::1]"),
        (parse_localpart, "a-z0.9_=/+"),
    ],
)
def test_what_is_an_identifier(parse: Parse, text: str) -> None:
    """Well-formed identifiers, also historical user IDs, are returned unchanged."""
    assert parse(text) == text


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_user_id, ""),
        (parse_user_id, "@alice"),
        (parse_user_id, "@alice:"),
        (parse_user_id, "alice:demo"),
        (parse_user_id, "@alice:demo:"),
        (parse_user_id, "@alice:demo:123456"),
        (parse_user_id, "@alice:demo\n"),
        (parse_user_id, "@al ice:demo"),
        (parse_user_id, "@al:ice:demo"),
        (parse_user_id, "@alice:de mo"),
        (parse_user_id, "@ålice:demo"),
        (parse_user_id, "@alice:dëmo"),
        (parse_user_id, "@al\0ice:demo"),
        (parse_user_id, "@alice:[::1"),
        (parse_user_id, LONGEST.replace("@", "@a")),
        (parse_room_id, "!"),
        (parse_room_id, "room:demo"),
        (parse_room_id, "!room:"),
        (parse_room_id, "!ro\0om:demo"),
        (parse_room_id, "!" + "ü" * 128),
        (parse_room_alias, "#room"),
        (parse_room_alias, "!room:demo"),
        (parse_server_name, ""),
        (parse_server_name, "demo/path"),
        (parse_server_name, "demo:"),
        (parse_server_name, "http://demo"),
        # UTF-8 cannot encode half a surrogate pair.
        (parse_room_id, "!\ud800:demo"),
        (parse_room_alias, "#\ud800:demo"),
        (parse_localpart, ""),
        (parse_localpart, "Alice"),
        (parse_localpart, "@alice"),
        (parse_localpart, "al ice"),
        (parse_localpart, "a" * 256),
    ],
)
def test_what_is_none(parse: Parse, text: str) -> None:
    """A malformed identifier is an `InvalidId`."""
    with pytest.raises(InvalidId):
        parse(text)


@pytest.mark.parametrize("text", [None, 7, b"@alice:demo", ["@alice:demo"], object()])
def test_other_types_are_no_user_ids(text: object) -> None:
    """`is_user_id` accepts any type."""
    assert not is_user_id(text)


@given(st.text() | st.from_regex(r"@[ -~]*:[ -~]*", fullmatch=True))
def test_telling_and_parsing_agree(text: str) -> None:
    """`is_user_id` is true for exactly the texts that `parse_user_id` accepts, of 255 bytes."""
    if is_user_id(text):
        assert parse_user_id(text) == text
        assert len(text.encode()) <= 255
    else:
        with pytest.raises(InvalidId):
            parse_user_id(text)


@pytest.mark.parametrize(
    ("user_id", "localpart", "server"),
    [
        ("@alice:demo", "alice", "demo"),
        ("@alice:demo:8448", "alice", "demo:8448"),
        ("@alice:[::1]:80", "alice", "[::1]:80"),
        ("@:demo", "", "demo"),
    ],
)
def test_the_two_halves(user_id: str, localpart: str, server: str) -> None:
    """A user ID is a localpart and a server name, which may hold more colons; so is an alias."""
    assert (localpart_of(UserId(user_id)), server_of(UserId(user_id))) == (localpart, server)
    assert server_of(RoomAlias(user_id.replace("@", "#"))) == server
