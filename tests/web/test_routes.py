"""Routes and answers."""

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from lamplighter.errors import InvalidParam
from lamplighter.web.application import Application
from lamplighter.web.http.asgi import ENDS_WITH_CLIENT
from lamplighter.web.routes import (
    ChangingResources,
    ClientRoute,
    MatrixRoute,
    NothingElse,
    ResourceRoute,
    beginnings_of,
    json_response,
)
from tests.web.clients import client_of


async def handler(request: Request) -> Response:
    """Stand in for an endpoint."""
    return json_response({})


def found(route: MatrixRoute, path: bytes, method: str = "GET") -> tuple[Match, object]:
    """Return whether *route* serves a request, and with which parameters."""
    match, scope = route.matches({"type": "http", "method": method, "raw_path": path, "path": "/"})
    return match, scope.get("path_params")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (b"/a/x/b/y", {"one": "x", "two": "y"}),
        (b"/a/%21x%3Ademo/b/%23y", {"one": "!x:demo", "two": "#y"}),
        (b"/a/x%2Fb%2Fz/b/y", {"one": "x/b/z", "two": "y"}),
        (b"/a/%2525/b/%25", {"one": "%25", "two": "%"}),
        (b"/a/%C3%BC/b/+", {"one": "ü", "two": "+"}),
        (b"/a/%00/b/%zz", {"one": "\0", "two": "%zz"}),
    ],
)
def test_parameters_are_decoded_one_by_one(path: bytes, params: dict[str, str]) -> None:
    """An encoded slash stays in its parameter, and nothing is decoded twice."""
    route = MatrixRoute("GET", "/a/{one}/b/{two}", handler)
    assert found(route, path) == (Match.FULL, params)


@pytest.mark.parametrize("path", [b"/a//b/y", b"/a/x/b/y/", b"/a/x/b", b"/A/x/b/y", b"//a/x/b/y"])
def test_other_paths_are_not_served(path: bytes) -> None:
    """Empty parameters, a slash at the end, too few or too many segments: no match."""
    assert found(MatrixRoute("GET", "/a/{one}/b/{two}", handler), path) == (Match.NONE, None)


def test_a_parameter_is_utf8() -> None:
    """A parameter that is not UTF-8 is M_INVALID_PARAM, by its name."""
    with pytest.raises(InvalidParam, match="one: not UTF-8"):
        found(MatrixRoute("GET", "/a/{one}", handler), b"/a/%FF")


@pytest.mark.parametrize(
    ("route", "beginnings"),
    [
        (MatrixRoute("GET", "/a/{one}/b", handler), ["/a/"]),
        (MatrixRoute("GET", "/a", handler), ["/a"]),
        (
            ClientRoute("GET", "/presence/{user}/status", handler),
            ["/_matrix/client/v3/presence/", "/_matrix/client/r0/presence/"],
        ),
        (NothingElse("/_ours"), ["/_ours"]),
        (ChangingResources(dict), None),
    ],
)
def test_how_the_paths_of_a_route_begin(route: BaseRoute, beginnings: list[str] | None) -> None:
    """All paths of a route begin with what stands before its first parameter, or with anything."""
    assert beginnings_of(route) == beginnings


def test_another_method_is_a_partial_match() -> None:
    """The path is known and the method is not; HEAD is known where GET is."""
    route = MatrixRoute("GET", "/a", handler)
    assert found(route, b"/a", "POST") == (Match.PARTIAL, {})
    assert found(route, b"/a", "HEAD") == (Match.FULL, {})


@pytest.mark.parametrize(
    ("path", "match"),
    [
        (b"/_matrix/client/v3/a/x", Match.FULL),
        (b"/_matrix/client/r0/a/x", Match.FULL),
        (b"/_matrix/client/v1/a/x", Match.NONE),
        (b"/_matrix/client/a/x", Match.NONE),
        (b"/a/x", Match.NONE),
    ],
)
def test_the_client_api_has_two_prefixes(path: bytes, match: Match) -> None:
    """A client route is served under v3 and under r0, and nowhere else."""
    assert found(ClientRoute("GET", "/a/{one}", handler), path)[0] is match


def test_an_answer_is_json() -> None:
    """A response has its content type, without a charset, and the status and headers asked for."""
    response = json_response({"a": "ü"}, status=201, headers={"X-A": "1"})
    assert (response.status_code, response.body) == (201, '{"a":"ü"}'.encode())
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-a"] == "1"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/a/b", 200), ("/a/b/", 200), ("/a/b/c", 200), ("/a", 404), ("/a/bc", 404)],
)
async def test_a_module_has_its_path_and_all_below(path: str, status: int) -> None:
    """A module's resource answers at its very path, with a slash or without, and below it."""

    async def resource(scope: Scope, receive: Receive, send: Send) -> None:
        await json_response({})(scope, receive, send)

    client = client_of(Application([ResourceRoute("/a/b", resource)]))
    assert (await client.request("GET", path)).status == status


@pytest.mark.parametrize(
    ("route", "method", "ends"),
    [
        (MatrixRoute("GET", "/a", handler), "GET", True),
        (MatrixRoute("GET", "/a", handler), "HEAD", True),
        (MatrixRoute("POST", "/a", handler), "POST", False),
        (MatrixRoute("PUT", "/a", handler), "PUT", False),
        (MatrixRoute("POST", "/a", handler, is_read=True), "POST", True),
        (ClientRoute("POST", "/a", handler, is_read=True), "POST", True),
    ],
)
async def test_reads_end_with_their_clients(route: MatrixRoute, method: str, ends: bool) -> None:
    """A GET, and what is said to be a read, may be cancelled without its client; no write may."""
    said: list[bool] = []

    async def send(message: object) -> None:
        """Nobody listens."""

    scope = {"type": "http", "method": method, ENDS_WITH_CLIENT: lambda: said.append(True)}
    await route.handle(scope, send, send)  # type: ignore[arg-type]  # nothing is received
    assert bool(said) is ends


async def test_what_a_module_does_goes_on_without_its_client() -> None:
    """A module's own endpoint may write, so it is not cancelled."""
    said: list[bool] = []

    async def resource(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("here")(scope, receive, send)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scope[ENDS_WITH_CLIENT] = lambda: said.append(True)
        await Application([ResourceRoute("/a", resource)])(scope, receive, send)

    assert (await client_of(application).request("GET", "/a")).status == 200
    assert said == []
