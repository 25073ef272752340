"""The admin API on the server as a whole."""

from lamplighter import __version__
from lamplighter.devtools.server import InMemoryServer
from tests.web.admin.operator import Operator


async def test_the_server_at_a_glance(server: InMemoryServer, operator: Operator) -> None:
    """The settings and the figures of the server are shown."""
    started = server.clock.now()
    alice, bob = [await server.register(name) for name in ("alice", "bob")]
    await server.room(alice, bob)
    await alice.sync()
    server.clock.advance(seconds=1)
    await bob.set_status("online")
    await alice.sync()
    poll = await alice.polls()
    shown = await operator.get("/server")
    await poll.go_away()
    assert shown.pop("cpu_seconds") > 0
    position = shown.pop("position")
    assert position.startswith(f"{server.clock.now()}-")
    assert shown == {
        "server_name": "demo",
        "version": __version__,
        "started_ts": started,
        "now_ts": server.clock.now(),
        "presence_enabled": "true",
        "federation_enabled": False,
        "shared_rooms": True,
        "modules": [],
        "users": {"online": 2, "unavailable": 0, "offline": 0, "org.matrix.msc3026.busy": 0},
        "outboxes": 1,
        "polls": 1,
        "delivered": 2,  # of herself, and of bob
        "syncs": 2,
    }
