"""GET and PUT of a status: what its endpoint reads, and how it says no."""

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer
from lamplighter.web.body import MAX_BODY
from tests.web.http.peer import Peer

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


@pytest.mark.parametrize(
    ("token", "errcode"), [(None, "M_MISSING_TOKEN"), ("wrong", "M_UNKNOWN_TOKEN")]
)
async def test_who_is_not_known(
    server: InMemoryServer, dora: Client, token: str | None, errcode: str
) -> None:
    """Who has no token, or a wrong one, sets nothing, whatever else is wrong."""
    response = await server.http.request(
        "PUT", f"/_matrix/client/v3{STATUS}", body=b"{", token=token
    )
    assert (response.status, response.json["errcode"]) == (401, errcode)
    assert server.presence_of(dora).state == "offline"


async def test_somebody_else(server: InMemoryServer, dora: Client) -> None:
    """Nobody sets another user's status, be there such a user or not."""
    for user in ("@erik:demo", "@dora:elsewhere"):
        response = await dora.request("PUT", f"/presence/{user}/status", {"presence": "online"})
        error = "You may do this for @dora:demo only"
        assert (response.status, response.json) == (
            403,
            {"errcode": "M_FORBIDDEN", "error": error},
        )


async def test_too_large_a_body(server: InMemoryServer, dora: Client) -> None:
    """A body that is far too large is refused; one that is as large as may be is read."""
    for size, status in ((MAX_BODY + 1, 413), (MAX_BODY, 200)):
        body = b'{"presence": "online"' + b" " * (size - 22) + b"}"
        response = await server.http.request(
            "PUT", f"/_matrix/client/v3{STATUS}", body=body, token=dora.access_token
        )
        assert response.status == status


async def test_the_older_path(server: InMemoryServer, dora: Client) -> None:
    """What v3 serves, r0 serves as well; it is JSON, and web clients may read it."""
    response = await server.http.request(
        "PUT",
        f"/_matrix/client/r0{STATUS}",
        body=b'{"presence": "unavailable"}',
        token=dora.access_token,
    )
    assert (response.status, response.body) == (200, b"{}")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert server.presence_of(dora).state == "unavailable"


@pytest.mark.parametrize("user", ["%ff", "%40dora%3Ademo%2F"])
async def test_a_user_that_is_not_written_well(
    server: InMemoryServer, dora: Client, user: str
) -> None:
    """A user ID that is not UTF-8, or none, is refused."""
    path = f"/_matrix/client/v3/presence/{user}/status"
    response = await server.http.request(
        "PUT", path, body=b'{"presence": "online"}', token=dora.access_token
    )
    assert (response.status, response.json["errcode"]) == (400, "M_INVALID_PARAM")


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
    peer = Peer(server.lamplighter.http_server(server.clock).connect())
    body = '{"presence": "online", "status_msg": "undead"}'
    peer.send(
        f"PUT /_matrix/client/v3/presence/{dora.user_id}/status HTTP/1.1\r\n"
        f"Authorization: Bearer {dora.access_token}\r\nContent-Length: {len(body)}\r\n\r\n{{"
    )
    await server.lamplighter.directory.deactivate(dora.user_id)
    peer.send(body[1:])
    await server.settled()
    received = peer.received
    assert (received.split()[1], "M_UNKNOWN_TOKEN" in received) == ("401", True)
    assert server.presence_of(dora).state == "offline"
    assert server.presence_of(dora).status_msg is None
