"""A server in memory, and another one that speaks to it."""

from pathlib import Path

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.federation.keys import SigningKeys
from lamplighter.homeserver.sql import SqlDirectory
from tests.homeserver.world import SERVER
from tests.web.federation.peer import Host, Peer


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    """The keys of the server that is tested."""
    return SigningKeys.load_or_create(tmp_path / "signing.key", SERVER)


@pytest.fixture
async def host(directory: SqlDirectory, clock: FakeClock, keys: SigningKeys) -> Host:
    """The server that is tested."""
    return Host(directory, clock, keys)


@pytest.fixture
def peer(host: Host) -> Peer:
    """Another server, whose key can be had."""
    peer = Peer(host)
    peer.publish()
    return peer
