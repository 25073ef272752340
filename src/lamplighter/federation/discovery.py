"""Server names to places where the server listens.

Implements <https://spec.matrix.org/latest/server-server-api/#resolving-server-names>. The numbers
in comments are the steps there.
"""

import ipaddress
import itertools
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from lamplighter.clock import Timestamp, after
from lamplighter.domains import IPAddress, registrable_domain
from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.resolver import Resolver, Service
from lamplighter.ids import ServerName
from lamplighter.recent import Recent

__all__ = [
    "Delegation",
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
#: How long an answer is used without asking DNS again.
KEPT: Final = timedelta(minutes=5)
#: However many records a server has, no more of them are looked at.
MAX_SERVICES: Final = 8
MAX_ENDPOINTS: Final = 16


@dataclass(frozen=True, slots=True)
class HostPort:
    """A server name in its two halves; an IPv6 address stands without its brackets."""

    host: str
    port: int | None

    @property
    def literal(self) -> IPAddress | None:
        """The IP address that the host is, if it is one."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that may be contacted, and a TCP port."""

    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send requests to a server, and whom to expect there."""

    #: What the `Host` header says.
    host_header: str
    #: Whom the certificate must name: a host name, also sent as SNI, or an IP address.
    tls_name: str
    #: To be tried in this order; there is at least one.
    endpoints: tuple[Endpoint, ...]


class Delegation(Protocol):
    """What knows which servers have moved by their `/.well-known/matrix/server`."""

    async def delegate(self, host: str, now: Timestamp) -> ServerName | None:
        """Return the server name that stands for *host*; None if none does."""


class Locator:
    """Hosts to endpoints: the one place where addresses are chosen that may be contacted."""

    def __init__(self, resolver: Resolver, admits: Callable[[IPAddress], bool]) -> None:
        self._resolver = resolver
        self._admits = admits

    async def locate(self, host: str, port: int) -> tuple[Endpoint, ...]:
        """Return the endpoints of *host*, an IP address or a name, that may be contacted.

        Raises `RemoteUnreachable` where there is none.
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
    """Where servers are; at most *capacity* answers are kept, each for five minutes."""

    def __init__(
        self,
        locator: Locator,
        delegation: Delegation,
        *,
        capacity: int = 10_000,
        random_below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._locator = locator
        self._delegation = delegation
        self._random_below = random_below
        self._kept: Recent[ServerName, tuple[Timestamp, Target]] = Recent(
            capacity, registrable_domain
        )

    async def find(self, server: ServerName, now: Timestamp) -> Target:
        """Return where *server* is. Raises `RemoteUnreachable` where that cannot be found out."""
        kept = self._kept.get(server)
        if kept is not None and now < after(kept[0], KEPT):
            return kept[1]
        target = await self._find(server, now)
        self._kept.put(server, (now, target))
        return target

    def forget(self, server: ServerName) -> None:
        """Look afresh next time: *server* was not where it should be."""
        self._kept.drop(server)

    async def _find(self, server: ServerName, now: Timestamp) -> Target:
        name = split_name(server)
        if name.literal is None and name.port is None:
            delegated = await self._delegation.delegate(name.host, now)  # 3
            if delegated is not None:
                return await self._reach(delegated)
        return await self._reach(server)

    async def _reach(self, server: ServerName) -> Target:
        """Return where *server* is, without asking it who stands for it (1, 2, 4-6, 3.1-3.5)."""
        name = split_name(server)
        if name.literal or name.port:
            endpoints = await self._locator.locate(name.host, name.port or DEFAULT_PORT)
        else:
            endpoints = await self._by_service(name.host)
        return Target(server, name.host.rstrip("."), endpoints)

    async def _by_service(self, host: str) -> tuple[Endpoint, ...]:
        for service in SERVICES:
            records = await self._locator.services(f"{service}.{host}")
            if records:
                return await self._of_records(host, records)
        return await self._locator.locate(host, DEFAULT_PORT)

    async def _of_records(self, host: str, records: Sequence[Service]) -> tuple[Endpoint, ...]:
        found: list[Endpoint] = []
        fault = RemoteUnreachable(f"{host} says that it has no federation")
        for record in in_order(records, self._random_below)[:MAX_SERVICES]:
            try:
                found += await self._locator.locate(record.target, record.port)
            except RemoteUnreachable as error:
                fault = error
        if not found:
            raise fault
        return tuple(found[:MAX_ENDPOINTS])


def in_order(records: Iterable[Service], random_below: Callable[[int], int]) -> list[Service]:
    """Return the *records* in the order in which RFC 2782 wants them tried.

    Lower priorities come first; among equals chance decides, by weight.
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
    """Return the halves of *server*; raise `RemoteUnreachable` if it cannot be one anywhere."""
    host, colon, digits = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, digits = server, ""
    port = int(digits) if digits else None
    if port is not None and not 1 <= port <= 65535:
        raise RemoteUnreachable(f"{server}: no TCP port has that number")
    bare = HostPort(host.strip("[]"), port)
    if host.startswith("[") and not isinstance(bare.literal, ipaddress.IPv6Address):
        raise RemoteUnreachable(f"{server}: not an IPv6 address")
    if bare.literal is None and not _is_name(host):
        raise RemoteUnreachable(f"{server}: no name in DNS looks like that")
    return bare


def _is_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(0 < len(label) <= 63 for label in labels)
