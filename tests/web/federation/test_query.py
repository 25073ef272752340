"""Profiles for other servers."""

import pytest

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId
from tests.web.federation.peer import Peer, error_of

PROFILE = "/_matrix/federation/v1/query/profile"
ALICE = UserId("@alice:demo")


@pytest.fixture
async def alice(directory: SqlDirectory) -> UserId:
    """A user with a name and a picture."""
    login = await directory.register("alice", None)
    await directory.set_displayname(login.user_id, "Alice L.")
    await directory.set_avatar_url(login.user_id, "mxc://demo/alice")
    return login.user_id


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("", {"displayname": "Alice L.", "avatar_url": "mxc://demo/alice"}),
        ("&field=displayname", {"displayname": "Alice L."}),
        ("&field=avatar_url", {"avatar_url": "mxc://demo/alice"}),
    ],
)
async def test_a_profile(peer: Peer, alice: UserId, query: str, answer: dict[str, str]) -> None:
    """A server gets a user's whole profile, or one field of it."""
    response = await peer.get(f"{PROFILE}?user_id=%40alice%3Ademo{query}")
    assert (response.status, response.json) == (200, answer)


@pytest.mark.parametrize("query", ["", "&field=displayname", "&field=avatar_url"])
async def test_what_is_not_set(peer: Peer, directory: SqlDirectory, query: str) -> None:
    """A field without a value is left out."""
    login = await directory.register("bob", None)
    await directory.set_displayname(login.user_id, None)
    response = await peer.get(f"{PROFILE}?user_id=@bob:demo{query}")
    assert (response.status, response.json) == (200, {})


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", (400, "M_MISSING_PARAM", "user_id: missing")),
        ("?field=displayname", (400, "M_MISSING_PARAM", "user_id: missing")),
        (
            "?user_id=alice",
            (400, "M_INVALID_PARAM", "'alice' is not a user ID (@localpart:server.name)"),
        ),
        ("?user_id=@bob:demo", (404, "M_NOT_FOUND", "There is no user @bob:demo")),
        (
            "?user_id=@alice:there.example",
            (404, "M_NOT_FOUND", "@alice:there.example is not a user of this server"),
        ),
        (
            "?user_id=@alice:demo:8448",
            (404, "M_NOT_FOUND", "@alice:demo:8448 is not a user of this server"),
        ),
        (
            "?user_id=@alice:demo&field=password_hash",
            (
                400,
                "M_INVALID_PARAM",
                "field: 'password_hash' is none of displayname, avatar_url",
            ),
        ),
        (
            "?user_id=@alice:demo&field=",
            (400, "M_INVALID_PARAM", "field: '' is none of displayname, avatar_url"),
        ),
    ],
)
async def test_what_there_is_not(
    peer: Peer, alice: UserId, query: str, error: tuple[int, str, str]
) -> None:
    """Unknown users, users of other servers, and other fields are refused."""
    assert error_of(await peer.get(PROFILE + query)) == error


async def test_a_user_who_is_gone(peer: Peer, alice: UserId, directory: SqlDirectory) -> None:
    """The profile of a deactivated user is empty."""
    await directory.deactivate(alice)
    response = await peer.get(f"{PROFILE}?user_id={alice}")
    assert (response.status, response.json) == (200, {})


@pytest.mark.parametrize("user_id", [ALICE, "@bob:demo", "alice"])
async def test_an_unsigned_query(peer: Peer, alice: UserId, user_id: str) -> None:
    """An unsigned query is a 401, whether or not the user exists."""
    response = await peer.host.send("GET", f"{PROFILE}?user_id={user_id}")
    error = "Authorization: the scheme is not X-Matrix"
    assert error_of(response) == (401, "M_UNAUTHORIZED", error)
