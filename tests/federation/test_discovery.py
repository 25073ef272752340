"""Discovery: each step of the specification, with DNS and delegations as tables."""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import pytest

from lamplighter.clock import Timestamp, after
from lamplighter.domains import IPAddress
from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.discovery import (
    Discovery,
    HostPort,
    Locator,
    Target,
    in_order,
)
from lamplighter.federation.resolver import Service
from lamplighter.ids import ServerName
from tests.federation.names import FixedResolver, no_delegation

NOW: Final = Timestamp(1_704_067_200_000)
NAMES: Final = {
    "there.example": ["192.0.2.1", "2001:db8::1"],
    "matrix.there.example": ["192.0.2.2"],
    "srv.there.example": ["192.0.2.3"],
    "old.there.example": ["192.0.2.4"],
    "inside.example": ["10.0.0.1"],
    "both.example": ["10.0.0.1", "192.0.2.5"],
}
NEW: Final = {"_matrix-fed._tcp.there.example": [Service(10, 5, 443, "srv.there.example")]}
OLD: Final = {"_matrix._tcp.there.example": [Service(10, 5, 444, "old.there.example")]}


def is_public(address: IPAddress) -> bool:
    """Refuse the private addresses of these tests."""
    return address not in ipaddress.ip_network("10.0.0.0/8")


def discovery(
    delegations: Mapping[str, str] | None = None,
    services: Mapping[str, Sequence[Service]] | None = None,
    names: Mapping[str, Sequence[str]] = NAMES,
) -> Discovery:
    """Return a discovery over tables, which always picks the lightest SRV record."""

    async def delegate(host: str, now: Timestamp) -> ServerName | None:
        server = (delegations or {}).get(host)
        return None if server is None else ServerName(server)

    locator = Locator(FixedResolver(names, services), is_public)
    return Discovery(locator, delegate, random_below=lambda limit: 0)


def written(target: Target) -> str:
    """Return `Host` header, name of the certificate, and endpoints."""
    endpoints = [f"{it.address} {it.port}" for it in target.endpoints]
    return f"{target.host_header}, {target.tls_name}: {', '.join(endpoints)}"


THERE: Final = "there.example"
TO: Final = {THERE: "matrix.there.example"}
DELEGATED_NEW: Final = {
    "_matrix-fed._tcp.matrix.there.example": [Service(0, 0, 1, "srv.there.example")]
}
DELEGATED_OLD: Final = {
    "_matrix._tcp.matrix.there.example": [Service(0, 0, 2, "old.there.example")]
}


@pytest.mark.parametrize(
    ("server", "delegations", "services", "expected"),
    [
        # 1: an IP address, with a port or without
        ("192.0.2.9", {}, {}, "192.0.2.9, 192.0.2.9: 192.0.2.9 8448"),
        ("192.0.2.9:80", {}, {}, "192.0.2.9:80, 192.0.2.9: 192.0.2.9 80"),
        ("[2001:db8::9]", {}, {}, "[2001:db8::9], 2001:db8::9: 2001:db8::9 8448"),
        ("[2001:db8::9]:80", {}, {}, "[2001:db8::9]:80, 2001:db8::9: 2001:db8::9 80"),
        # 2: an explicit port goes before all else
        (f"{THERE}:80", TO, NEW, f"{THERE}:80, {THERE}: 192.0.2.1 80, 2001:db8::1 80"),
        # 3.1: delegated to an IP address
        (THERE, {THERE: "192.0.2.9"}, NEW, "192.0.2.9, 192.0.2.9: 192.0.2.9 8448"),
        (
            THERE,
            {THERE: "[2001:db8::9]:80"},
            NEW,
            "[2001:db8::9]:80, 2001:db8::9: 2001:db8::9 80",
        ),
        # 3.2: delegated to a name with a port
        (
            THERE,
            {THERE: f"matrix.{THERE}:80"},
            NEW,
            f"matrix.{THERE}:80, matrix.{THERE}: 192.0.2.2 80",
        ),
        # 3.3, 3.4: delegated to a name with an SRV record, the new kind first
        (THERE, TO, DELEGATED_NEW | DELEGATED_OLD, f"matrix.{THERE}, matrix.{THERE}: 192.0.2.3 1"),
        (THERE, TO, NEW | DELEGATED_OLD, f"matrix.{THERE}, matrix.{THERE}: 192.0.2.4 2"),
        # 3.5: delegated to a name with nothing else; its own well-known is not asked
        (
            THERE,
            TO | {f"matrix.{THERE}": f"old.{THERE}"},
            NEW | OLD,
            f"matrix.{THERE}, matrix.{THERE}: 192.0.2.2 8448",
        ),
        # 4, 5: an SRV record, the new kind first
        (THERE, {}, NEW | OLD, f"{THERE}, {THERE}: 192.0.2.3 443"),
        (THERE, {}, OLD, f"{THERE}, {THERE}: 192.0.2.4 444"),
        # 6: nothing but the name
        (THERE, {}, {}, f"{THERE}, {THERE}: 192.0.2.1 8448, 2001:db8::1 8448"),
        # a name that ends in a dot is verified without it
        (f"{THERE}.:80", {}, {}, f"{THERE}.:80, {THERE}: 192.0.2.1 80"),
        # of several addresses only the admitted ones are used
        ("both.example:80", {}, {}, "both.example:80, both.example: 192.0.2.5 80"),
    ],
)
async def test_the_steps(
    server: str,
    delegations: dict[str, str],
    services: dict[str, list[Service]],
    expected: str,
) -> None:
    """Each step gives the right `Host` header, name of the certificate, and endpoints."""
    names = NAMES | {"there.example.": ["192.0.2.1"]}
    found = await discovery(delegations, services, names).find(ServerName(server), NOW)
    assert written(found) == expected


