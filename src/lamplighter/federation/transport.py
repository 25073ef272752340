"""HTTP over TLS to addresses that `discovery.py` has chosen.

aiohttp gets IP addresses and never resolves a name. So each connection goes to an address that was
admitted, even if DNS gives another answer a moment later. The transport follows no redirect and
keeps no cookie.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from lamplighter import __version__
from lamplighter.domains import IPAddress
from lamplighter.errors import ConfigError, RemoteUnreachable
from lamplighter.federation.discovery import Target

__all__ = ["Answer", "Transport", "tls_context"]

#: The time-out for a connection to one endpoint, including TLS. Then the next endpoint is tried.
CONNECT_TIMEOUT: Final = timedelta(seconds=10)
_CHUNK: Final = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of another server."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class Transport:
    """Connections to other servers, opened at first use and kept open for a while."""

    def __init__(self, tls: ssl.SSLContext, admits: Callable[[IPAddress], bool]) -> None:
        self._tls = tls
        self._admits = admits
        self._session: aiohttp.ClientSession | None = None

    async def exchange(
        self,
        target: Target,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int,
    ) -> Answer:
        """Send one request with an encoded *path*, and return the answer.

        There is no time-out for the whole request: the caller must set one. Raises
        `RemoteUnreachable` if no endpoint accepts a connection, if the answer breaks off, or if the
        answer is longer than *limit* bytes.
        """
        sent = CIMultiDict(headers or {})
        sent["Host"] = target.host_header
        fault: Exception | None = None
        for endpoint in target.endpoints:
            address = endpoint.address
            if not self._admits(address):
                raise RemoteUnreachable(f"{address} may not be contacted")
            host = f"[{address}]" if address.version == 6 else str(address)
            url = URL(f"https://{host}:{endpoint.port}{path}", encoded=True)
            try:
                async with self._open().request(
                    method,
                    url,
                    headers=sent,
                    data=body,
                    allow_redirects=False,
                    server_hostname=target.tls_name,
                ) as response:
                    return Answer(response.status, response.headers, await _read(response, limit))
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                fault = error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                fault = error
                break
        if isinstance(fault, asyncio.TimeoutError):
            reason = "no connection in time"
        else:
            reason = str(fault) or type(fault).__name__
        raise RemoteUnreachable(f"{target.host_header}: {reason}") from None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # No limit here: the sender limits the number of requests under way, fairly.
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, resolver=_NoNames()),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT.total_seconds()),
                # A small compressed answer could become gigabytes.
                auto_decompress=False,
                headers={
                    "User-Agent": f"Lamplighter/{__version__}",
                    "Accept-Encoding": "identity",
                },
            )
        return self._session


class _NoNames(aiohttp.abc.AbstractResolver):
    """Refuses to look up a name: `discovery.py` has looked up all names before."""

    async def resolve(self, host: str, *_: object, **__: object) -> list[aiohttp.abc.ResolveResult]:
        raise OSError(f"{host} should have been resolved before")

    async def close(self) -> None:
        """There is nothing to close."""


def tls_context(*, verify: bool, extra_ca_files: Iterable[Path] = ()) -> ssl.SSLContext:
    """Return how servers are verified: by the machine's authorities and those in the files.

    Without *verify*, any certificate will do. Raises `ConfigError` for a file that is no use.
    """
    context = ssl.create_default_context()
    for path in extra_ca_files:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise ConfigError(f"{path}: not a file of certificates (PEM): {error}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    read = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        read += chunk
        if len(read) > limit:
            raise RemoteUnreachable(f"the answer is longer than {limit} bytes")
    return bytes(read)
