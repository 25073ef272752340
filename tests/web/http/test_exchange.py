"""Direct endpoints behind ASGI, as in tests and in the server in memory."""

import asyncio

from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from lamplighter.devtools.http import AsgiClient, Message
from lamplighter.devtools.http import Exchange as Asked
from lamplighter.web.body import MAX_BODY
from lamplighter.web.http.exchange import Direct, Exchange, serve_direct
from tests.web.http.peer import CORS, Endpoint


def client_of(direct: Direct) -> AsgiClient:
    """Return a client whose requests *direct* answers."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await serve_direct(direct, scope, receive, send)

    return AsgiClient(application)


async def asking(endpoint: Endpoint, query: str = "1") -> Asked:
    """Return a request that waits at *endpoint*."""
    asked = client_of(endpoint).begin("GET", "/poll", query={"a": query}, token="t")
    await asked.waiting()
    return asked


async def test_what_is_asked() -> None:
    """An endpoint sees all of the request; its headers only until it returns."""
    seen: list[object] = []

    def look(exchange: Exchange) -> None:
        seen.extend((exchange.method, exchange.path, exchange.query, exchange.authorization))
        seen.append(dict(exchange.headers)[b"x"])
        asyncio.get_running_loop().call_soon(later, exchange)

    def later(exchange: Exchange) -> None:
        seen.append(list(exchange.headers))
        exchange.answer(200, b"{}")

    client = client_of(look)
    await client.request("GET", "/a", query={"b": " "}, token="t", headers={"X": "y"}, body=b"{}")
    assert seen == ["GET", "/a", "b=+", b"Bearer t", b"y", []]


async def test_answering_later() -> None:
    """An answer may come at any time; it is JSON, and web clients may read it."""
    endpoint = Endpoint()
    asked = await asking(endpoint)
    [exchange] = endpoint.waiting
    exchange.answer(429, b"{}", ((b"retry-after", b"1"),))
    exchange.answer(200, b"again")
    response = await asked.response()
    assert (response.status, response.body) == (429, b"{}")
    cors = dict(line.split(": ", 1) for line in CORS.splitlines())
    assert response.headers == {
        "content-type": "application/json",
        "content-length": "2",
        "retry-after": "1",
        **cors,
    }
    assert endpoint.gone == []


async def test_going_away() -> None:
    """Who goes away before the answer is told of, once, and not waited for."""
    endpoint = Endpoint()
    asked = await asking(endpoint)
    await asked.go_away()
    endpoint.answer()
    assert (endpoint.gone, asked.answered) == (["a=1"], False)


async def test_an_answer_to_the_going() -> None:
    """What an endpoint answers when its client goes is sent: it may listen still."""
    sent: list[object] = []

    def answer_at_the_end(exchange: Exchange) -> None:
        exchange.when_gone = lambda: exchange.answer(200, b"{}")

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": []}
    await serve_direct(answer_at_the_end, scope, receive, send)
    assert sent[1:] == [{"type": "http.response.body", "body": b"{}"}]


async def test_being_cut_off() -> None:
    """An endpoint lets go of a request that is ended from outside."""
    endpoint = Endpoint()

    async def receive() -> dict[str, object]:
        if endpoint.waiting:
            await asyncio.Event().wait()
        return {"type": "http.request"}

    async def send(message: object) -> None:
        raise AssertionError("there is no answer")

    scope = {"method": "GET", "path": "/", "query_string": b"q", "headers": []}
    task = asyncio.ensure_future(serve_direct(endpoint, scope, receive, send))
    while not endpoint.waiting:
        await asyncio.to_thread(lambda: None)
    task.cancel()
    await asyncio.wait({task})
    assert (task.cancelled(), endpoint.gone) == (True, ["q"])


async def test_a_defect() -> None:
    """An endpoint that fails is answered for, and it is logged."""

    def fail(exchange: Exchange) -> None:
        raise ValueError

    with capture_logs() as logs:
        response = await client_of(fail).request("GET", "/poll")
    assert (response.status, response.json["errcode"]) == (500, "M_UNKNOWN")
    assert [(line["event"], line["path"]) for line in logs] == [("request failed", "/poll")]


async def test_a_body() -> None:
    """Of a PUT the endpoint has all of the body, in however many pieces it came; of a GET none."""
    bodies: list[bytes] = []

    def read(exchange: Exchange) -> None:
        bodies.append(exchange.body)
        exchange.answer(200, b"{}")

    for method in ("PUT", "GET"):
        await client_of(read).request(method, "/a", body=b'{"a": 1}')
    assert bodies == [b'{"a": 1}', b""]


async def test_too_large_a_body() -> None:
    """Of a body that is too large no more is read than shows that it is."""
    sizes: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    async def send(message: object) -> None:
        """Nobody listens."""

    def read(exchange: Exchange) -> None:
        sizes.append(len(exchange.body))
        exchange.answer(413, b"{}")

    scope = {"method": "PUT", "path": "/", "query_string": b"", "headers": []}
    async with asyncio.timeout(300):
        asked = asyncio.ensure_future(serve_direct(read, scope, receive, send))
        while not sizes:
            await asyncio.to_thread(lambda: None)
    asked.cancel()
    assert sizes == [MAX_BODY + 1024]


async def test_a_body_that_ends_early() -> None:
    """Who goes in the middle of a body has sent no JSON; the endpoint is not asked."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"method": "PUT", "path": "/", "query_string": b"", "headers": []}
    endpoint = Endpoint()
    await serve_direct(endpoint, scope, receive, send)
    assert (endpoint.waiting, sent[0]["status"]) == ([], 400)
    assert b"M_NOT_JSON" in sent[1]["body"]
