"""The access token of a request."""

import pytest

from lamplighter.errors import MissingToken
from lamplighter.web.auth import access_token
from tests.homeserver.world import V3, Person, World, while_sending
from tests.web.clients import client_of


@pytest.mark.parametrize(
    ("header", "query", "token"),
    [
        (b"Bearer abc", b"", "abc"),
        (b"bearer abc", b"", "abc"),
        (b"Bearer   abc ", b"", "abc"),
        (b"Bearer \xff", b"", "\xff"),
        (None, b"access_token=abc", "abc"),
        (None, b"a=b&access_token=a%2Bb%20c", "a+b c"),
    ],
)
def test_the_token_stands_in_the_header_or_in_the_query(
    header: bytes | None, query: bytes, token: str
) -> None:
    """A token comes from the Authorization header or, without one, from the query."""
    headers = [(b"host", b"x")] + ([(b"authorization", header)] if header else [])
    assert access_token(headers, query) == token


@pytest.mark.parametrize(
    ("header", "query"),
    [
        (None, b""),
        (None, b"access_token="),
        (None, b"my_access_token=abc"),
        (None, b"access_token=a&access_token=b"),
        (b"", b""),
        (b"Bearer", b""),
        (b"Bearer ", b""),
        (b"abc", b""),
        (b"Basic abc", b""),
        (b"Basic abc", b"access_token=abc"),
        (b"Bearerabc", b""),
        (b"Bearer header", b"access_token=query"),
    ],
)
def test_a_malformed_token_is_a_missing_one(header: bytes | None, query: bytes) -> None:
    """No token, two tokens, or an Authorization of another form: the token is missing."""
    headers = [] if header is None else [(b"authorization", header)]
    with pytest.raises(MissingToken):
        access_token(headers, query)


def test_two_headers() -> None:
    """Of two Authorization headers none counts, even if they say the same."""
    header = (b"authorization", b"Bearer abc")
    with pytest.raises(MissingToken):
        access_token([header, header], b"")


REQUESTS = [
    ("PUT", "/user/@alice:demo/account_data/a", {}),
    ("POST", "/user/@alice:demo/filter", {}),
    ("PUT", "/profile/@alice:demo/displayname", {"displayname": "x"}),
    ("PUT", "/profile/@alice:demo/avatar_url", {"avatar_url": "x"}),
    ("POST", "/createRoom", {}),
    ("POST", "/join/!r:demo", {}),
    ("POST", "/rooms/!r:demo/join", {}),
    ("POST", "/rooms/!r:demo/leave", {}),
    ("POST", "/rooms/!r:demo/invite", {"user_id": "@bob:demo"}),
    ("POST", "/rooms/!r:demo/kick", {"user_id": "@bob:demo"}),
    ("POST", "/rooms/!r:demo/ban", {"user_id": "@bob:demo"}),
    ("POST", "/rooms/!r:demo/unban", {"user_id": "@bob:demo"}),
    ("PUT", "/rooms/!r:demo/state/a/b", {}),
    ("PUT", "/rooms/!r:demo/send/a/b", {}),
    ("PUT", "/rooms/!r:demo/typing/@alice:demo", {"typing": True}),
    ("POST", "/rooms/!r:demo/receipt/m.read/$e", {}),
    ("POST", "/rooms/!r:demo/read_markers", {}),
    ("PUT", "/directory/room/%23a:demo", {"room_id": "!r:demo"}),
    ("PUT", "/devices/PHONE", {"display_name": "x"}),
    ("DELETE", "/devices/PHONE", {}),
    ("POST", "/delete_devices", {"devices": []}),
    ("POST", "/account/deactivate", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_a_body_that_comes_too_late(
    world: World, alice: Person, method: str, path: str, body: dict[str, object]
) -> None:
    """A request whose sender is logged out before its body has come is refused."""

    async def log_out() -> None:
        await world.directory.log_out_all(alice.user_id)

    client = client_of(while_sending(world.application, log_out))
    response = await client.request(method, V3 + path, token=alice.token, json=body)
    assert (response.status, response.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_bodies_of_strangers_are_not_read(world: World, token: str | None) -> None:
    """Without a good token a request is refused before its body comes."""

    async def happens() -> None:
        raise AssertionError("the body was asked for")

    client = client_of(while_sending(world.application, happens))
    response = await client.request("POST", f"{V3}/createRoom", token=token, json={})
    assert response.status == 401
