"""What `check-config` says of a node of a cluster."""

import asyncio
from pathlib import Path

import pytest

from lamplighter.cli.check_config import check_config
from lamplighter.clock import SystemClock
from lamplighter.cluster.valkey import ValkeyLog
from lamplighter.devtools.server import configured_server
from lamplighter.errors import ClusterUnavailable, LogLost
from lamplighter.ids import ServerName
from tests.interop.processes import reserved_port
from tests.valkey import ValkeyServer


def written(folder: Path, database: str, bus: str) -> Path:
    """Return the file of a configuration."""
    path = folder / "lamplighter.yaml"
    with reserved_port() as port:
        path.write_text(
            f"server_name: example.org\nlisten: 127.0.0.1:{port}\ndatabase: {database}\n"
            f"cluster: {{node: a, bus: '{bus}'}}\n"
        )
    return path


def has_joined(valkey: ValkeyServer) -> bool:
    """Tell whether a node has ever joined the log."""

    async def look() -> bool:
        log = ValkeyLog(valkey.address, ServerName("example.org"), SystemClock())
        try:
            await log.standing()
        except LogLost:
            return False
        finally:
            await log.close()
        return True

    return asyncio.run(look())


def test_a_good_one(tmp_path: Path, postgres_url: str, valkey: ValkeyServer) -> None:
    """A node that can reach all is good; it does not join its cluster for that."""
    lines = list(check_config(written(tmp_path, postgres_url, valkey.url)))
    assert "good, for example.org" in lines[0]
    assert not has_joined(valkey)


@pytest.mark.processes
def test_nobody_answers(tmp_path: Path, postgres_url: str) -> None:
    """Where Valkey cannot be reached, the error names the key."""
    path = written(tmp_path, postgres_url, f"unix://{tmp_path}/nobody")
    with pytest.raises(ClusterUnavailable, match=r"^cluster\.bus: cannot connect to "):
        list(check_config(path))


def test_in_memory(tmp_path: Path, postgres_url: str, valkey: ValkeyServer) -> None:
    """A server in memory with the configuration of a node is alone: it leaves the cluster alone."""

    async def run() -> None:
        async with configured_server(written(tmp_path, postgres_url, valkey.url)) as server:
            assert server.lamplighter.node.view is None

    asyncio.run(run())
    assert not has_joined(valkey)
