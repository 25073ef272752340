"""The HTTP floor as one application."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from lamplighter.devtools.http import HttpClient
from lamplighter.errors import LimitExceeded, NotFound, ShuttingDown
from lamplighter.ports import Json
from lamplighter.web.application import Application, send_json
from lamplighter.web.body import read
from lamplighter.web.routes import ClientRoute, MatrixRoute, NothingElse, json_response
from tests.web.clients import client_of

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
    "access-control-allow-headers": "X-Requested-With, Content-Type, Authorization",
}

FAILURES: dict[str, Exception] = {
    "not-found": NotFound("There is none"),
    "too-fast": LimitExceeded(timedelta(seconds=2)),
    "stop": ShuttingDown(),
    "defect": ZeroDivisionError("secret"),
    "starlette": HTTPException(418, "Teapot"),
}


async def echo(request: Request) -> Response:
    """Answer with what came."""
    return json_response({"params": request.path_params, "body": await read(request, Json)})


async def fail(request: Request) -> Response:
    """Raise what the path names."""
    raise FAILURES[request.path_params["how"]]


async def break_off(request: Request) -> Response:
    """Fail in the middle of an answer."""

    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    return StreamingResponse(chunks())


@pytest.fixture
def client() -> HttpClient:
    """A client of an application with a few endpoints."""
    return client_of(
        Application(
            [
                ClientRoute("PUT", "/echo/{key}", echo),
                ClientRoute("DELETE", "/echo/{key}", echo),
                MatrixRoute("GET", "/fail/{how}", fail),
                MatrixRoute("GET", "/break", break_off),
            ]
        )
    )


ECHO = "/_matrix/client/v3/echo"


def cors_of(headers: dict[str, str]) -> dict[str, str]:
    """Return the CORS headers among *headers*."""
    return {name: value for name, value in headers.items() if name.startswith("access-control")}


async def test_an_answer_has_content_type_and_cors(client: HttpClient) -> None:
    """What an endpoint answers goes out as JSON that any web client may read."""
    response = await client.request("PUT", f"{ECHO}/a%2Fb", json={"c": 1})
    assert (response.status, response.json) == (200, {"params": {"key": "a/b"}, "body": {"c": 1}})
    assert response.headers["content-type"] == "application/json"
    assert cors_of(dict(response.headers)) == CORS


@pytest.mark.parametrize(
    "path", [f"{ECHO}/a", "/_matrix/client/v3/sync", "/nothing", "/fail/defect"]
)
async def test_a_preflight_is_answered_for_every_path(client: HttpClient, path: str) -> None:
    """OPTIONS is 200 with the CORS headers, whether the path exists or not."""
    response = await client.request("OPTIONS", path)
    assert (response.status, response.json) == (200, {})
    assert cors_of(dict(response.headers)) == CORS


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/_matrix/client/v3/nothing", 404),
        ("PUT", f"{ECHO}/a/", 404),
        ("PUT", f"{ECHO}/", 404),
        ("PUT", ECHO, 404),
        ("PUT", f"/{ECHO}/a", 404),
        ("GET", f"{ECHO}/a", 405),
        ("PROPFIND", f"{ECHO}/a", 405),
        ("POST", "/fail/defect", 405),
    ],
)
async def test_what_nobody_serves_is_unrecognized(
    client: HttpClient, method: str, path: str, status: int
) -> None:
    """An unknown path, or a slash too many, is 404; an unknown method of a known path 405."""
    response = await client.request(method, path, json={})
    assert (response.status, response.json["errcode"]) == (status, "M_UNRECOGNIZED")
    assert response.headers["content-type"] == "application/json"
    assert cors_of(dict(response.headers)) == CORS


@pytest.mark.parametrize(
    ("how", "status", "errcode", "error"),
    [
        ("not-found", 404, "M_NOT_FOUND", "There is none"),
        ("too-fast", 429, "M_LIMIT_EXCEEDED", "Too many requests"),
        ("stop", 503, "M_UNKNOWN", "This server is shutting down; ask again in a moment"),
        ("starlette", 418, "M_UNKNOWN", "Teapot"),
    ],
)
async def test_an_error_is_answered_by_the_table(
    client: HttpClient, how: str, status: int, errcode: str, error: str
) -> None:
    """Errors become JSON with CORS headers, and the log has no line about them."""
    with capture_logs() as logs:
        response = await client.request("GET", f"/fail/{how}")
    content = {"errcode": errcode, "error": error}
    more = {"retry_after_ms": 2000} if how == "too-fast" else {}
    assert (response.status, response.json, logs) == (status, content | more, [])
    assert cors_of(dict(response.headers)) == CORS
    assert response.headers.get("retry-after") == ("2" if more else None)


async def test_a_defect_is_logged_and_not_told(client: HttpClient) -> None:
    """An unexpected exception is 500 without details; the log has the exception, not the query."""
    with capture_logs() as logs:
        response = await client.request("GET", "/fail/defect", query={"access_token": "t"})
    assert response.status == 500
    assert response.json == {"errcode": "M_UNKNOWN", "error": "Internal server error"}
    assert logs == [
        {
            "event": "request failed",
            "log_level": "error",
            "method": "GET",
            "path": "/fail/defect",
            "exc_info": FAILURES["defect"],
        }
    ]


async def test_a_broken_answer_stays_broken(client: HttpClient) -> None:
    """Once an answer has begun there is no other: the connection breaks, and the log says why."""
    with capture_logs() as logs, pytest.raises(RuntimeError, match="in the middle of an answer"):
        await client.request("GET", "/break")
    assert [line["event"] for line in logs] == ["response broken off"]


async def test_a_client_that_goes_away_while_it_sends(client: HttpClient) -> None:
    """A client that leaves in the middle of a body is no defect, and gets no answer."""
    exchange = client.begin("PUT", f"{ECHO}/a", body=[b"{"])
    with capture_logs() as logs:
        await exchange.go_away()
    assert (exchange.answered, logs) == (False, [])


async def test_a_malformed_path_is_refused(client: HttpClient) -> None:
    """A path parameter that is not UTF-8 is M_INVALID_PARAM."""
    response = await client.request("PUT", f"{ECHO}/%FF", json={})
    assert (response.status, response.json["errcode"]) == (400, "M_INVALID_PARAM")


async def test_a_path_that_begins_like_no_route() -> None:
    """It is another server's at one look: no route is asked. Percent-encoding hides no route."""
    asked: list[str] = []

    class Asked(MatrixRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            asked.append(scope["path"])
            return super().matches(scope)

    async def otherwise(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send_json(send, 200, b'"elsewhere"')

    routes = [Asked("GET", "/ours/{one}", echo), NothingElse("/own")]
    client = client_of(Application(routes, otherwise))
    assert (await client.request("GET", "/elsewhere/%2Fours/x")).json == "elsewhere"
    assert asked == []
    for path, status in (("/ours/x%2Fy", 200), ("/own/x", 404), ("/%6Fwn/x", 404)):
        assert (await client.request("GET", path, json={})).status == status
    assert "/ours/x/y" in asked
