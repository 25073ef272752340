"""Nodes of one server: processes over a real PostgreSQL and a real Valkey."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from tests.interop.processes import SERVER, ServerProcess
from tests.valkey import ValkeyServer

__all__ = ["nodes_at", "owning"]


@contextmanager
def nodes_at(
    ports: Sequence[int],
    folder: Path,
    database: str,
    valkey: ValkeyServer,
    config: str = "",
    server_name: str = SERVER,
) -> Iterator[dict[str, ServerProcess]]:
    """Run a node at each of *ports* until the block ends: a, b, c and so on."""
    nodes: dict[str, ServerProcess] = {}
    try:
        for name, port in zip("abcdefgh", ports, strict=False):
            place = f"database: {database}\ncluster: {{node: {name}, bus: '{valkey.url}'}}\n"
            nodes[name] = ServerProcess(folder / name, port, place + config, server_name)
            nodes[name].launch()
        for node in nodes.values():
            node.serves()
        yield nodes
    finally:
        for node in nodes.values():
            node.kill_if_running()
        valkey.lose_data()


async def owning(http: aiohttp.ClientSession, nodes: Sequence[ServerProcess]) -> None:
    """Return once each of *nodes* owns some users, and no users are without an owner."""
    for _ in range(1_000):
        found = [await _figures(http, node.url) for node in nodes]
        if all(it["partitions"] > 0 and it["unowned_partitions"] == 0 for it in found):
            return
        await asyncio.get_running_loop().run_in_executor(None, nodes[0].lives_for, 0.05)
    raise AssertionError(f"not every node owns users: {found}")


async def _figures(http: aiohttp.ClientSession, url: str) -> dict[str, float]:
    async with http.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    start = "lamplighter_cluster_"
    named = (it.removeprefix(start).split() for it in lines if it.startswith(start))
    return {name: float(value) for name, value in named}
