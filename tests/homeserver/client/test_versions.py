"""GET /_matrix/client/versions."""

from tests.homeserver.world import World


async def test_versions_need_no_token(world: World) -> None:
    """Anybody is told the versions and the unstable features, under the one path without v3."""
    response = await world.client.request("GET", "/_matrix/client/versions")
    assert response.status == 200
    assert "v1.1" in response.json["versions"]
    assert "r0.6.1" in response.json["versions"]
    assert response.json["unstable_features"] == {"org.example.feature": True}
