"""Requests to other servers, over real TLS, with real signatures and real discovery."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from signedjson.key import get_verify_key

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import RemoteRefused, RemoteUnreachable
from lamplighter.federation.client import FederationClient
from lamplighter.federation.discovery import Discovery, Locator
from lamplighter.federation.keyring import Keyring
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.resolver import Service
from lamplighter.federation.signing import (
    key_id_of,
    parse_authorization,
    request_object,
    verify_request,
)
from lamplighter.ids import ServerName
from tests.federation.names import FixedResolver, no_delegation
from tests.federation.tls import (
    LOOPBACK,
    Handler,
    TlsServer,
    admit_all,
    dripping,
    open_transport,
    tls_server,
)

HERE: Final = ServerName("here.example")
THERE: Final = ServerName("there.example")
NOW: Final = Timestamp(1_704_067_200_000)


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    """Our own keys."""
    return SigningKeys.load_or_create(tmp_path / "signing.key", HERE)


@asynccontextmanager
async def speaking_to(
    handler: Handler, keys: SigningKeys, clock: FakeClock | None = None
) -> AsyncIterator[tuple[FederationClient, TlsServer, FixedResolver]]:
    """Open a client, and the server `THERE`, which has an SRV record."""
    async with tls_server(handler, THERE) as server, open_transport() as transport:
        record = Service(0, 0, server.port, "host.example")
        names = FixedResolver({"host.example": [LOOPBACK]}, {f"_matrix-fed._tcp.{THERE}": [record]})
        discovery = Discovery(Locator(names, admit_all), no_delegation)
        yield FederationClient(keys, discovery, transport, clock or FakeClock()), server, names


def answering(body: str | bytes, status: int = 200) -> Handler:
    """Return a handler that always answers the same."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, status=status)

    return handle


CONTENT: Final = {"edus": [{"b": 1, "a": "ü"}], "origin": HERE}


@pytest.mark.parametrize("content", [None, {}, CONTENT])
async def test_a_signed_request(keys: SigningKeys, content: dict[str, Any] | None) -> None:
    """A request arrives at the right server, with a signature of what the server received."""
    async with speaking_to(answering('{"pdus": {}}'), keys) as (client, server, _):
        path = "/_matrix/federation/v1/send/a%2Fb?c=%40d"
        assert await client.request(THERE, "PUT", path, content) == {"pdus": {}}
        request = server.requests[0]
        received = await request.read()
    assert (server.seen(), server.server_names) == ([("PUT", THERE, path)], [THERE])
    authorization = parse_authorization(request.headers["Authorization"])
    assert (authorization.origin, authorization.destination) == (HERE, THERE)
    assert authorization.key_id == key_id_of(keys.signing)
    signed = request_object(origin=HERE, destination=THERE, method="PUT", uri=path, content=content)
    verify_request(signed, authorization, get_verify_key(keys.signing))
    assert (json.loads(received) if received else None) == content
    type_sent = request.headers.get("Content-Type")
    assert (type_sent == "application/json") == (content is not None)


@pytest.mark.parametrize(
    ("status", "body", "errcode"),
    [
        (403, '{"errcode": "M_FORBIDDEN", "error": "no"}', "M_FORBIDDEN"),
        (429, '{"errcode": "M_LIMIT_EXCEEDED"}', "M_LIMIT_EXCEEDED"),
        (404, "<html>", None),
        (500, "", None),
        (500, '{"errcode": 5}', None),
        (500, '{"errcode": "\\n"}', None),
        (500, json.dumps({"errcode": "M" * 101}), None),
        (302, "{}", None),
    ],
)
async def test_a_refusal(keys: SigningKeys, status: int, body: str, errcode: str | None) -> None:
    """A status other than 2xx is a refusal, with the errcode if it is well-formed."""
    async with speaking_to(answering(body, status), keys) as (client, _, _):
        with pytest.raises(RemoteRefused) as raised:
            await client.request(THERE, "GET", "/")
    assert (raised.value.status, raised.value.errcode) == (status, errcode)


