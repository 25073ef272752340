"""A Synapse, a bare peer, and clients, for every test that asks for them."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.federation_interop.certificates import Authority
from tests.federation_interop.peer import Peer, running_peer
from tests.federation_interop.synapse import Ports, Synapse
from tests.interop.processes import reserved_port


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests, which need the environment that `make test-interop` makes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("interop")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that certifies the servers of a test."""
    return Authority(tmp_path / "authority.pem")


@pytest.fixture
def synapse(tmp_path: Path, authority: Authority) -> Iterator[Synapse]:
    """A Synapse that a test configures and starts."""
    with reserved_port() as federation, reserved_port() as client:
        synapse = Synapse(tmp_path / "synapse", Ports(federation, client), authority)
        yield synapse
        synapse.kill_if_running()
    # pytest shows the log if the test fails.
    sys.stdout.write(synapse.log)


@pytest.fixture
async def peer(tmp_path: Path, authority: Authority) -> AsyncIterator[Peer]:
    """A server that listens, and has nothing but federation."""
    async with running_peer(tmp_path / "peer", authority) as peer:
        yield peer


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """The HTTP session of clients."""
    async with aiohttp.ClientSession() as session:
        yield session
