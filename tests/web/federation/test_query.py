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


async def test_a_profile(peer: Peer, alice: UserId, directory: SqlDirectory) -> None:
    """A server gets a user's whole profile, or one field of it; unset fields are left out.

    The profile of a deactivated user is empty.
    """
    whole = {"displayname": "Alice L.", "avatar_url": "mxc://demo/alice"}
    fields = ["", "&field=displayname", "&field=avatar_url"]

    async def profile(user_id: str) -> list[object]:
        answers = [await peer.get(f"{PROFILE}?user_id={user_id}{it}") for it in fields]
        assert {it.status for it in answers} == {200}
        return [it.json for it in answers]

    assert await profile("%40alice%3Ademo") == [whole, *({name: whole[name]} for name in whole)]
    bob = await directory.register("bob", None)
    await directory.set_displayname(bob.user_id, None)
    await directory.deactivate(alice)
    assert await profile(bob.user_id) == await profile(alice) == [{}, {}, {}]


@pytest.mark.parametrize(
    ("query", "status", "errcode", "error"),
    [
        ("", 400, "M_MISSING_PARAM", "user_id: missing"),
        ("?field=displayname", 400, "M_MISSING_PARAM", "user_id: missing"),
        (
            "?user_id=alice",
            400,
            "M_INVALID_PARAM",
            "'alice' is not a user ID (@localpart:server.name)",
        ),
        ("?user_id=@bob:demo", 404, "M_NOT_FOUND", "There is no user @bob:demo"),
        *(
            (f"?user_id={it}", 404, "M_NOT_FOUND", f"{it} is not a user of this server")
            for it in ("@alice:there.example", "@alice:demo:8448")
        ),
        *(
            (
                f"?user_id=@alice:demo&field={it}",
                400,
                "M_INVALID_PARAM",
                f"field: {it!r} is none of displayname, avatar_url",
            )
            for it in ("password_hash", "")
        ),
    ],
)
async def test_what_there_is_not(
    peer: Peer, alice: UserId, query: str, status: int, errcode: str, error: str
) -> None:
    """Unknown users, users of other servers, and other fields are refused."""
    assert error_of(await peer.get(PROFILE + query)) == (status, errcode, error)


@pytest.mark.parametrize("user_id", [ALICE, "@bob:demo", "alice"])
async def test_an_unsigned_query(peer: Peer, alice: UserId, user_id: str) -> None:
    """An unsigned query is a 401, whether or not the user exists."""
    response = await peer.host.send("GET", f"{PROFILE}?user_id={user_id}")
    error = "Authorization: the scheme is not X-Matrix"
    assert error_of(response) == (401, "M_UNAUTHORIZED", error)
