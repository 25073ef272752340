"""Names to addresses and services: the port, DNS behind it, and answers from a table.

Nothing here says which addresses may be contacted; `discovery.py` does.
"""

import asyncio
import ipaddress
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.rdtypes.IN.SRV
import dns.resolver
from dns.rdatatype import AAAA, SRV, A, RdataType

from lamplighter.domains import IPAddress
from lamplighter.errors import RemoteUnreachable

__all__ = ["DnsResolver", "FixedResolver", "Resolver", "Service", "parse_hosts"]

#: For one question, all retries included.
PATIENCE: Final = timedelta(seconds=5)
CACHED_ANSWERS: Final = 10_000
HOSTS: Final = Path("/etc/hosts")
#: What RFC 6761 says of it needs no file and no DNS.
LOCALHOST: Final[Sequence[IPAddress]] = (
    ipaddress.IPv4Address("127.0.0.1"),
    ipaddress.IPv6Address("::1"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record (RFC 2782); the target "." says that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


class Resolver(Protocol):
    """What knows where names lead."""

    async def addresses(self, host: str) -> Sequence[IPAddress]:
        """Return the addresses of *host*, to be tried in this order; none if it has none.

        Raises `RemoteUnreachable` where that cannot be known at the moment.
        """

    async def services(self, name: str) -> Sequence[Service]:
        """Return the SRV records of *name*, in no order; none if it has none.

        Raises `RemoteUnreachable` where that cannot be known at the moment.
        """


class FixedResolver:
    """Knows what it was given, and nothing else."""

    def __init__(
        self,
        addresses: Mapping[str, Sequence[str]],
        services: Mapping[str, Sequence[Service]] | None = None,
    ) -> None:
        self._addresses = {
            host: [ipaddress.ip_address(address) for address in listed]
            for host, listed in addresses.items()
        }
        self._services = services or {}

    async def addresses(self, host: str) -> Sequence[IPAddress]:
        return self._addresses.get(host, ())

    async def services(self, name: str) -> Sequence[Service]:
        return self._services.get(name, ())


class DnsResolver:
    """The DNS servers that the machine is set up with; the hosts file comes before them.

    Names are absolute: search domains are not tried. The hosts file is read once.
    """

    def __init__(
        self, resolver: dns.asyncresolver.Resolver | None = None, hosts: Path = HOSTS
    ) -> None:
        self._dns = resolver or _system_resolver()
        self._hosts = parse_hosts(_read(hosts))

    async def addresses(self, host: str) -> Sequence[IPAddress]:
        name = host.lower().rstrip(".")
        if name in self._hosts:
            return self._hosts[name]
        if name == "localhost" or name.endswith(".localhost"):
            return LOCALHOST
        questions = [self._ask(name, AAAA), self._ask(name, A)]
        answers = await asyncio.gather(*questions, return_exceptions=True)
        faults = [it for it in answers if isinstance(it, BaseException)]
        given = [it for it in answers if not isinstance(it, BaseException)]
        records = list(itertools.chain.from_iterable(given))
        if faults and not records:
            raise faults[0]
        return [ipaddress.ip_address(it.to_text()) for it in records]

    async def services(self, name: str) -> Sequence[Service]:
        answer = await self._ask(name, SRV)
        return [
            Service(it.priority, it.weight, it.port, it.target.to_text(omit_final_dot=True))
            for it in answer
            if isinstance(it, dns.rdtypes.IN.SRV.SRV)
        ]

    async def _ask(self, name: str, kind: RdataType) -> Sequence[dns.rdata.Rdata]:
        try:
            seconds = PATIENCE.total_seconds()
            answer = await self._dns.resolve(f"{name}.", kind, lifetime=seconds)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise RemoteUnreachable(f"no {kind.name} of {name} from DNS: {error}") from None
        return list(answer)


def parse_hosts(text: str) -> dict[str, list[IPAddress]]:
    """Return what a hosts file says of each name, in lower case; malformed lines are passed by."""
    known: dict[str, list[IPAddress]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].lower().split()
        try:
            address = ipaddress.ip_address(words[0])
        except (IndexError, ValueError):
            continue
        for name in words[1:]:
            known.setdefault(name, []).append(address)
    return known


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _system_resolver() -> dns.asyncresolver.Resolver:
    try:
        resolver = dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        # Nothing but the hosts file is known then, and every question fails at once.
        resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.cache = dns.resolver.LRUCache(CACHED_ANSWERS)
    return resolver
