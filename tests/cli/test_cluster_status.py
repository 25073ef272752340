"""`lamplighter cluster status`, over a log within the process and over a real Valkey."""

import asyncio
import json
from pathlib import Path

import pytest

from lamplighter.cli.cluster_status import condition_of, status_lines
from lamplighter.clock import SystemClock
from lamplighter.cluster.log import PARTITIONS, Lease, Log, NodeFacts, NodeName, PartitionId
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.valkey import ValkeyLog
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import LogLost
from lamplighter.ids import ServerName, StreamPosition
from tests.cli.test_main import Run, run
from tests.cluster.memory_log import LogServer
from tests.valkey import ValkeyServer

__all__ = ["run"]  # the fixture


async def joined(log: Log, name: str) -> Lease:
    """Let a node join; it has applied all that there is."""
    lease = await log.join(NodeName(name), NodeFacts(f"{name}:8008", {}), BEGINNING)
    await log.renew(lease, await log.head())
    return lease


async def take(log: Log, lease: Lease, partitions: range) -> StreamPosition:
    """Let a node own partitions; return where the log ends then."""
    await log.take(lease, [PartitionId(it) for it in partitions])
    return await log.head()


async def test_lines() -> None:
    """People get a line for each node, and whether all is well."""
    clock = FakeClock()
    log = LogServer(clock).log()
    a, long_name = await joined(log, "a"), await joined(log, "node-b")
    await take(log, a, range(60))
    head = await take(log, long_name, range(60, PARTITIONS))
    for lease in (a, long_name):
        await log.renew(lease, head)
    assert list(status_lines(await condition_of(log, clock))) == [
        "node    address      joined                   partitions  lag",
        "a       a:8008       2024-01-01 00:00:00 UTC  60          0 ms",
        "node-b  node-b:8008  2024-01-01 00:00:00 UTC  4           0 ms",
        "64 of 64 partitions are owned.",
        "The log ends at 1704067200002-131072. Its time is 2024-01-01 00:00:00 UTC.",
        "All is well.",
    ]


async def test_a_node_that_starts() -> None:
    """A node that is not ready has no lag, and is nothing wrong; that nobody owns anything is."""
    clock = FakeClock()
    log = LogServer(clock).log()
    await log.join(NodeName("a"), NodeFacts("a:8008", {}), BEGINNING)
    _, row, owned, _, problem = status_lines(await condition_of(log, clock))
    assert row.split() == ["a", "a:8008", "2024-01-01", "00:00:00", "UTC", "0", "starting"]
    assert owned == "0 of 64 partitions are owned."
    assert problem == "FAIL 64 of 64 partitions have no owner"


async def test_a_node_that_needs_a_moment() -> None:
    """A node that applies the newest record within a moment keeps up."""
    clock = FakeClock()
    log = LogServer(clock).log()
    a = await joined(log, "a")
    head = await take(log, a, range(PARTITIONS))
    asked = asyncio.ensure_future(condition_of(log, clock))
    await turns_until_idle()
    assert not asked.done()
    await log.renew(a, head)
    clock.advance(milliseconds=250)
    condition = await asked
    assert ([it.lag_ms for it in condition.nodes], condition.problems) == ([0], [])


async def test_a_node_that_is_behind() -> None:
    """A node that does not apply what the log has is behind, after some looks."""
    clock = FakeClock()
    log = LogServer(clock).log()
    await take(log, await joined(log, "a"), range(PARTITIONS))
    asked = asyncio.ensure_future(condition_of(log, clock))
    while not asked.done():
        await turns_until_idle()
        clock.advance(milliseconds=250)
    assert (await asked).problems == ["node a is 2.5 s behind the log"]


async def test_a_log_without_data() -> None:
    """Where no node has joined, there is nothing to show."""
    clock = FakeClock()
    with pytest.raises(LogLost):
        await condition_of(LogServer(clock).log(), clock)


def written(folder: Path, cluster: str, database: str = "postgresql://x@127.0.0.1:1/x") -> Path:
    """Return the file of a configuration; nobody answers at the *database* unless it is named."""
    path = folder / "lamplighter.yaml"
    path.write_text(f"server_name: example.org\ndatabase: {database}\n{cluster}\n")
    return path


def test_the_command(run: Run, tmp_path: Path, valkey: ValkeyServer, postgres_url: str) -> None:
    """The command asks Valkey and PostgreSQL; it exits with 0 if all is well, and with 1 for a
    database that is away and for a dead owner.
    """
    cluster = f"cluster: {{node: a, bus: '{valkey.url}'}}"
    path = written(tmp_path, cluster, postgres_url)

    async def nodes(change: str) -> None:
        log = ValkeyLog(valkey.address, ServerName("example.org"), SystemClock())
        a = await joined(log, "a") if change == "a owns all" else None
        if a is not None:
            await log.renew(a, await take(log, a, range(PARTITIONS)))
        else:
            standing = await log.standing()
            await log.leave(standing.nodes[0].lease)
            await joined(log, "b")
        await log.close()

    nobody = run("cluster", "status", "-c", path)
    assert (nobody.exit_code, nobody.out) == (1, "")
    assert nobody.err == "error: cluster.bus: the log has no data\n"
    asyncio.run(nodes("a owns all"))
    good = run("cluster", "status", "-c", path)
    assert (good.exit_code, good.err) == (0, "")
    assert good.out.splitlines()[-1] == "All is well."
    content = json.loads(run("cluster", "status", "--json", "-c", path).out)
    assert [(it["name"], it["partitions"], it["lag_ms"]) for it in content["nodes"]] == [
        ("a", PARTITIONS, 0)
    ]
    away = run("cluster", "status", "-c", written(tmp_path, cluster))
    assert (away.exit_code, away.err) == (1, "")
    assert away.out.splitlines()[-1].startswith("FAIL database: x@127.0.0.1:1/x: ")
    path = written(tmp_path, cluster, postgres_url)
    asyncio.run(nodes("a leaves, b comes"))
    bad = run("cluster", "status", "-c", path)
    assert (bad.exit_code, bad.err) == (1, "")
    assert bad.out.splitlines()[-1] == "FAIL 64 of 64 partitions have no owner"
    valkey.lose_data()


def test_nobody_answers(run: Run, tmp_path: Path) -> None:
    """Where Valkey cannot be reached, one line says so; the exit code is 1."""
    path = written(tmp_path, f"cluster: {{node: a, bus: 'unix://{tmp_path}/nobody'}}")
    ran = run("cluster", "status", "-c", path)
    assert (ran.exit_code, ran.out) == (1, "")
    [line] = ran.err.splitlines()
    assert line.startswith("error: cluster.bus: cannot connect to ")


def test_a_server_alone(run: Run, tmp_path: Path) -> None:
    """A configuration without a cluster is refused with exit code 2."""
    path = written(tmp_path, "")
    ran = run("cluster", "status", "-c", path)
    assert (ran.exit_code, ran.err) == (
        2,
        f"error: {path}: cluster: missing; a server without it is alone\n",
    )
