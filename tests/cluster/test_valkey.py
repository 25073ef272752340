"""The log on a real Valkey: what no other log has. `contract/test_log.py` tests what all have."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Final, cast

import pytest

from lamplighter.cluster.log import LEASE, MessageId, NodeFacts, NodeName, PartitionId
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.valkey import ValkeyLog
from lamplighter.cluster.valkey_address import ValkeyAddress, parse_valkey_url
from lamplighter.cluster.valkey_link import Link
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import ClusterRefused, LogLost, LogUnreachable
from lamplighter.ids import ServerName
from tests.valkey import ValkeyServer

FACTS: Final = NodeFacts("http://a.example", {"version": "1"})
A: Final = NodeName("a")
B: Final = NodeName("b")
NOW: Final = timedelta(0)
PATIENCE: Final = timedelta(seconds=1)


@pytest.fixture
async def link(valkey: ValkeyServer) -> AsyncIterator[Link]:
    """A connection of the operator; everything is deleted and set back in the end."""
    link = Link(valkey.address, FakeClock(), PATIENCE)
    before = cast("list[bytes]", await link.ask("CONFIG", "GET", "maxmemory*"))
    yield link
    for name, value in zip(before[::2], before[1::2], strict=True):
        await link.ask("CONFIG", "SET", name, value)
    await link.ask("FLUSHALL")
    await link.close()


def log_at(
    address: ValkeyAddress, server_name: str = "demo.example", kept: timedelta = PATIENCE
) -> ValkeyLog:
    """Return a way to the log."""
    return ValkeyLog(address, ServerName(server_name), FakeClock(), kept=kept)


@pytest.fixture
async def log(valkey: ValkeyServer, link: Link) -> AsyncIterator[ValkeyLog]:
    """A node's way to a log without data."""
    log = log_at(valkey.address)
    yield log
    await log.close()


async def keys(link: Link) -> list[str]:
    """Return the names of all keys."""
    return sorted(it.decode() for it in cast("list[bytes]", await link.ask("KEYS", "*")))


async def test_the_life_of_a_lease(log: ValkeyLog, link: Link) -> None:
    """A lease lives for as long as the interface says, from when it was given or renewed last."""
    lease = await log.join(A, FACTS, BEGINNING)
    for _ in range(2):
        assert LEASE - timedelta(seconds=2) < await left(link, "node:a") <= LEASE
        await link.ask("PEXPIRE", "lamp:demo.example:node:a", 1_000)
        await log.renew(lease, BEGINNING)


async def test_what_ends_with_a_lease(valkey: ValkeyServer, log: ValkeyLog, link: Link) -> None:
    """An inbox lives longer than its lease if that is renewed, and ends when its node leaves.

    The name of a node whose lease has ended is forgotten by the next node that renews its own.
    """
    other = log_at(valkey.address)
    lease, dead = await log.join(A, FACTS, BEGINNING), await other.join(B, FACTS, BEGINNING)
    inbox = f"in:a:{lease.epoch}"
    await log.say(lease, lease, [b"x"])
    assert await left(link, inbox) > LEASE
    await link.ask("PEXPIRE", f"lamp:demo.example:{inbox}", 1_000)
    await log.renew(lease, BEGINNING)
    assert await left(link, inbox) > LEASE
    await link.ask("PEXPIRE", "lamp:demo.example:node:b", 0)
    assert await link.ask("SCARD", "lamp:demo.example:nodes") == 2
    await log.renew(lease, BEGINNING)
    assert await link.ask("SMEMBERS", "lamp:demo.example:nodes") == [b"a"]
    await other.leave(dead)
    await log.leave(lease)
    assert [key for key in await keys(link) if ":in:" in key or ":node:" in key] == []
    await other.close()


async def test_a_clock_that_was_set_back(valkey: ValkeyServer, log: ValkeyLog, link: Link) -> None:
    """A lease that would live for an hour because of that is cut to its life by any other node."""
    other = log_at(valkey.address)
    await other.join(B, FACTS, BEGINNING)
    lease = await log.join(A, FACTS, BEGINNING)
    await link.ask("PEXPIRE", "lamp:demo.example:node:b", 3_600_000)
    await log.renew(lease, BEGINNING)
    assert await left(link, "node:b") <= LEASE
    await other.close()


async def test_the_time_after_a_clock_was_set_back(log: ValkeyLog, link: Link) -> None:
    """The time goes on from where it was, and comes back to the clock: by a twentieth of what has
    passed, and at once where no lease was renewed for as long as one lives.
    """
    state = "lamp:demo.example:state"
    lease = await log.join(A, FACTS, BEGINNING)
    [ahead, latest] = cast("list[bytes]", await link.ask("HMGET", state, "ahead", "latest"))
    assert ahead == b"0"
    set_back = int(latest) + 60_000
    await link.ask("HSET", state, "latest", set_back)
    assert 0 <= (await log.renew(lease, BEGINNING)).now - set_back < 10_000
    await link.ask("HSET", state, "ahead", 60_000, "latest", int(latest) + 59_000)
    now = (await log.renew(lease, BEGINNING)).now
    [ahead] = cast("list[bytes]", await link.ask("HMGET", state, "ahead"))
    assert 59_500 <= int(ahead) <= 59_950
    await link.ask("HSET", state, "latest", now - 120_000)
    assert now - (await log.renew(lease, BEGINNING)).now >= 50_000


