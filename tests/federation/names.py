"""DNS as a table, which counts the questions."""

import ipaddress
from collections.abc import Mapping, Sequence

from lamplighter.clock import Timestamp
from lamplighter.domains import IPAddress
from lamplighter.federation.resolver import Service
from lamplighter.ids import ServerName


class FixedResolver:
    """A `Resolver` that answers from tables."""

    def __init__(
        self,
        addresses: Mapping[str, Sequence[str]],
        services: Mapping[str, Sequence[Service]] | None = None,
    ) -> None:
        self._addresses = addresses
        self._services = services or {}
        #: How many hosts, and how many services, were looked up.
        self.hosts_asked = 0
        self.services_asked = 0

    async def addresses(self, host: str) -> Sequence[IPAddress]:
        self.hosts_asked += 1
        return [ipaddress.ip_address(address) for address in self._addresses.get(host, ())]

    async def services(self, name: str) -> Sequence[Service]:
        self.services_asked += 1
        return self._services.get(name, ())


async def no_delegation(host: str, now: Timestamp) -> ServerName | None:
    """Know of no delegation."""
    return None
