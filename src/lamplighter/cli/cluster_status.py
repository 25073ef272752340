"""`lamplighter cluster status`: which nodes live, what each owns, and what is wrong."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from lamplighter.app.cluster import open_log
from lamplighter.cli.preflight import check_database
from lamplighter.clock import Clock, SystemClock, after, sleep
from lamplighter.cluster.condition import BEHIND, ClusterCondition, ClusterWatch
from lamplighter.cluster.log import PARTITIONS, Log
from lamplighter.cluster.positions import BEGINNING
from lamplighter.config import load_config
from lamplighter.errors import ClusterUnavailable, ConfigError, StorageUnavailable

__all__ = ["condition_of", "look_at_cluster", "status_json", "status_lines"]

_LOOKS_EVERY: Final = timedelta(milliseconds=250)
#: Long enough to find a node that is behind.
_LOOKS_FOR: Final = BEHIND + 2 * _LOOKS_EVERY


def look_at_cluster(path: Path) -> ClusterCondition:
    """Return how the cluster of the configuration at *path* is, its database included.

    Raises `ConfigError` and `ClusterUnavailable`.
    """
    config = load_config(path)
    settings = config.cluster
    if settings is None:
        raise ConfigError(f"{path}: cluster: missing; a server without it is alone")
    clock = SystemClock()

    async def look() -> ClusterCondition:
        log = open_log(settings.bus, config.server_name, clock)
        try:
            return await condition_of(log, clock)
        except ClusterUnavailable as error:
            raise ClusterUnavailable(f"cluster.bus: {error}") from error
        finally:
            await log.close()

    condition = asyncio.run(look())
    try:
        check_database(config)
    except (ConfigError, StorageUnavailable) as error:
        return replace(condition, problems=[*condition.problems, str(error)])
    return condition


async def condition_of(log: Log, clock: Clock) -> ClusterCondition:
    """Return how the cluster of *log* is.

    Looks until every node has applied what the log had at the first look, or is behind.
    """
    watch, until = ClusterWatch(), after(clock.now(), _LOOKS_FOR)
    standing = await log.standing()
    condition, first = watch.look(standing), standing.head
    while any(BEGINNING < it.applied < first for it in standing.nodes) and clock.now() < until:
        await sleep(clock, _LOOKS_EVERY)
        standing = await log.standing()
        condition = watch.look(standing)
    return condition


def status_json(condition: ClusterCondition) -> str:
    """Return *condition* for programs: what the admin API answers."""
    return msgspec.json.format(msgspec.json.encode(condition), indent=2).decode()


def status_lines(condition: ClusterCondition) -> Iterator[str]:
    """Yield *condition* for people."""
    rows = [("node", "address", "joined", "partitions", "lag")]
    for node in condition.nodes:
        lag = "starting" if node.lag_ms is None else f"{node.lag_ms} ms"
        rows.append((node.name, node.address, _time(node.epoch), str(node.partitions), lag))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
    owned = PARTITIONS - condition.unowned
    yield f"{owned} of {PARTITIONS} partitions are owned."
    yield f"The log ends at {condition.position}. Its time is {_time(condition.now_ts)}."
    if not condition.problems:
        yield "All is well."
    for problem in condition.problems:
        yield f"FAIL {problem}"


def _time(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
