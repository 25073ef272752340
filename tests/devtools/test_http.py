"""The client for a server in the same process."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient, Response
from lamplighter.web.http.connection import Connection
from lamplighter.web.server import matrix_server
from tests.web.clients import client_of


class Echo:
    """An application that keeps the scopes of its requests, and answers with the body that came."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        headers = [(b"X-Raw-Path", scope["raw_path"]), (b"X-Path", scope["path"].encode("latin-1"))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})


async def test_a_response_holds_status_headers_and_body() -> None:
    """A request comes back as status, headers in lower case, and body."""
    response = await client_of(Echo()).request("PUT", "/p", json={"a": [1]})
    expected = {"x-raw-path": "/p", "x-path": "/p", "content-length": "9"}
    assert response.headers.pop("date")  # type: ignore[attr-defined] # it is a dict
    assert response == Response(202, expected, b'{"a":[1]}')
    assert response.json == {"a": [1]}


async def test_null_is_a_body() -> None:
    """`json=None` sends the JSON null, and no `json` at all an empty body."""
    client = client_of(Echo())
    assert (await client.request("PUT", "/", json=None)).body == b"null"
    assert (await client.request("PUT", "/")).body == b""


async def test_a_body_in_chunks_is_put_together() -> None:
    """A sequence of chunks goes out chunk by chunk, and what comes back is put together."""
    response = await client_of(Echo()).request("PUT", "/", body=[b"a", b"", b"bc"])
    assert (response.body, response.headers["transfer-encoding"]) == (b"abc", "chunked")


@pytest.mark.parametrize(
    ("given", "raw", "path"),
    [
        ("/!a:b/#c", "/!a:b/%23c", "/!a:b/#c"),
        ("/a%2Fb", "/a%2Fb", "/a/b"),
        ("/a b", "/a%20b", "/a b"),
    ],
)
async def test_paths_travel_as_over_the_network(given: str, raw: str, path: str) -> None:
    """The client encodes a path where it must and not twice; `path` is the decoded form."""
    response = await client_of(Echo()).request("GET", given)
    assert (response.headers["x-raw-path"], response.headers["x-path"]) == (raw, path)


async def test_token_query_headers_and_address_reach_the_server() -> None:
    """The server sees what the caller gave, and a Content-Length where the body is whole."""
    echo = Echo()
    client = client_of(echo, address="192.0.2.1")
    await client.request("GET", "/", token="t", query={"a": "b c"}, headers={"X-A": "1"})
    await client.request("PUT", "/", body=b"x")
    await client.request("PUT", "/", body=[b"x"])
    plain, whole, chunked = echo.scopes
    host = (b"host", b"localhost")
    assert plain["headers"] == [host, (b"authorization", b"Bearer t"), (b"x-a", b"1")]
    assert (plain["query_string"], plain["client"][0]) == (b"a=b+c", "192.0.2.1")
    assert whole["headers"] == [host, (b"content-length", b"1")]
    assert chunked["headers"] == [host, (b"transfer-encoding", b"chunked")]


async def test_a_head_has_no_body() -> None:
    """The response to a HEAD is its headers, whatever length they tell."""
    response = await client_of(Echo()).request("HEAD", "/")
    assert (response.status, response.body) == (202, b"")


async def test_a_client_that_goes_away_is_noticed() -> None:
    """After `go_away` the application receives a disconnect, and its answer goes nowhere."""
    received: list[str] = []

    async def poll(_scope: Scope, receive: Receive, send: Send) -> None:
        received.append((await receive())["type"])
        received.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200})

    pending = client_of(poll).begin("GET", "/")
    await pending.waiting()
    assert received == ["http.request"]
    await pending.go_away()
    assert (received, pending.answered) == (["http.request", "http.disconnect"], False)
    with pytest.raises(RuntimeError, match="without an answer"):
        await pending.response()


async def test_an_answer_that_has_begun_shows() -> None:
    """`answered` is false before the server answers, and true once it has."""
    pending = client_of(Echo()).begin("GET", "/")
    assert not pending.answered
    await pending.response()
    assert pending.answered


async def test_an_answer_that_breaks_off() -> None:
    """A response that ends too early is an error."""

    async def break_off(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="in the middle of an answer"):
        await client_of(break_off).request("GET", "/")


async def test_connections_are_used_again() -> None:
    """The next request goes over the same connection; a second one at a time over a new one."""
    server = matrix_server(Echo(), FakeClock())
    connections: list[Connection | None] = []

    def connect() -> Connection | None:
        connections.append(server.connect())
        return connections[-1]

    client = HttpClient(connect)
    for pending in [client.begin("GET", "/") for _ in range(2)]:
        await pending.response()
    for _ in range(3):
        await client.request("GET", "/")
    assert len(connections) == 2
