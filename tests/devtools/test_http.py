"""The client for an application in the same process."""

import asyncio

import pytest

from lamplighter.devtools.http import AsgiApplication, AsgiClient, Message, Receive, Response, Send


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with the body that came, in one chunk per chunk."""
    headers = [(b"X-Raw-Path", scope["raw_path"]), (b"X-Path", scope["path"].encode("latin-1"))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


class Recorder:
    """An application that keeps the scopes of its requests, and answers as `echo` does."""

    def __init__(self) -> None:
        self.scopes: list[Message] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await echo(scope, receive, send)


def failing(error: Exception | None) -> AsgiApplication:
    """Return an application that raises *error*, or does nothing at all."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if error:
            raise error

    return application


async def test_a_response_holds_status_headers_and_body() -> None:
    """A request comes back as status, headers in lower case, and body."""
    response = await AsgiClient(echo).request("PUT", "/p", json={"a": [1]})
    assert response == Response(202, {"x-raw-path": "/p", "x-path": "/p"}, b'{"a":[1]}')
    assert response.json == {"a": [1]}


async def test_null_is_a_body() -> None:
    """`json=None` sends the JSON null, and no `json` at all an empty body."""
    client = AsgiClient(echo)
    assert (await client.request("PUT", "/", json=None)).body == b"null"
    assert (await client.request("PUT", "/")).body == b""


async def test_a_body_in_chunks_is_put_together() -> None:
    """A sequence of chunks goes out, and comes back, chunk by chunk."""
    response = await AsgiClient(echo).request("PUT", "/", body=[b"a", b"", b"bc"])
    assert response.body == b"abc"


@pytest.mark.parametrize(
    ("given", "raw", "path"),
    [
        ("/!a:b/#c", "/!a:b/%23c", "/!a:b/#c"),
        ("/a%2Fb", "/a%2Fb", "/a/b"),
        ("/a b", "/a%20b", "/a b"),
    ],
)
async def test_paths_travel_as_over_the_network(given: str, raw: str, path: str) -> None:
    """What must be encoded is, what is encoded stays so, and `path` is the decoded form."""
    response = await AsgiClient(echo).request("GET", given)
    assert (response.headers["x-raw-path"], response.headers["x-path"]) == (raw, path)


async def test_token_query_headers_and_address_reach_the_scope() -> None:
    """The scope says what the caller gave, and a Content-Length where the body is whole."""
    recorder = Recorder()
    client = AsgiClient(recorder, address="192.0.2.1")
    await client.request("GET", "/", token="t", query={"a": "b c"}, headers={"X-A": "1"})
    await client.request("GET", "/", body=[b"x"])
    whole, chunked = recorder.scopes
    assert whole["headers"] == [
        (b"host", b"localhost"),
        (b"content-length", b"0"),
        (b"authorization", b"Bearer t"),
        (b"x-a", b"1"),
    ]
    assert (whole["query_string"], whole["client"][0]) == (b"a=b+c", "192.0.2.1")
    assert chunked["headers"] == [(b"host", b"localhost")]


async def test_a_client_that_goes_away_is_noticed() -> None:
    """After `go_away` the application receives a disconnect, and its answer is dropped."""
    received: list[str] = []
    polling = asyncio.Event()

    async def poll(scope: Message, receive: Receive, send: Send) -> None:
        received.append((await receive())["type"])
        polling.set()
        received.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200})

    exchange = AsgiClient(poll).begin("GET", "/")
    await polling.wait()
    await exchange.go_away()
    assert received == ["http.request", "http.disconnect"]
    assert not exchange.answered
    with pytest.raises(RuntimeError, match="without an answer"):
        await exchange.response()


async def test_an_answer_that_has_begun_shows() -> None:
    """`answered` is false before the application answers, and true once it has."""
    exchange = AsgiClient(echo).begin("GET", "/")
    assert not exchange.answered
    await exchange.response()
    assert exchange.answered


async def test_what_the_application_raises_reaches_the_caller() -> None:
    """An application's exception is raised by `response`, and silence is a RuntimeError."""
    with pytest.raises(ZeroDivisionError):
        await AsgiClient(failing(ZeroDivisionError())).request("GET", "/")
    with pytest.raises(RuntimeError, match="without an answer"):
        await AsgiClient(failing(None)).request("GET", "/")