@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", "5", "null", b'{"a": "\xff"}', '{"a":' * 40_000]
)
async def test_an_answer_that_is_no_object(keys: SigningKeys, body: str | bytes) -> None:
    """An answer that is not a JSON object counts as unreachable."""
    async with speaking_to(answering(body), keys) as (client, _, _):
        with pytest.raises(RemoteUnreachable) as raised:
            await client.request(THERE, "GET", "/")
    assert str(raised.value) == "there.example answers something that is not a JSON object"


async def test_an_answer_that_is_too_long(keys: SigningKeys) -> None:
    """An answer may have 256 KiB, one with keys 32 KiB."""
    fits, long = (json.dumps({"x": "x" * (size - 9)}) for size in (32 * 1024, 32 * 1024 + 1))
    async with speaking_to(answering(fits), keys) as (client, _, _):
        assert len((await client.server_keys(THERE))["x"]) == 32 * 1024 - 9
    async with speaking_to(answering(long), keys) as (client, _, _):
        assert len((await client.request(THERE, "GET", "/"))["x"]) == 32 * 1024 - 8
        with pytest.raises(RemoteUnreachable, match=r"^the answer is longer than 32768 bytes$"):
            await client.server_keys(THERE)
    async with speaking_to(answering(long * 8), keys) as (client, _, _):
        with pytest.raises(RemoteUnreachable, match=r"^the answer is longer than 262144 bytes$"):
            await client.request(THERE, "GET", "/")


async def test_a_server_that_does_not_answer(keys: SigningKeys) -> None:
    """A request ends at its time-out, even if the answer arrives byte by byte."""
    began, clock = asyncio.Event(), FakeClock()
    async with speaking_to(dripping(began), keys, clock) as (client, _, names):
        patience = timedelta(seconds=3)
        asking = asyncio.create_task(client.request(THERE, "GET", "/", timeout=patience))
        await began.wait()
        clock.advance(seconds=2.999)
        await asyncio.wait([asking], timeout=0)
        assert not asking.done()
        clock.advance(seconds=0.001)
        with pytest.raises(RemoteUnreachable, match=r"^there\.example does not answer in time$"):
            await asking
        # The server may have moved, so it is looked up again.
        began.clear()
        again = asyncio.create_task(client.request(THERE, "GET", "/"))
        await began.wait()
        assert names.services_asked == 2
        again.cancel()
        await asyncio.wait([again])


async def test_where_a_server_is_is_remembered(keys: SigningKeys) -> None:
    """A server is looked up once, and again after a request to it failed."""
    answers = [web.Response(body="{}"), web.Response(body="{}"), None, web.Response(body="{}")]

    async def handle(request: web.Request) -> web.Response:
        answer = answers.pop(0)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer

    async with speaking_to(handle, keys) as (client, _, names):
        for _ in range(2):
            await client.request(THERE, "POST", "/")
        assert names.services_asked == 1
        with pytest.raises(RemoteUnreachable):
            await client.request(THERE, "POST", "/")
        await client.request(THERE, "POST", "/")
        assert names.services_asked == 2


async def test_it_fetches_keys(keys: SigningKeys, tmp_path: Path) -> None:
    """The client fetches keys with an unsigned request."""
    theirs = SigningKeys.load_or_create(tmp_path / "their.key", THERE)
    published = theirs.server_keys(NOW, timedelta(hours=1))
    async with speaking_to(answering(json.dumps(published)), keys) as (client, server, _):
        key = await Keyring(client.server_keys).verify_key(
            THERE, key_id_of(theirs.signing), NOW, "192.0.2.1"
        )
        assert key.encode() == get_verify_key(theirs.signing).encode()
        assert server.seen() == [("GET", THERE, "/_matrix/key/v2/server")]
        assert "Authorization" not in server.requests[0].headers
