"""`api.http_client`: an HTTP client for modules."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, BinaryIO, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from lamplighter import __version__
from lamplighter.modules.synapse.errors import HttpResponseException
from lamplighter.routing.containment import as_server

__all__ = ["SimpleHttpClient", "UnreachableHttpClient"]

#: Query arguments; a list is sent as several arguments with the same name.
QueryParams = Mapping[str, str | Sequence[str]]
#: Header names with lists of values, as str or as bytes.
RawHeaders = Mapping[str, Sequence[str]] | Mapping[bytes, Sequence[bytes]]

_JSON: Final = "application/json"
#: In seconds.
TIMEOUT: Final = aiohttp.ClientTimeout(total=60)


class SimpleHttpClient:
    """An HTTP client with its own connections, opened at the first use.

    Every method raises `HttpResponseException` for a status other than 2xx, and the exceptions of
    aiohttp if there is no response.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def get_json(
        self, uri: str, args: QueryParams | None = None, headers: RawHeaders | None = None
    ) -> Any:
        """GET; return the decoded JSON."""
        sent = _headers(headers, Accept=_JSON)
        return json.loads(await self._fetch("GET", _url(uri, args), sent, None))

    async def put_json(
        self,
        uri: str,
        json_body: Any,
        args: QueryParams | None = None,
        headers: RawHeaders | None = None,
    ) -> Any:
        """PUT a JSON body; return the decoded JSON."""
        body = json.dumps(json_body).encode()
        sent = _headers(headers, Accept=_JSON, Content_Type=_JSON)
        return json.loads(await self._fetch("PUT", _url(uri, args), sent, body))

    async def post_json_get_json(
        self, uri: str, post_json: Any, headers: RawHeaders | None = None
    ) -> Any:
        """POST a JSON body; return the decoded JSON."""
        body = json.dumps(post_json).encode()
        sent = _headers(headers, Accept=_JSON, Content_Type=_JSON)
        return json.loads(await self._fetch("POST", URL(uri), sent, body))

    async def post_urlencoded_get_json(
        self, uri: str, args: QueryParams | None = None, headers: RawHeaders | None = None
    ) -> Any:
        """POST a form; return the decoded JSON."""
        sent = _headers(headers, Accept=_JSON)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        form = URL().with_query(_pairs(args)).raw_query_string.encode()
        return json.loads(await self._fetch("POST", URL(uri), sent, form))

    async def get_raw(
        self, uri: str, args: QueryParams | None = None, headers: RawHeaders | None = None
    ) -> bytes:
        """GET; return the body."""
        return await self._fetch("GET", _url(uri, args), _headers(headers), None)

    async def get_file(
        self,
        url: str,
        output_stream: BinaryIO,
        max_size: int | None = None,
        headers: RawHeaders | None = None,
    ) -> tuple[int, dict[bytes, list[bytes]], str, int]:
        """GET into a stream; return length, headers, final URL and status.

        Raises `ValueError` if the file is larger than *max_size* bytes.
        """
        length = 0
        async with self._request("GET", url, _headers(headers)) as response:
            await _check(response)
            async for chunk in response.content.iter_chunked(65536):
                length += len(chunk)
                if max_size is not None and length > max_size:
                    raise ValueError(f"the file is larger than {max_size} bytes")
                output_stream.write(chunk)
            received: dict[bytes, list[bytes]] = {}
            for name, value in response.raw_headers:
                received.setdefault(name, []).append(value)
            return length, received, str(response.url), response.status

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _fetch(
        self, method: str, url: URL, headers: "CIMultiDict[str]", body: bytes | None
    ) -> bytes:
        async with self._request(method, url, headers, body) as response:
            await _check(response)
            return await response.read()

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str | URL,
        headers: "CIMultiDict[str]",
        body: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request as code of the server: its time-outs are no timers of the module."""
        with as_server():
            session = self._open()
            async with session.request(method, url, data=body, headers=headers) as response:
                yield response

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            agent = {"User-Agent": f"Lamplighter/{__version__}"}
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, headers=agent)
        return self._session


class UnreachableHttpClient(SimpleHttpClient):
    """A client without a network: every request fails."""

    def _open(self) -> aiohttp.ClientSession:
        raise aiohttp.ClientConnectionError("there is no network in a simulated world")


async def _check(response: aiohttp.ClientResponse) -> None:
    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        message = response.reason or "no reason given"
        raise HttpResponseException(response.status, message, await response.read())


def _url(uri: str, args: QueryParams | None) -> URL:
    return URL(uri).extend_query(_pairs(args)) if args else URL(uri)


def _pairs(args: QueryParams | None) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in (args or {}).items():
        values = [value] if isinstance(value, str) else value
        pairs += [(name, str(one)) for one in values]
    return pairs


def _headers(headers: RawHeaders | None, **defaults: str) -> "CIMultiDict[str]":
    """Return *headers* as text, with *defaults* for those that are missing."""
    sent: CIMultiDict[str] = CIMultiDict()
    for name, values in (headers or {}).items():
        for value in values:
            sent.add(_text(name), _text(value))
    for name, value in defaults.items():
        sent.setdefault(name.replace("_", "-"), value)
    return sent


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
