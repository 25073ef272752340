"""Granian, one per address to listen on, in our own event loop."""

import asyncio
import errno
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.types import ASGIApp

from lamplighter.clock import Clock, milliseconds, within
from lamplighter.config import Address
from lamplighter.errors import ConfigError
from lamplighter.web.bodies import BodiesInTime
from lamplighter.web.under_way import UnderWay

__all__ = ["Certificate", "Listener"]

#: Granian counts requests in flight against this, and a long poll is in flight all the time: with
#: its default of 128, the 129th client would wait for another's poll to end.
_MOST_IN_FLIGHT: Final = 200_000
_BACKLOG: Final = 4_096
#: How long a client may take for the head of a request, and then again for its body. As long may
#: a connection be idle. For the handshake of TLS, Granian gives ten seconds.
_SLOWEST: Final = timedelta(seconds=30)
#: How long a request that is under way may take when the server stops; polls are answered before.
_PATIENCE: Final = timedelta(seconds=5)
#: How long Granian may take for itself. It would wait for ever for a client that has opened a
#: connection and sent half of a request's head.
_GRACE: Final = timedelta(seconds=1)


#: Blocks of PEM. OpenSSL knows more ways to write them than Granian, which aborts the process.
_CERTIFICATE: Final = re.compile(
    r"^-----BEGIN CERTIFICATE-----[ \t]*$.*?^-----END CERTIFICATE-----", re.MULTILINE | re.DOTALL
)
_PRIVATE_KEY: Final = re.compile(r"^-----BEGIN (RSA |EC )?PRIVATE KEY-----", re.MULTILINE)
#: How the keys that Granian knows stand in a certificate, in DER: RSA, P-256, P-384, Ed25519.
_KINDS_OF_KEYS: Final = tuple(
    bytes.fromhex(it)
    for it in (
        "06092a864886f70d010101",
        "06082a8648ce3d030107",
        "06052b81040022",
        "300506032b6570032100",
    )
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a listener proves by TLS who it is with: files in PEM."""

    chain: Path
    private_key: Path


class Listener:
    """Serves an ASGI application at one address, between `start` and `stop`."""

    def __init__(
        self,
        application: ASGIApp,
        address: Address,
        clock: Clock,
        *,
        certificate: Certificate | None = None,
        section: str = "",
        slowest: timedelta = _SLOWEST,
    ) -> None:
        """Serve plain HTTP, or TLS 1.2 and later with a *certificate*.

        *section* is where the configuration has the address, such as `federation.`. Who takes
        longer than *slowest* for the head of a request, or for its body, is not waited for.
        """
        self._address = address
        self._certificate = certificate
        self._section = section
        self._clock = clock
        if certificate is not None:
            _check_certificate(certificate, section)
        self._requests = UnderWay(BodiesInTime(application, clock, slowest))
        self._server = _Server(
            self._requests,
            address=address.host,
            port=address.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=_MOST_IN_FLIGHT,
            http1_settings=HTTP1Settings(header_read_timeout=milliseconds(slowest)),
            log_enabled=False,
            ssl_cert=certificate and certificate.chain,
            ssl_key=certificate and certificate.private_key,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once connections are taken.

        Raises `ConfigError` if the address or the certificate cannot be used.
        """
        _check_free(self._address, self._section)
        # It says at every start that to be embedded is experimental.
        logging.getLogger("_granian").setLevel(logging.ERROR)
        self._serving = asyncio.get_running_loop().create_task(self._server.serve())
        ready = asyncio.ensure_future(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            ended, self._serving = self._serving, None
            problem = ended.exception()
            raise ConfigError(f"{self._section}listen: {self._address}: {problem}")

    async def stop(self) -> None:
        """Take no more connections, and return once the requests under way are answered.

        Those that take too long, by their own fault or their client's, are told to come again.
        """
        if self._serving is None:
            return
        self._server.stop()  # type: ignore[no-untyped-call] # Granian's is not typed
        if await self._done_within(_GRACE, asyncio.shield(self._serving)):
            return
        if not await self._done_within(_PATIENCE, self._requests.ended()):
            logging.getLogger(__name__).warning("requests were cut off at %s", self._address)
            self._requests.cut_off()
        await self._done_within(_GRACE, self._serving)

    async def _done_within(self, limit: timedelta, work: Awaitable[None]) -> bool:
        try:
            await within(self._clock, limit, work)
        except TimeoutError:
            return False
        return True


class _Server(Server):
    """Granian's, which does not tell by itself when it listens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ready = asyncio.Event()

    def startup(self, spawn_target: Callable[..., Any], target_loader: Callable[..., Any]) -> None:
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call] # as above
        self.ready.set()


def _check_certificate(certificate: Certificate, section: str) -> None:
    """Raise `ConfigError` if the files are not a certificate and its key."""
    chain = _read(certificate.chain, f"{section}tls_certificate")
    private_key = _read(certificate.private_key, f"{section}tls_private_key")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A key under a pass phrase would make it ask whoever starts the server.
        context.load_cert_chain(certificate.chain, certificate.private_key, password="")
    except (ssl.SSLError, ValueError) as error:
        problem = f"{certificate.chain} and {certificate.private_key} do not go together: {error}"
        raise ConfigError(f"{section}tls_certificate: {problem}") from None
    leaf = _CERTIFICATE.search(chain)
    if leaf is None or not any(it in ssl.PEM_cert_to_DER_cert(leaf[0]) for it in _KINDS_OF_KEYS):
        allowed = "a certificate in PEM, for a key of RSA, P-256, P-384 or Ed25519"
        raise ConfigError(f"{section}tls_certificate: {certificate.chain} is not {allowed}")
    if not _PRIVATE_KEY.search(private_key):
        problem = f"{certificate.private_key} is not a private key in PEM"
        raise ConfigError(f"{section}tls_private_key: {problem}")


def _read(path: Path, key: str) -> str:
    try:
        return path.read_bytes().decode("latin-1").replace("\r", "")
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be read: {error.strerror}") from None


def _check_free(address: Address, section: str) -> None:
    """Raise `ConfigError` if somebody listens there: Granian would share the port with them."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise ConfigError(f"{section}listen: {address} {what}") from None
