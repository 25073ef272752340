"""Listening at an address, and accepting connections."""

import asyncio
import errno
import logging
import resource
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from lamplighter.clock import Timer, after
from lamplighter.config import Address
from lamplighter.errors import ConfigError
from lamplighter.web.http.connection import Connection
from lamplighter.web.http.server import HttpServer
from lamplighter.web.http.settings import MOST_CONNECTIONS

__all__ = [
    "Certificate",
    "Listener",
    "certificate_context",
    "listening_socket",
    "room_for_connections",
    "room_within",
]

#: How many connections may wait to be taken: after a restart many come at once.
_BACKLOG: Final = 4_096
#: How long a client may take for the handshake of TLS.
_HANDSHAKE: Final = timedelta(seconds=10)
#: How many connections are taken in one cycle of the event loop.
_AT_ONCE: Final = 64
#: When the listener tries again to take connections after there was no descriptor for one.
_RETRY: Final = timedelta(seconds=1)
#: How many descriptors are for files and for connections to other servers.
_DESCRIPTORS_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files, in PEM, with which a listener proves by TLS which server it is."""

    chain: Path
    private_key: Path


class Listener:
    """Gives *server* the connections that come to one address, between `start` and `stop`.

    The listener accepts connections itself. uvloop would accept one in each cycle of the event
    loop, so that the client behind a crowd of N waits for N cycles. And where the process has no
    descriptor left, uvloop would close connections without a notice.

    The listener takes a place for each connection, so that the server has a descriptor for it. If
    the machine has none nevertheless, the listener counts and logs that, and pauses for a second.
    """

    def __init__(
        self,
        server: HttpServer,
        address: Address,
        *,
        certificate: Certificate | None = None,
        section: str = "",
    ) -> None:
        """Serve plain HTTP, or TLS 1.2 and later with a *certificate*.

        *section* is where the configuration has the address, such as `federation.`.
        Raises `ConfigError` if the certificate cannot be used.
        """
        self._server = server
        self._address = address
        self._section = section
        self._tls = None if certificate is None else certificate_context(certificate, section)
        self._socket: socket.socket | None = None
        self._retry: Timer | None = None
        #: The connections that are being set up: for TLS, until the handshake is done.
        self._coming: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Return once connections are taken; raise `ConfigError` if the address cannot be used."""
        self._socket = listening_socket(self._address, self._section)
        self._listen()

    async def stop(self) -> None:
        """Take no connection any more, and return once the requests in progress are answered.

        The server answers those with 503 that take too long.
        """
        if self._socket is None:
            return
        self._pause()
        self._socket.close()
        self._socket = None
        for task in self._coming:
            task.cancel()
        await asyncio.gather(*self._coming, return_exceptions=True)
        if not await self._server.stop():
            logging.getLogger(__name__).warning("requests were cut off at %s", self._address)

    def _listen(self) -> None:
        if self._socket is not None:
            self._retry = None
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _pause(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        elif self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)

    def _accept(self) -> None:
        """Take at most `_AT_ONCE` of the connections that wait, so that others are served too."""
        assert self._socket is not None  # it is readable
        for _ in range(_AT_ONCE):
            try:
                taken, _address = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:  # the process or the machine has no descriptor left, or no memory
                self._server.refused()
                self._pause()
                clock = self._server.clock
                self._retry = clock.call_at(after(clock.now(), _RETRY), self._listen)
                return
            connection = self._server.connect()
            if connection is None:
                taken.close()
                continue
            taken.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._set_up(taken, connection))
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)

    async def _set_up(self, taken: socket.socket, connection: Connection) -> None:
        """Give *connection* a transport on the socket *taken*, which then is the loop's."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                taken,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else _HANDSHAKE.total_seconds(),
            )
        except OSError:  # the client is gone, or takes part in no handshake
            self._server.forget(connection)
        except BaseException:
            self._server.forget(connection)
            raise


def certificate_context(certificate: Certificate, section: str) -> ssl.SSLContext:
    """Return the TLS context for *certificate*; raise `ConfigError` if the files cannot be used."""
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
        # Without a password, OpenSSL would ask for that of an encrypted key at the terminal.
        context.load_cert_chain(certificate.chain, certificate.private_key, password="")
    except (ssl.SSLError, ValueError) as error:
        problem = f"{certificate.chain} and {certificate.private_key} do not go together: {error}"
        raise ConfigError(f"{section}tls_certificate: {problem}") from None
    return context


def listening_socket(address: Address, section: str) -> socket.socket:
    """Return a socket that listens at *address*, unless another one does already.

    Raises `ConfigError`, which names the key of the configuration in *section*.
    """
    listening: socket.socket | None = None
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The sockets of the connections inherit it: a response does not wait for more to send.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(name)
        listening.listen(_BACKLOG)
    except OSError as error:
        if listening is not None:
            listening.close()
        what = (
            "is in use: give another address, or end what listens there"
            if error.errno == errno.EADDRINUSE
            else f"cannot be used: {error}"
        )
        raise ConfigError(f"{section}listen: {address} {what}") from None
    return listening


def room_for_connections() -> int:
    """Return how many connections a server may have, so that descriptors are left for files.

    The limit of the process is raised as far as the machine allows. A process without a free
    descriptor could neither take a connection nor open the database.
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
    """Return how many connections a process may have that may open that many *descriptors*."""
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, descriptors - min(_DESCRIPTORS_KEPT, descriptors // 2)))
