"""What listens at an address, and how it stops."""

import asyncio
import errno
import logging
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp

from lamplighter.clock import Clock, within
from lamplighter.config import Address
from lamplighter.errors import ConfigError
from lamplighter.web.bodies import BodiesInTime
from lamplighter.web.http.connection import Connection
from lamplighter.web.http.exchange import Direct, FindDirect
from lamplighter.web.http.hub import MOST_CONNECTIONS, Hub, no_put
from lamplighter.web.http.timeouts import Patience
from lamplighter.web.under_way import UnderWay

__all__ = [
    "MOST_TO_ANSWER",
    "Certificate",
    "Listener",
    "bound",
    "certificate_context",
    "room_within",
]

#: How many connections may wait to be taken: a crowd comes at once after a restart.
_BACKLOG: Final = 4_096
#: How long a client may take for the head of a request; a connection may be idle for longer.
_SLOWEST: Final = timedelta(seconds=30)
#: How long a client may take for the handshake of TLS.
_HANDSHAKE: Final = timedelta(seconds=10)
#: How long a request that is under way may take when the server stops; polls are answered before.
_PATIENCE: Final = timedelta(seconds=5)
#: How long it may then take to tell those who were cut off, and to send what has been answered.
_GRACE: Final = timedelta(seconds=1)
#: How long a listener takes to stop at most.
MOST_TO_ANSWER: Final = _PATIENCE + 2 * _GRACE

#: How many descriptors of files are not for connections of this listener.
_DESCRIPTORS_KEPT: Final = 200

_NO_DIRECT: Final[Mapping[str, Direct]] = {}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a listener proves by TLS who it is with: files in PEM."""

    chain: Path
    private_key: Path


class Listener:
    """Serves an ASGI application at one address, between `start` and `stop`.

    A GET at one of the paths of *direct* is answered by that function, past the application; a PUT
    by the one that *find_put* returns.
    """

    def __init__(
        self,
        application: ASGIApp,
        address: Address,
        clock: Clock,
        *,
        certificate: Certificate | None = None,
        section: str = "",
        direct: Mapping[str, Direct] = _NO_DIRECT,
        find_put: FindDirect = no_put,
        slowest: timedelta = _SLOWEST,
        count_refused: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve plain HTTP, or TLS 1.2 and later with a *certificate*.

        *section* is where the configuration has the address, such as `federation.`. Who takes
        longer than *slowest* for the head of a request, or for its body, is not waited for.
        *count_refused* is called for each connection that there is no descriptor for.
        Raises `ConfigError` if the certificate cannot be used.
        """
        self._address = address
        self._section = section
        self._clock = clock
        self._tls = None if certificate is None else certificate_context(certificate, section)
        self._requests = UnderWay(BodiesInTime(application, clock, slowest))
        patience = Patience(receiving=slowest, idle=slowest * 2.5)
        self._hub = Hub(
            self._requests,
            direct,
            clock,
            find_put=find_put,
            patience=patience,
            most_connections=_room_for_connections(),
            count_refused=count_refused,
        )
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Return once connections are taken; raise `ConfigError` if the address cannot be used."""
        place = bound(self._address, self._section)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._hub),
            sock=place,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else _HANDSHAKE.total_seconds(),
        )

    async def stop(self) -> None:
        """Take no more connections, and return once the requests under way are answered.

        Those that take too long, by their own fault or their client's, are told to come again.
        """
        if self._server is None:
            return
        self._server.close()
        self._hub.stop()
        if not await self._done_within(_PATIENCE, self._all_answered()):
            logging.getLogger(__name__).warning("requests were cut off at %s", self._address)
            self._requests.cut_off()
            self._hub.cut_off()
            await self._done_within(_GRACE, self._all_answered())
        if not await self._done_within(_GRACE, self._hub.empty()):
            self._hub.abort()
            await self._hub.empty()
        self._server = None

    async def _all_answered(self) -> None:
        await self._hub.quiet()
        await self._requests.ended()

    async def _done_within(self, limit: timedelta, work: Awaitable[None]) -> bool:
        try:
            await within(self._clock, limit, work)
        except TimeoutError:
            return False
        return True


def certificate_context(certificate: Certificate, section: str) -> ssl.SSLContext:
    """Return what serves with *certificate*; raise `ConfigError` if the files are none."""
    for key, path in (
        ("tls_certificate", certificate.chain),
        ("tls_private_key", certificate.private_key),
    ):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{section}{key}: {path} cannot be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key under a pass phrase would make it ask whoever starts the server.
        context.load_cert_chain(certificate.chain, certificate.private_key, password="")
    except (ssl.SSLError, ValueError) as error:
        problem = f"{certificate.chain} and {certificate.private_key} do not go together: {error}"
        raise ConfigError(f"{section}tls_certificate: {problem}") from None
    return context


def bound(address: Address, section: str) -> socket.socket:
    """Return a socket at *address*, which is shared with nobody who listens there already."""
    place: socket.socket | None = None
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        place = socket.socket(family, kind, protocol)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(name)
        place.listen(_BACKLOG)
    except OSError as error:
        if place is not None:
            place.close()
        what = (
            "is in use: give another address, or end what listens there"
            if error.errno == errno.EADDRINUSE
            else f"cannot be used: {error}"
        )
        raise ConfigError(f"{section}listen: {address} {what}") from None
    return place


def _room_for_connections() -> int:
    """Return how many connections leave descriptors for files, and for other servers.

    The limit of the process is raised as far as the machine allows. Who ran out of descriptors
    could neither take a connection nor open the database.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _DESCRIPTORS_KEPT
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with suppress(OSError, ValueError):  # the service may be forbidden to
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    return room_within(soft)


def room_within(descriptors: int) -> int:
    """Return how many connections a process may have that may open so many *descriptors*."""
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, descriptors - min(_DESCRIPTORS_KEPT, descriptors // 2)))
