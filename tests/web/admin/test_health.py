"""GET /health."""

from tests.homeserver.world import World


async def test_a_well_server_says_so(world: World) -> None:
    """The answer is 200 "ok", without a token."""
    response = await world.client.request("GET", "/health")
    assert (response.status, response.json) == (200, {"status": "ok"})


async def test_a_server_that_cannot_write_says_so(world: World) -> None:
    """While the database cannot be written the answer is 503, and then 200 again."""
    world.storage_works = False
    response = await world.client.request("GET", "/health")
    assert (response.status, response.json) == (503, {"status": "storage unavailable"})
    world.storage_works = True
    assert (await world.client.request("GET", "/health")).status == 200
