"""The HTTP client for modules, against a server on this machine."""

import io
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.synapse.errors import HttpResponseException


async def echo(request: web.Request) -> web.Response:
    """Return the request as JSON."""
    seen = {
        "method": request.method,
        "query": [list(pair) for pair in request.query.items()],
        "type": request.headers.get("Content-Type"),
        "accept": request.headers.get("Accept"),
        "custom": request.headers.getall("X-Custom", []),
        "agent": request.headers["User-Agent"].split("/")[0],
        "body": await request.text(),
    }
    return web.json_response(seen)


async def fail(request: web.Request) -> web.Response:
    """Refuse."""
    return web.Response(status=404, text="nothing here")


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """A server on a free port; its base URL."""
    app = web.Application()
    app.router.add_route("*", "/echo", echo)
    app.router.add_get("/fail", fail)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[SimpleHttpClient]:
    """A client, closed after the test."""
    client = SimpleHttpClient()
    yield client
    await client.close()


JSON = "application/json"


async def test_get_json(server: str, client: SimpleHttpClient) -> None:
    """GET sends arguments, repeated ones too, and headers, and decodes JSON."""
    headers = {b"X-Custom": [b"one", b"two"]}
    assert await client.get_json(f"{server}/echo?z=0", {"a": "1", "b": ["2", "3"]}, headers) == {
        "method": "GET",
        "query": [["z", "0"], ["a", "1"], ["b", "2"], ["b", "3"]],
        "type": None,
        "accept": JSON,
        "custom": ["one", "two"],
        "agent": "Lamplighter",
        "body": "",
    }


async def test_put_and_post_json(server: str, client: SimpleHttpClient) -> None:
    """PUT and POST send JSON and decode JSON."""
    put = await client.put_json(f"{server}/echo", {"x": 1}, {"a": "b c"})
    post = await client.post_json_get_json(f"{server}/echo", [1], {"X-Custom": ["y"]})
    wanted = ("method", "query", "type", "custom", "body")
    assert [put[name] for name in wanted] == ["PUT", [["a", "b c"]], JSON, [], '{"x": 1}']
    assert [post[name] for name in wanted] == ["POST", [], JSON, ["y"], "[1]"]


async def test_post_form(server: str, client: SimpleHttpClient) -> None:
    """A form is URL-encoded."""
    seen = await client.post_urlencoded_get_json(f"{server}/echo", {"a": "ü&", "b": ["1", "2"]})
    assert seen["type"] == "application/x-www-form-urlencoded"
    assert seen["body"] == "a=%C3%BC%26&b=1&b=2"


async def test_get_raw_and_file(server: str, client: SimpleHttpClient) -> None:
    """A body can be read as bytes, or written into a stream up to a size."""
    raw = await client.get_raw(f"{server}/echo")
    stream = io.BytesIO()
    length, headers, url, status = await client.get_file(f"{server}/echo", stream)
    assert raw.startswith(b'{"method": "GET"')
    assert (length, url, status) == (len(stream.getvalue()), f"{server}/echo", 200)
    assert headers[b"Content-Type"] == [b"application/json; charset=utf-8"]
    with pytest.raises(ValueError, match="larger than 3 bytes"):
        await client.get_file(f"{server}/echo", io.BytesIO(), max_size=3)


async def test_other_status(server: str, client: SimpleHttpClient) -> None:
    """A status other than 2xx raises, with status, reason and body."""
    with pytest.raises(HttpResponseException) as raised:
        await client.get_json(f"{server}/fail")
    error = raised.value
    assert (error.code, error.msg, error.response) == (404, "Not Found", b"nothing here")


async def test_close_without_use() -> None:
    """A client that was never used opens nothing, and can be closed."""
    await SimpleHttpClient().close()
