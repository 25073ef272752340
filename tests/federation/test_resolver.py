"""Names from DNS, from a server on this machine, and from the hosts file."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.rdatatype import RdataType

from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.resolver import DnsResolver, Service, parse_hosts

Records = Mapping[tuple[str, str], list[str]]

RECORDS: Final[Records] = {
    ("both.example.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("both.example.", "AAAA"): ["2001:db8::1"],
    ("four.example.", "A"): ["192.0.2.4"],
    ("half.example.", "A"): ["192.0.2.5"],
    ("half.example.", "AAAA"): ["fail"],
    ("broken.example.", "A"): ["fail"],
    ("broken.example.", "AAAA"): ["fail"],
    ("_matrix._tcp.both.example.", "SRV"): ["10 5 8448 matrix.both.example.", "20 0 1 ."],
    ("_matrix._tcp.broken.example.", "SRV"): ["fail"],
}


class DnsServer(asyncio.DatagramProtocol):
    """Answers from `RECORDS`. Any other name does not exist."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(), RdataType(question.rdtype).name
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        records = RECORDS.get((name, kind), [])
        if records == ["fail"]:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        elif name not in {known for known, _ in RECORDS}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def dns_server() -> AsyncIterator[tuple[DnsServer, dns.asyncresolver.Resolver]]:
    """Serve DNS on a free port; yield the server, and a resolver that asks it."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        DnsServer, local_addr=("127.0.0.1", 0)
    )
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield server, resolver
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("both.example", ["2001:db8::1", "192.0.2.1", "192.0.2.2"]),
        ("Both.Example.", ["2001:db8::1", "192.0.2.1", "192.0.2.2"]),
        ("four.example", ["192.0.2.4"]),
        ("half.example", ["192.0.2.5"]),
        ("nowhere.example", []),
        ("listed.example", ["192.0.2.9"]),
        ("localhost", ["127.0.0.1", "::1"]),
        ("Some.Localhost", ["127.0.0.1", "::1"]),
    ],
)
async def test_addresses(tmp_path: Path, host: str, expected: list[str]) -> None:
    """Both kinds of addresses are found, the hosts file comes first, and one kind is enough."""
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.9 listed.example\n", encoding="ascii")
    async with dns_server() as (_, resolver):
        addresses = await DnsResolver(resolver, hosts).addresses(host)
    assert sorted(str(it) for it in addresses) == sorted(expected)


async def test_services(tmp_path: Path) -> None:
    """SRV records are found, also one whose target is the root."""
    async with dns_server() as (_, resolver):
        known = DnsResolver(resolver, tmp_path / "none")
        records = await known.services("_matrix._tcp.both.example")
        nothing = await known.services("_matrix._tcp.nowhere.example")
    assert sorted(records, key=lambda it: it.priority) == [
        Service(10, 5, 8448, "matrix.both.example"),
        Service(20, 0, 1, "."),
    ]
    assert list(nothing) == []


async def test_dns_that_fails(tmp_path: Path) -> None:
    """If DNS fails, the name counts as unreachable, not as one without records."""
    async with dns_server() as (_, resolver):
        known = DnsResolver(resolver, tmp_path / "none")
        with pytest.raises(RemoteUnreachable, match=r"^no AAAA record of broken\.example from DNS"):
            await known.addresses("broken.example")
        with pytest.raises(RemoteUnreachable, match=r"^no SRV record of _matrix\._tcp\.broken"):
            await known.services("_matrix._tcp.broken.example")


async def test_names_that_cannot_be(tmp_path: Path) -> None:
    """A name that DNS cannot have is unreachable, and no query is sent."""
    async with dns_server() as (server, resolver):
        for host in ("a..b", "a" * 64, ".".join(["a" * 60] * 5)):
            with pytest.raises(RemoteUnreachable):
                await DnsResolver(resolver, tmp_path / "none").addresses(host)
        assert server.asked == []


async def test_the_machine_as_it_is(tmp_path: Path) -> None:
    """A resolver with the machine's own settings can be made with and without DNS.

    Without DNS servers, a name that is not in the hosts file fails at once.
    """
    assert isinstance(DnsResolver(), DnsResolver)
    known = DnsResolver(dns.asyncresolver.Resolver(configure=False), tmp_path / "none")
    with pytest.raises(RemoteUnreachable):
        await known.addresses("there.example")


def test_hosts() -> None:
    """The names of a hosts file become lower case; comments and malformed lines are skipped."""
    text = "127.0.0.1 localhost\n\n# 192.0.2.1 no\nbad line\n::1 LocalHost six # six.example\n"
    assert parse_hosts(text) == {
        "localhost": [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")],
        "six": [ipaddress.ip_address("::1")],
    }
