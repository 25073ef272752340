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


ONLINE = b'{"presence": "online"}'


def padded(size: int) -> bytes:
    """Return a body of that size, which sets the presence to online."""
    return ONLINE[:-1] + b" " * (size - len(ONLINE)) + b"}"


@pytest.mark.parametrize(
    ("path", "body", "status", "errcode"),
    [
        (f"v3{STATUS}", padded(MAX_BODY), 200, None),
        ("v3/presence/%40dora%3Ademo/status", ONLINE, 200, None),
        (f"r0{STATUS}", ONLINE, 200, None),
        (f"v3{STATUS}", padded(MAX_BODY + 1), 413, "M_TOO_LARGE"),
        (f"v3{STATUS}", b"", 400, "M_NOT_JSON"),
        (f"v3{STATUS}", b"{", 400, "M_NOT_JSON"),
        (f"v3{STATUS}", b'{"presence": "\\ud800"}', 400, "M_NOT_JSON"),
        (f"v3{STATUS}", b"\xff", 400, "M_NOT_JSON"),
        ("v3/presence/%ff/status", ONLINE, 400, "M_INVALID_PARAM"),
        ("v3/presence/%40dora%3Ademo%2F/status", ONLINE, 400, "M_INVALID_PARAM"),
        ("v3/presence/dora/status", ONLINE, 400, "M_INVALID_PARAM"),
        ("v3/presence/@erik:demo/status", ONLINE, 403, "M_FORBIDDEN"),
        ("v3/presence/@dora:elsewhere/status", ONLINE, 403, "M_FORBIDDEN"),
    ],
)
async def test_paths_and_bodies(
    server: InMemoryServer, dora: Client, path: str, body: bytes, status: int, errcode: str | None
) -> None:
    """Users set their own status only, by either prefix, with a body of JSON that is not too
    large; the answer is JSON, and web clients may read it.
    """
    response = await server.http.request(
        "PUT", f"/_matrix/client/{path}", body=body, token=dora.access_token
    )
    assert (response.status, response.json.get("errcode")) == (status, errcode)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert server.presence_of(dora).state == ("online" if status == 200 else "offline")


@pytest.mark.parametrize(
    ("token", "errcode"), [(None, "M_MISSING_TOKEN"), ("wrong", "M_UNKNOWN_TOKEN")]
)
async def test_without_a_token(
    server: InMemoryServer, dora: Client, token: str | None, errcode: str
) -> None:
    """A request without a token, or with a wrong one, sets nothing, also where more is wrong."""
    response = await server.http.request(
        "PUT", f"/_matrix/client/v3{STATUS}", body=b"{", token=token
    )
    assert (response.status, response.json["errcode"]) == (401, errcode)
    assert server.presence_of(dora).state == "offline"


async def test_reading_a_status(dora: Client) -> None:
    """The user ID in the path may be percent-encoded, and a path that names no user is refused."""
    await dora.set_status("online")
    status = await dora.call("GET", "/presence/%40dora%3Ademo/status")
    assert status == {"presence": "online", "currently_active": True, "last_active_ago": 0}
    refused = await dora.request("GET", "/presence/dora/status")
    assert refused.json == {
        "errcode": "M_INVALID_PARAM",
        "error": "'dora' is not a user ID (@localpart:server.name)",
    }


@pytest.mark.parametrize("config", ["rate_limits: {presence: {per_second: 1, burst: 1}}"])
async def test_over_the_limit(server: InMemoryServer, dora: Client) -> None:
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
