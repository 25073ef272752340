"""What the tests of the way to the homeserver share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.upstream.client import UpstreamClient
from tests.homeserver.upstream.front import LOBBY, Front, front
from tests.homeserver.upstream.wires import FakeHomeserver


@pytest.fixture
def clock() -> FakeClock:
    """The clock of all parts."""
    return FakeClock()


@pytest.fixture
async def homeserver() -> FakeHomeserver:
    """A homeserver whose answers the test writes."""
    return FakeHomeserver()


@pytest.fixture
async def upstream(homeserver: FakeHomeserver, clock: FakeClock) -> AsyncIterator[UpstreamClient]:
    """What asks that homeserver."""
    client = UpstreamClient(homeserver.connect, b"hs.example", clock, most_connections=3)
    yield client
    await client.close()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Front]:
    """A server in front of a homeserver where alice and bob share a room."""
    async with front(tmp_path) as running:
        for user_id in ("@alice:demo", "@bob:demo"):
            running.small.join(user_id, LOBBY)
        yield running


@pytest.fixture
async def bob(door: Front) -> Client:
    """Bob, who has synced."""
    bob = door.person("bob")
    await bob.sync()
    return bob
