"""Look up the addresses and SRV records of a host name, by DNS and the hosts file.

Whether an address may be contacted is decided in `discovery.py`.
"""

import asyncio
import ipaddress
import itertools
from collections.abc import Sequence
from contextlib import suppress
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

__all__ = ["DnsResolver", "Resolver", "Service", "parse_hosts"]

#: The time-out of one query, including all retries.
TIMEOUT: Final = timedelta(seconds=5)
CACHED_ANSWERS: Final = 10_000
HOSTS: Final = Path("/etc/hosts")
#: The addresses of `localhost` by RFC 6761, without the hosts file and without DNS.
LOCALHOST: Final[Sequence[IPAddress]] = (
    ipaddress.IPv4Address("127.0.0.1"),
    ipaddress.IPv6Address("::1"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record (RFC 2782). The target "." means that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


class Resolver(Protocol):
    """Looks up names."""

    async def addresses(self, host: str) -> Sequence[IPAddress]:
        """Return the addresses of *host*, in the order in which to try them.

        Raises `RemoteUnreachable` if the answer cannot be had now.
        """

    async def services(self, name: str) -> Sequence[Service]:
        """Return the SRV records of *name*, in no particular order.

        Raises `RemoteUnreachable` if the answer cannot be had now.
        """


class DnsResolver:
    """Looks up names in the hosts file and then with the DNS servers of this machine.

    Names are absolute: search domains are not tried. The hosts file, which dnspython does not know,
    is read once.
    """

    def __init__(
        self, resolver: dns.asyncresolver.Resolver | None = None, hosts: Path = HOSTS
    ) -> None:
        if resolver is None:
            try:
                resolver = dns.asyncresolver.Resolver()
            except dns.resolver.NoResolverConfiguration:
                # Only the hosts file works then, and every query fails at once.
                resolver = dns.asyncresolver.Resolver(configure=False)
            resolver.cache = dns.resolver.LRUCache(CACHED_ANSWERS)
        self._dns = resolver
        self._hosts: dict[str, list[IPAddress]] = {}
        with suppress(OSError):
            self._hosts = parse_hosts(hosts.read_text(encoding="utf-8", errors="replace"))

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
            seconds = TIMEOUT.total_seconds()
            answer = await self._dns.resolve(f"{name}.", kind, lifetime=seconds)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise RemoteUnreachable(f"no {kind.name} record of {name} from DNS: {error}") from None
        return list(answer)


def parse_hosts(text: str) -> dict[str, list[IPAddress]]:
    """Return the addresses of each name, in lower case, of a hosts file. Skips malformed lines."""
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
