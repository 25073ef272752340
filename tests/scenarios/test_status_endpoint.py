"""GET and PUT of a single status."""

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer


async def test_own_status(alice: Client) -> None:
    """Every user may ask for their own presence."""
    assert await alice.status_of(alice) == {"presence": "offline"}
    await alice.set_status("online", "me")
    assert await alice.status_of(alice) == {
        "presence": "online",
        "currently_active": True,
        "last_active_ago": 0,
        "status_msg": "me",
    }


async def test_visible(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A user who shares a room may ask; GET returns what `/sync` shows."""
    await bob.set_status("unavailable", "away")
    await server.advance(seconds=3)
    status = await alice.status_of(bob)
    assert status == {"presence": "unavailable", "last_active_ago": 3_000, "status_msg": "away"}
    assert (await alice.first_sync()).presence[bob.user_id] == status


@pytest.mark.parametrize("other", ["@bob:demo", "@nobody:demo", "@bob:elsewhere.example"])
async def test_not_visible(alice: Client, bob: Client, other: str) -> None:
    """GET of a user who is not visible is refused in the words for a user who does not exist."""
    await bob.set_status("online")
    with pytest.raises(RequestFailed) as refused:
        await alice.status_of(other)
    assert (refused.value.status, refused.value.content) == (
        403,
        {"errcode": "M_FORBIDDEN", "error": f"You may not see the presence of {other}"},
    )


async def test_long_message(server: InMemoryServer, alice: Client) -> None:
    """A message of more than 1024 bytes is refused; one of 1024 bytes is stored."""
    for message in ("x" * 1024, "\u00e4" * 512):
        await alice.set_status("online", message)
    with pytest.raises(RequestFailed, match="status_msg") as refused:
        await alice.set_status("online", "\u00e4" * 512 + "x")
    assert (refused.value.status, refused.value.errcode) == (413, "M_TOO_LARGE")
    assert server.presence_of(alice).status_msg == "\u00e4" * 512


async def test_null_message_clears(server: InMemoryServer, alice: Client) -> None:
    """A `status_msg` that is null, empty or absent clears the message."""
    for empty in ({"status_msg": None}, {"status_msg": ""}, {}):
        await alice.set_status("online", "before")
        content = {"presence": "online", **empty}
        await alice.call("PUT", f"/presence/{alice.user_id}/status", content)
        assert server.presence_of(alice).status_msg is None


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_without_a_token(server: InMemoryServer, alice: Client, method: str) -> None:
    """Without a token, or with an unknown or revoked one, GET and PUT are refused."""
    path = f"/_matrix/client/v3/presence/{alice.user_id}/status"
    content = {"presence": "online"}
    await alice.log_out()
    answers = [
        await server.http.request(method, path, json=content, token=token)
        for token in (None, "nonsense", alice.access_token)
    ]
    assert [(it.status, it.json["errcode"]) for it in answers] == [
        (401, "M_MISSING_TOKEN"),
        (401, "M_UNKNOWN_TOKEN"),
        (401, "M_UNKNOWN_TOKEN"),
    ]
    assert server.presence_of(alice).state == "offline"