INSIDE: Final = [Service(0, 0, 80, "inside.example")]
LEADS_INSIDE: Final = "inside.example has no address that may be contacted"


@pytest.mark.parametrize(
    ("server", "delegations", "services", "message"),
    [
        # an address that is not admitted is refused in every step
        ("10.0.0.1:80", {}, {}, "10.0.0.1 has no address that may be contacted"),
        ("inside.example", {}, {}, LEADS_INSIDE),
        ("inside.example:80", {}, {}, LEADS_INSIDE),
        (THERE, {THERE: "10.0.0.1:80"}, {}, "10.0.0.1 has no address that may be contacted"),
        (THERE, {THERE: "inside.example:80"}, {}, LEADS_INSIDE),
        (THERE, {THERE: "inside.example"}, {}, LEADS_INSIDE),
        (THERE, {}, {f"_matrix-fed._tcp.{THERE}": INSIDE}, LEADS_INSIDE),
        (
            THERE,
            {},
            {f"_matrix._tcp.{THERE}": [Service(0, 0, 80, "10.0.0.1")]},
            "10.0.0.1 has no address that may be contacted",
        ),
        # if the target of the SRV record is the root, port 8448 is not tried either
        (
            THERE,
            {},
            OLD | {f"_matrix-fed._tcp.{THERE}": [Service(0, 0, 0, ".")]},
            f"{THERE} has no federation by its SRV records",
        ),
        ("nowhere.example", {}, {}, "nowhere.example has no address"),
        ("a.example:0", {}, {}, "a.example:0: no TCP port has that number"),
        ("a.example:65536", {}, {}, "a.example:65536: no TCP port has that number"),
        ("[::1::]", {}, {}, "[::1::]: not an IPv6 address"),
        ("[192.0.2.1]", {}, {}, "[192.0.2.1]: not an IPv6 address"),
        ("there..example", {}, {}, "there..example: not a name that DNS can have"),
        (".", {}, {}, ".: not a name that DNS can have"),
        ("a" * 64, {}, {}, f"{'a' * 64}: not a name that DNS can have"),
    ],
)
async def test_servers_that_cannot_be_found(
    server: str, delegations: dict[str, str], services: dict[str, list[Service]], message: str
) -> None:
    """A server without admitted addresses, or with an impossible name, is unreachable."""
    with pytest.raises(RemoteUnreachable) as raised:
        await discovery(delegations, services).find(ServerName(server), NOW)
    assert str(raised.value) == message


async def test_several_records() -> None:
    """All SRV records give endpoints, in order, except those without an address."""
    services = [
        Service(2, 0, 4, "old.there.example"),
        Service(1, 0, 3, "nowhere.example"),
        Service(1, 0, 2, "srv.there.example"),
    ]
    found = await discovery({}, {"_matrix-fed._tcp.there.example": services}).find(
        ServerName(THERE), NOW
    )
    assert written(found) == f"{THERE}, {THERE}: 192.0.2.3 2, 192.0.2.4 4"


async def test_endless_records() -> None:
    """Of many SRV records and addresses only a few are used."""
    names = {f"{n}.example": [f"192.0.2.{m}" for m in range(20)] for n in range(20)}
    services = {
        "_matrix-fed._tcp.many.example": [Service(n, 0, 80, f"{n}.example") for n in range(20)]
    }
    resolver = FixedResolver(names, services)
    found = await Discovery(Locator(resolver, is_public), no_delegation).find(
        ServerName("many.example"), NOW
    )
    assert (len(found.endpoints), resolver.hosts_asked) == (16, 8)


async def test_a_target_is_cached() -> None:
    """A target is cached for five minutes, or until it is forgotten."""
    resolver = FixedResolver(NAMES)
    discovery = Discovery(Locator(resolver, is_public), no_delegation)
    server = ServerName("there.example:80")
    until = after(NOW, timedelta(minutes=5))
    asked = []
    for now in (NOW, Timestamp(until - 1), until):
        await discovery.find(server, now)
        asked.append(resolver.hosts_asked)
    discovery.forget(server)
    await discovery.find(server, until)
    assert [*asked, resolver.hosts_asked] == [1, 1, 2, 3]


async def test_how_many_targets_are_cached() -> None:
    """Beyond the capacity, cached targets are dropped."""
    resolver = FixedResolver(NAMES)
    discovery = Discovery(Locator(resolver, is_public), no_delegation, capacity=1)
    for server in ("there.example:80", "there.example:81", "there.example:80"):
        await discovery.find(ServerName(server), NOW)
    assert resolver.hosts_asked == 3


@pytest.mark.parametrize(
    ("mark", "expected"), [(0, "zero"), (1, "one"), (2, "three"), (4, "three")]
)
def test_chance_goes_by_weight(mark: int, expected: str) -> None:
    """Among records of one priority the first is chosen at random, by weight."""
    limits = []

    def random_below(limit: int) -> int:
        limits.append(limit)
        return min(mark, limit - 1)

    records = [Service(0, 3, 1, "three"), Service(0, 0, 1, "zero"), Service(0, 1, 1, "one")]
    ordered = in_order(records, random_below)
    assert (ordered[0].target, limits[0]) == (expected, 5)
    assert sorted(it.target for it in ordered) == ["one", "three", "zero"]


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "127.0.0.01"])
def test_only_plain_addresses_are_literals(host: str) -> None:
    """Unusual notations of IP addresses count as names."""
    assert HostPort(host, None).literal is None
