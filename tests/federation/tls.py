"""Real servers over TLS on this machine, with certificates of an authority made for the tests."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import trustme
from aiohttp import web

from lamplighter.domains import IPAddress
from lamplighter.federation.transport import Transport, tls_context

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK: Final = "127.0.0.1"


@cache
def authority() -> trustme.CA:
    """The authority that the clients of the tests trust."""
    return trustme.CA()


@cache
def trusting_context() -> ssl.SSLContext:
    """Return the context of a client that trusts the authority too."""
    context = tls_context(verify=True)
    authority().configure_trust(context)
    return context


def admit_all(address: IPAddress) -> bool:
    """Admit any address."""
    return True


@dataclass
class TlsServer:
    """A server that listens, and the requests that it has received."""

    port: int = 0
    requests: list[web.Request] = field(default_factory=list)
    #: The server names that clients sent; None if a client sent none.
    server_names: list[str | None] = field(default_factory=list)

    def seen(self) -> list[tuple[str, str, str]]:
        """Return method, `Host` header and path of each request."""
        return [(it.method, it.headers["Host"], it.raw_path) for it in self.requests]


def dripping(began: asyncio.Event) -> Handler:
    """Return a handler that sends the first byte of its answer, sets *began*, and hangs."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        began.set()
        await asyncio.Event().wait()
        return response

    return drip


@asynccontextmanager
async def tls_server(
    handler: Handler, *names: str, by: trustme.CA | None = None
) -> AsyncIterator[TlsServer]:
    """Serve on a free port, with a certificate for *names*."""
    server = TlsServer()

    async def handle(request: web.Request) -> web.StreamResponse:
        server.requests.append(request)
        return await handler(request)

    def note_name(_: object, name: str | None, __: object) -> None:
        server.server_names.append(name)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    (by or authority()).issue_cert(*names).configure_cert(context)
    context.sni_callback = note_name
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    # A handler that never answers ends with its client.
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0, ssl_context=context).start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_transport(
    context: ssl.SSLContext | None = None, admits: Callable[[IPAddress], bool] = admit_all
) -> AsyncIterator[Transport]:
    """Open a transport that trusts the authority, and close it afterwards."""
    transport = Transport(context or trusting_context(), admits)
    try:
        yield transport
    finally:
        await transport.close()
