"""What the tests of connections share."""

import pytest

from tests.web.http.peer import Peer, Site


@pytest.fixture
async def site() -> Site:
    """A server."""
    return Site()


@pytest.fixture
async def peer(site: Site) -> Peer:
    """A client that has just connected."""
    return site.peer()