async def test_no_memory_is_left(valkey: ValkeyServer, log: ValkeyLog, link: Link) -> None:
    """A server that has come to `maxmemory` keeps leases, gives new ones, and deletes old records:
    then it takes new records again, without a hand.
    """
    lease = await log.join(A, FACTS, BEGINNING)
    await log.tell(lease, [], b"x" * 1_000_000, 1)
    [used] = re.findall(r"used_memory:(\d+)", cast("bytes", await link.ask("INFO")).decode())
    await link.ask("CONFIG", "SET", "maxmemory", int(used) - 500_000)
    other = log_at(valkey.address)
    await other.join(B, FACTS, BEGINNING)
    await other.close()
    for refused in count():
        await log.renew(lease, BEGINNING)
        with suppress(LogUnreachable):
            await log.tell(lease, [], b"y", 1)
            assert refused > 0
            return


async def left(link: Link, key: str) -> timedelta:
    """Return how long a key lives."""
    return timedelta(milliseconds=cast("int", await link.ask("PTTL", f"lamp:demo.example:{key}")))


async def test_the_names_of_keys(log: ValkeyLog, link: Link) -> None:
    """All keys begin with the server's name: one server has the logs of several, each its own."""
    lease = await log.join(A, FACTS, BEGINNING)
    await log.take(lease, [PartitionId(1)])
    await log.say(lease, lease, [b"x"])
    birth = (await log.standing()).birth
    assert await keys(link) == [
        f"lamp:demo.example:in:a:{lease.epoch}",
        f"lamp:demo.example:log:{birth}",
        "lamp:demo.example:node:a",
        "lamp:demo.example:nodes",
        "lamp:demo.example:owners",
        "lamp:demo.example:state",
    ]
    other = log_at(parse_valkey_url(f"unix://{(await _socket(link))}"), "other.example")
    await other.join(A, FACTS, BEGINNING)
    assert [it.lease for it in (await log.standing()).nodes] == [lease]
    assert (await other.standing()).owners == {}
    await other.close()


async def _socket(link: Link) -> str:
    found = cast("list[bytes]", await link.ask("CONFIG", "GET", "unixsocket"))
    return found[1].decode()


async def test_old_records_are_deleted(valkey: ValkeyServer, link: Link) -> None:
    """Records that are older than the time for which they are kept are deleted, and missed."""
    log = log_at(valkey.address, kept=timedelta(milliseconds=1))
    lease = await log.join(A, FACTS, BEGINNING)
    start = await log.head()
    for _ in count():
        await log.tell(lease, [], bytes(5_000), 1)
        complete_after = (await log.standing()).complete_after
        if complete_after > start:
            break
    with pytest.raises(LogLost):
        await log.read(lease, start, MessageId(""), NOW)
    records = (await log.read(lease, complete_after, MessageId(""), NOW)).records
    assert records[-1].position == await log.head()
    await log.close()


async def test_old_messages_are_deleted(log: ValkeyLog, link: Link) -> None:
    """An inbox that nobody reads does not grow for ever."""
    lease = await log.join(A, FACTS, BEGINNING)
    inbox = f"lamp:demo.example:in:a:{lease.epoch}"
    old = ("by", f"a:{lease.epoch}", "said", "x")
    # At once: one after the other may take longer than the lease lives.
    await asyncio.gather(*(link.ask("XADD", inbox, f"{it}-0", *old) for it in range(1, 500)))
    await log.say(lease, lease, [b"new"])
    assert cast("int", await link.ask("XLEN", inbox)) < 200
    assert cast("int", await link.ask("PTTL", inbox)) > 0


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_evicts(log: ValkeyLog, link: Link, policy: str) -> None:
    """A server that deletes keys where memory is short is refused, with what to set."""
    await link.ask("CONFIG", "SET", "maxmemory-policy", policy)
    with pytest.raises(ClusterRefused) as raised:
        await log.join(A, FACTS, BEGINNING)
    assert str(raised.value) == (
        f"maxmemory-policy is {policy} at the server of the log, which would delete what nodes"
        " need; it must be noeviction"
    )
    assert await keys(link) == []


async def test_a_server_that_tells_nothing(
    valkey: ValkeyServer, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    """Rights to the keys of the server name are enough, without any to ask how the server is."""
    rights = ("on", ">pass", "~lamp:demo.example:*", "+@all", "-info", "-config")
    await link.ask("ACL", "SETUSER", "lamplighter", *rights)
    log = log_at(parse_valkey_url(f"unix://lamplighter:pass@{await _socket(link)}"))
    with caplog.at_level(logging.INFO, "lamplighter"):
        lease = await log.join(A, FACTS, BEGINNING)
    assert "maxmemory-policy" in caplog.text
    await log.take(lease, [PartitionId(1)])
    position = await log.tell(lease, [PartitionId(1)], b"x", 1)
    await log.say(lease, lease, [b"x"])
    assert (await log.renew(lease, position)).head == position
    news = await log.read(lease, (await log.standing()).complete_after, MessageId(""), NOW)
    assert (len(news.records), len(news.messages)) == (2, 1)
    await log.leave(lease)
    await log.close()
    await link.ask("ACL", "DELUSER", "lamplighter")


async def test_a_server_without_memory(log: ValkeyLog, link: Link) -> None:
    """A server that has no memory left takes no record; what is there can be read, and it heals."""
    lease = await log.join(A, FACTS, BEGINNING)
    position = await log.tell(lease, [], b"x", 1)
    await link.ask("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(LogUnreachable, match="OOM"):
        await log.tell(lease, [], b"y", 1)
    assert await log.head() == position
    await link.ask("CONFIG", "SET", "maxmemory", 0)
    assert await log.tell(lease, [], b"z", 1) > position
