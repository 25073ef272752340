"""The admin API on the server as a whole, its cluster, and the servers to which it sends."""

from lamplighter import __version__
from lamplighter.clock import Timestamp
from lamplighter.devtools.server import InMemoryServer
from lamplighter.federation.sender import DestinationStatus
from lamplighter.ids import ServerName
from lamplighter.web.admin.server import AdminDestinations
from tests.app.nodes import running_node
from tests.web.admin.operator import ADMIN_CONFIG, Operator, operator_of


async def test_settings_and_figures(server: InMemoryServer, operator: Operator) -> None:
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
        "node": None,
        "started_ts": started,
        "now_ts": server.clock.now(),
        "presence_enabled": "true",
        "federation_enabled": False,
        "homeserver_problem": None,
        "can_store": True,
        "shared_rooms": True,
        "modules": [],
        "users": {"online": 2, "unavailable": 0, "offline": 0, "org.matrix.msc3026.busy": 0},
        "outboxes": 1,
        "polls": 1,
        "delivered": 2,  # of herself, and of bob
        "syncs": 2,
    }


async def test_the_cluster() -> None:
    """A node of a cluster shows all nodes, and the name under which it is one of them."""
    async with running_node(config=ADMIN_CONFIG) as node:
        operator = Operator(node.http)
        cluster = await operator.get("/cluster")
        assert (await operator.get("/server"))["node"] == "a"
        now = node.clock.now()
    [a] = cluster.pop("nodes")
    assert a.pop("epoch") > 0
    assert a == {"name": "a", "address": "127.0.0.1:8008", "partitions": 64, "lag_ms": 0}
    assert cluster.pop("position")
    assert cluster == {
        "now_ts": now,
        "birth": "birth-1",
        "unowned": 0,
        "problems": [],
        "is_old": False,
    }


async def test_no_cluster(operator: Operator) -> None:
    """A server that is alone has no cluster to show."""
    assert (await operator.request("GET", "/cluster")).status == 404


async def test_destinations() -> None:
    """Each destination is listed with its waiting states and its back-off."""
    statuses = [
        DestinationStatus(ServerName("two.org"), 7, False, 3, Timestamp(900)),
        DestinationStatus(ServerName("one.org"), 1, True, 0, None),
    ]
    operator = operator_of(AdminDestinations(lambda: statuses))
    one = {"server_name": "one.org", "queued": 1, "is_busy": True, "failures": 0, "retry_ts": None}
    two = {"server_name": "two.org", "queued": 7, "is_busy": False, "failures": 3, "retry_ts": 900}
    assert await operator.pages("/destinations", limit="1") == [
        {"destinations": [one], "total": 2, "next_batch": "one.org"},
        {"destinations": [two], "total": 2, "next_batch": None},
    ]


async def test_without_federation(operator: Operator) -> None:
    """Without federation there are no destinations."""
    nothing = {"destinations": [], "total": 0, "next_batch": None}
    assert await operator.get("/destinations") == nothing
