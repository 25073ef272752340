"""GET and PUT of a status: what its endpoint reads, and how it says no."""

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.http import AsgiClient
from lamplighter.devtools.server import InMemoryServer
from tests.web.world import while_sending

STATUS = "/presence/@dora:demo/status"


@pytest.mark.parametrize(
    ("content", "status", "errcode", "error"),
    [
        (
            {"presence": "away"},
            400,
            "M_INVALID_PARAM",
            "presence: 'away' is none of offline, unavailable, online",
        ),
        ({"status_msg": "x"}, 400, "M_MISSING_PARAM", "presence: missing"),
        ({"presence": 7}, 400, "M_BAD_JSON", "presence: expected str, got int"),
        (
            {"presence": "online", "status_msg": 7},
            400,
            "M_BAD_JSON",
            "status_msg: expected str | null, got int",
        ),
        (
            {"presence": "online", "status_msg": "ä" * 513},
            413,
            "M_TOO_LARGE",
            "status_msg: longer than 1024 bytes",
        ),
        (
            {"presence": "online", "status_msg": "a\0b"},
            400,
            "M_INVALID_PARAM",
            "status_msg: must not contain a NUL",
        ),
    ],
)
async def test_errors_name_the_field(
    server: InMemoryServer,
    dora: Client,
    content: dict[str, object],
    status: int,
    errcode: str,
    error: str,
) -> None:
    """What is wrong is said by the name of the field, and nothing is set."""
    response = await dora.request("PUT", STATUS, content)
    assert (response.status, response.json) == (status, {"errcode": errcode, "error": error})
    assert server.presence_of(dora).state == "offline"


@pytest.mark.parametrize("body", [b"", b"{", b'{"presence": "\\ud800"}', b"\xff"])
async def test_no_json(server: InMemoryServer, dora: Client, body: bytes) -> None:
    """What is no JSON is M_NOT_JSON, half a surrogate pair included."""
    response = await server.http.request(
        "PUT", f"/_matrix/client/v3{STATUS}", body=body, token=dora.access_token
    )
    assert (response.status, response.json["errcode"]) == (400, "M_NOT_JSON")


async def test_a_percent_encoded_user(dora: Client) -> None:
    """The user ID in the path may be percent-encoded."""
    response = await dora.request("PUT", "/presence/%40dora%3Ademo/status", {"presence": "online"})
    assert (response.status, response.json) == (200, {})
    status = await dora.call("GET", "/presence/%40dora%3Ademo/status")
    assert status == {"presence": "online", "currently_active": True, "last_active_ago": 0}


async def test_a_user_that_is_none(dora: Client) -> None:
    """A path that names no user is refused, for GET as for PUT."""
    for method in ("GET", "PUT"):
        response = await dora.request(method, "/presence/dora/status", {"presence": "online"})
        assert response.json == {
            "errcode": "M_INVALID_PARAM",
            "error": "'dora' is not a user ID (@localpart:server.name)",
        }


@pytest.mark.parametrize("config", ["rate_limits: {presence: {per_second: 1, burst: 1}}"])
async def test_a_refusal_costs_no_look(server: InMemoryServer, dora: Client) -> None:
    """A PUT over the limit is refused before its body is read; a GET is not limited."""
    await dora.set_status("online")
    response = await dora.request("PUT", STATUS, {"presence": "away"})
    assert (response.status, response.json) == (
        429,
        {"errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests", "retry_after_ms": 1000},
    )
    assert response.headers["retry-after"] == "1"
    assert [(await dora.status_of(dora))["presence"] for _ in range(3)] == ["online"] * 3


async def test_a_status_that_comes_too_late(server: InMemoryServer, dora: Client) -> None:
    """A status whose end is sent after the account was closed sets nothing."""

    async def deactivate() -> None:
        await server.lamplighter.directory.deactivate(dora.user_id)

    client = AsgiClient(while_sending(server.lamplighter.application, deactivate))
    path = f"/_matrix/client/v3/presence/{dora.user_id}/status"
    body = {"presence": "online", "status_msg": "undead"}
    response = await client.request("PUT", path, token=dora.access_token, json=body)
    assert (response.status, response.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    assert server.presence_of(dora).state == "offline"
    assert server.presence_of(dora).status_msg is None
