"""What the tests of the way to the homeserver share."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.upstream.client import UpstreamClient
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
