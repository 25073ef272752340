"""DNS and delegations as tables, which count the questions."""

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


class Delegations:
    """A `Delegation` that answers from a table."""

    def __init__(self, table: Mapping[str, str] | None = None) -> None:
        self._table = table or {}
        self.asked: list[str] = []

    async def delegate(self, host: str, now: Timestamp) -> ServerName | None:
        self.asked.append(host)
        return ServerName(self._table[host]) if host in self._table else None
