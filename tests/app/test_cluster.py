"""A server as a node of a cluster: what modules see of that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lamplighter.app import Lamplighter, Storage, build
from lamplighter.app.cluster import migrate_among_nodes
from lamplighter.clock import Timestamp
from lamplighter.config import parse_config_text
from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.migrate import is_up_to_date
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ClusterRefused, NodesDiffer
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle
from tests.cluster.memory_log import LogServer, Way
from tests.database.statements import traced_statements

CONFIG = """
server_name: lamp.test
database: postgresql://nobody@localhost/nothing
cluster: {node: NODE, bus: 'redis://127.0.0.1:1/0'}
"""


class World:
    """Nodes over one log, with a module that notes when its loop was called, and where."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = LogServer(self.clock)
        self.calls: list[tuple[Timestamp, str | None]] = []
        self.logs: dict[str, Any] = {}
        self.apis: list[ModuleApi] = []

    @asynccontextmanager
    async def node(self, name: str, more: str = "", secret: str = "") -> AsyncIterator[Lamplighter]:
        """Run a node until the block ends, in good order; *more* is in its configuration.

        The configuration of its module has a *secret*.
        """
        text = CONFIG.replace("NODE", name) + more
        config = parse_config_text(text, Path("lamplighter.yaml"))
        self.logs[name] = log = self.log.log()
        module = ConfiguredModule(
            "tests.Loop", {"key": secret}, ModuleStyle.CALLBACKS, "modules[0]", factory=self.loop
        )
        storage = Storage(open_memory(), None)
        server = await build(config, self.clock, storage, [module], log=log)
        server.start()
        await self.passes(1)
        yield server
        await server.stop()

    def loop(self, _config: object, api: ModuleApi) -> object:
        """Be the class of the module: note each second where its loop is."""
        self.apis.append(api)
        api.looping_background_call(
            lambda: self.calls.append((self.clock.now(), api.worker_name)), 1000
        )
        api.register_presence_router_callbacks(
            get_users_for_states=_nobody, get_interested_users=_nobody
        )
        return object()

    async def passes(self, seconds: int) -> None:
        """Let time pass, with all that follows."""
        for _ in range(seconds * 4):
            await turns_until_idle()
            self.clock.advance(milliseconds=250)
        await turns_until_idle()

    def where(self) -> list[str | None]:
        """Return where the loop was called since the last time, in order, each node once."""
        calls, self.calls = self.calls, []
        assert len(calls) == len({when for when, _ in calls})  # never on two at once
        return list(dict.fromkeys(name for _, name in calls))


async def older_database() -> Database:
    """Return a database that lacks the last step."""
    database = open_memory()
    await database.commit(Statement("DROP TABLE findings"))
    await database.commit(Statement("UPDATE alembic_version SET version_num = '0006'"))
    return database


async def _nobody(_about: object) -> Any:
    return {}


async def test_loops_of_modules() -> None:
    """A loop runs on one node at a time; another one goes on while that node is cut off."""
    world = World()
    async with world.node("a"), world.node("b"):
        await world.passes(5)
        world.where()
        await world.passes(5)
        [first] = world.where()
        other = {"a": "b", "b": "a"}[str(first)]
        world.logs[str(first)].way = Way.CLOSED
        await world.passes(10)
        assert world.where() == [first, other]
        world.logs[str(first)].way = Way.OPEN
        await world.passes(10)
        world.where()
        await world.passes(5)
        assert len(world.where()) == 1


@pytest.mark.parametrize(
    ("rooms", "secret", "line"),
    [
        (
            "['!a:x']",
            "s3cret",
            "the modules: {}: tests.Loop (modules[0]) has another configuration",
        ),
        ("[]", "", "routing.exclude_rooms: {}: !a:x is missing"),
        ("['!b:x']", "", "routing.exclude_rooms: {}: !a:x is missing; !b:x is extra"),
    ],
)
async def test_a_node_that_differs(rooms: str, secret: str, line: str) -> None:
    """A node whose modules or lists differ does not start, and says which module, or which item."""
    world = World()
    async with world.node("a", "routing: {exclude_rooms: ['!a:x']}"):
        with pytest.raises(NodesDiffer) as raised:
            async with world.node("b", f"routing: {{exclude_rooms: {rooms}}}", secret):
                pass
    assert str(raised.value) == line.format("not as at node a")


async def test_a_start_loads_presence_once() -> None:
    """A node that starts reads all users from the database once, after it has joined."""
    with traced_statements() as statements:
        async with World().node("a"):
            pass
    words = [it.split() for it in statements if "FROM presence" in " ".join(it.split())]
    assert [it[1] for it in words] == ["max(position)", "presence.user_id,"]


async def test_a_node_that_stood_still() -> None:
    """A node that has stood still for as long as its lease may last is not the one for loops, even
    before it learns whether another node has taken over.
    """
    world = World()
    async with world.node("a"):
        await world.passes(5)
        answers = [world.apis[0].should_run_background_tasks()]
        world.clock.advance(seconds=5)  # nothing that awaits goes on meanwhile
        answers.append(world.apis[0].should_run_background_tasks())
        await world.passes(10)
        answers.append(world.apis[0].should_run_background_tasks())
    assert answers == [True, False, True]


async def test_a_node_that_is_configured_otherwise() -> None:
    """A node whose configuration would show other users, or show them otherwise, does not join:
    the refusal names the key. What each node may have for itself may differ.
    """
    world = World()
    async with world.node("a", "rate_limits: off"):
        with pytest.raises(ClusterRefused) as refused:
            await world.node("b", "presence: {enabled: false}").__aenter__()
        async with world.node("b", "log: {level: debug}"):
            pass
    assert str(refused.value) == "presence.enabled: false at this node, not set at node a"


async def test_a_version_that_changes_the_database() -> None:
    """A node that would change the tables of the database does not start while other nodes use
    them: it names these nodes, and changes nothing. Once they have stopped, it starts.
    """
    world = World()
    config = parse_config_text(CONFIG.replace("NODE", "b"), Path("lamplighter.yaml"))
    async with world.node("a"):
        older = await older_database()
        with pytest.raises(ClusterRefused) as refused:
            await build(config, world.clock, Storage(older, None), [], log=world.log.log())
    assert str(refused.value) == (
        "this version changes the tables of the database, and nodes of an older version use them:"
        " a. Stop all nodes, and then start this version"
    )
    older = await older_database()
    await migrate_among_nodes(config, world.clock, older, world.log.log())
    assert await is_up_to_date(older)
    await older.close()


async def test_a_node_that_was_killed() -> None:
    """A node that was killed, and starts in a new version at once, does not wait for itself."""
    world = World()
    async with world.node("b"):
        older = await older_database()
        config = parse_config_text(CONFIG.replace("NODE", "b"), Path("lamplighter.yaml"))
        await migrate_among_nodes(config, world.clock, older, world.log.log())
        assert await is_up_to_date(older)
        await older.close()
