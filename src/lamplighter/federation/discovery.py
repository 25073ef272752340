"""Find the endpoints of a server: from a server name to addresses that may be contacted.

Implements <https://spec.matrix.org/latest/server-server-api/#resolving-server-names>; numbers in
comments are the steps there.

**Steps.** An IP address, or a name with a port, is used as it is (1, 2). Any other host is asked
for `/.well-known/matrix/server`, which may say that another server name stands for the host (3);
that name is not asked again. If the name has no port, its SRV records say where the server listens
(4, 5). If it has no SRV records either, the server listens at port 8448 of the name (6).

Example: `example.org` has a well-known document that says `matrix.example.org:443`. That name has a
port, so its addresses are looked up: 192.0.2.7. The target is the endpoint 192.0.2.7:443, whose
certificate must name `matrix.example.org`, and the `Host` header is `matrix.example.org:443`.

**Admitted addresses.** The other server chooses all these names and records. It could choose an
address in our own network, and make this server send requests to a machine there. So `Locator`
turns an address into an `Endpoint` only if *admits* allows the address (see `addresses.py`), and
the transport connects to that very address. A DNS answer that changes after the check has no
effect.
"""

import ipaddress
import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after
from lamplighter.domains import IPAddress, registrable_domain
from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.resolver import Resolver, Service
from lamplighter.ids import ServerName
from lamplighter.recent import Recent

__all__ = [
    "Discovery",
    "Endpoint",
    "HostPort",
    "Locator",
    "Target",
    "in_order",
    "split_name",
]

DEFAULT_PORT: Final = 8448
SERVICES: Final = ("_matrix-fed._tcp", "_matrix._tcp")
#: How long a target is used without looking up the server again.
LIFETIME: Final = timedelta(minutes=5)
#: How many SRV records, and how many addresses, of one server are used.
MAX_SERVICES: Final = 8
MAX_ENDPOINTS: Final = 16


@dataclass(frozen=True, slots=True)
class HostPort:
    """A server name in its two parts. An IPv6 address is without its brackets."""

    host: str
    port: int | None

    @property
    def literal(self) -> IPAddress | None:
        """The host as an IP address; None if the host is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An admitted address and a TCP port."""

    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send requests to a server, and which certificate to expect there."""

    #: The value of the `Host` header.
    host_header: str
    #: The name that the certificate must have: a host name, also sent as SNI, or an IP address.
    tls_name: str
    #: At least one, in the order in which to try them.
    endpoints: tuple[Endpoint, ...]


class Locator:
    """Turns hosts into endpoints. This is the only place where addresses are admitted."""

    def __init__(self, resolver: Resolver, admits: Callable[[IPAddress], bool]) -> None:
        self._resolver = resolver
        self._admits = admits

    async def locate(self, host: str, port: int) -> tuple[Endpoint, ...]:
        """Return the endpoints of *host*, an IP address or a name, that may be contacted.

        Raises `RemoteUnreachable` if there are none.
        """
        literal = HostPort(host, port).literal
        found = [literal] if literal else await self._resolver.addresses(host)
        if not found:
            raise RemoteUnreachable(f"{host} has no address")
        admitted = [Endpoint(address, port) for address in found if self._admits(address)]
        if not admitted:
            raise RemoteUnreachable(f"{host} has no address that may be contacted")
        return tuple(admitted[:MAX_ENDPOINTS])

    async def services(self, name: str) -> Sequence[Service]:
        """Return the SRV records of *name*; see `Resolver.services`."""
        return await self._resolver.services(name)


class Discovery:
    """Finds servers. At most *capacity* targets are cached, each for `LIFETIME`.

    *delegate* is `WellKnown.delegate`.
    """

    def __init__(
        self,
        locator: Locator,
        delegate: Callable[[str, Timestamp], Awaitable[ServerName | None]],
        *,
        capacity: int = 10_000,
        random_below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._locator = locator
        self._delegate = delegate
        self._random_below = random_below
        self._cached: Recent[ServerName, tuple[Timestamp, Target]] = Recent(
            capacity, registrable_domain
        )

    async def find(self, server: ServerName, now: Timestamp) -> Target:
        """Return the target of *server*. Raises `RemoteUnreachable` if it cannot be found."""
        cached = self._cached.get(server)
        if cached is not None and now < after(cached[0], LIFETIME):
            return cached[1]
        name, final = split_name(server), server
        if name.literal is None and name.port is None:  # 3
            final = await self._delegate(name.host, now) or server
            name = split_name(final)
        if name.literal or name.port:  # 1, 2, 3.1, 3.2
            endpoints = await self._locator.locate(name.host, name.port or DEFAULT_PORT)
        else:
            endpoints = await self._by_service(name.host)
        target = Target(final, name.host.rstrip("."), endpoints)
        self._cached.put(server, (now, target))
        return target

    def forget(self, server: ServerName) -> None:
        """Drop the cached target of *server*, where the server did not answer."""
        self._cached.drop(server)

    async def _by_service(self, host: str) -> tuple[Endpoint, ...]:
        """Return the endpoints by SRV records or the default port (4-6, 3.3-3.5)."""
        for service in SERVICES:
            records = await self._locator.services(f"{service}.{host}")
            if records:
                break
        else:
            return await self._locator.locate(host, DEFAULT_PORT)
        found: list[Endpoint] = []
        fault = RemoteUnreachable(f"{host} has no federation by its SRV records")
        for record in in_order(records, self._random_below)[:MAX_SERVICES]:
            try:
                found += await self._locator.locate(record.target, record.port)
            except RemoteUnreachable as error:
                fault = error
        if not found:
            raise fault
        return tuple(found[:MAX_ENDPOINTS])


def in_order(records: Iterable[Service], random_below: Callable[[int], int]) -> list[Service]:
    """Return the *records* in the order in which to try them by RFC 2782.

    Lower priorities come first. The order of equal priorities is random, by weight.
    """
    offered = sorted(
        (record for record in records if record.target not in {"", "."}),
        key=lambda it: (it.priority, it.weight, it.port, it.target),
    )
    ordered: list[Service] = []
    for _, group in itertools.groupby(offered, key=lambda it: it.priority):
        waiting = list(group)
        while waiting:
            mark = random_below(sum(it.weight for it in waiting) + 1)
            sums = itertools.accumulate(it.weight for it in waiting)
            chosen = next(place for place, total in enumerate(sums) if total >= mark)
            ordered.append(waiting.pop(chosen))
    return ordered


def split_name(server: ServerName) -> HostPort:
    """Return the parts of *server*. Raises `RemoteUnreachable` if there can be no such server."""
    host, colon, digits = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, digits = server, ""
    port = int(digits) if digits else None
    if port is not None and not 1 <= port <= 65535:
        raise RemoteUnreachable(f"{server}: no TCP port has that number")
    bare = HostPort(host.strip("[]"), port)
    if host.startswith("[") and not isinstance(bare.literal, ipaddress.IPv6Address):
        raise RemoteUnreachable(f"{server}: not an IPv6 address")
    labels = host.removesuffix(".").split(".")
    is_name = len(host) <= 253 and all(0 < len(label) <= 63 for label in labels)
    if bare.literal is None and not is_name:
        raise RemoteUnreachable(f"{server}: not a name that DNS can have")
    return bare
