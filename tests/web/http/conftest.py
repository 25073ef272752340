"""What the tests of connections share."""

import pytest

from tests.web.http.peer import House, Peer


@pytest.fixture
async def house() -> House:
    """What serves."""
    return House()


@pytest.fixture
async def peer(house: House) -> Peer:
    """A client that has just connected."""
    return house.peer()
