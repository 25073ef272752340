"""A server in memory, and another one that speaks to it."""

from functools import partial
from pathlib import Path

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.federation.keys import SigningKeys
from lamplighter.homeserver.sql import SqlDirectory
from tests.homeserver.world import SERVER
from tests.web.federation.peer import Host, HostMaker, Peer


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    """The keys of the server that is tested."""
    return SigningKeys.load_or_create(tmp_path / "signing.key", SERVER)


@pytest.fixture
def hosts(directory: SqlDirectory, clock: FakeClock, keys: SigningKeys) -> HostMaker:
    """Make the server that is tested, with settings."""
    return partial(Host, directory, clock, keys)


@pytest.fixture
async def host(hosts: HostMaker) -> Host:
    """The server that is tested."""
    return hosts()


@pytest.fixture
def peer(host: Host) -> Peer:
    """Another server, whose key can be had."""
    peer = Peer(host)
    peer.publish()
    return peer
