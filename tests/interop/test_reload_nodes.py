"""Processes of one cluster reload their modules together at a SIGHUP to one of them."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.interop.clients import Person, register
from tests.interop.nodes import nodes_at, owning
from tests.interop.processes import ServerProcess, reserved_port
from tests.valkey import ValkeyServer

pytestmark = pytest.mark.processes

#: A signal, or a poll, that has led to nothing is repeated so often.
_MOST_TRIES: Final = 20

#: What the log says of two nodes with modules of other configurations.
ANOTHER: Final = "rule_of_nodes.Rule (modules[0]) has another configuration"

RULE: Final = """
class Rule:
    def __init__(self, config, api):
        self.shown = set(config["shown"])
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, states):
        return {"@alice:lamp.test": {it for it in states if it.user_id in self.shown}}

    async def get_interested_users(self, user_id):
        return self.shown if user_id == "@alice:lamp.test" else set()
"""


class Nodes:
    """Nodes a and b with a module each, which shows the same people to alice."""

    def __init__(self, nodes: dict[str, ServerProcess], database: str, valkey: str) -> None:
        self.a, self.b = nodes["a"], nodes["b"]
        self._database, self._valkey = database, valkey

    def show(self, node: ServerProcess, shown: str) -> None:
        """Write the configuration of a node: whom the module shows after the next reload."""
        name = "a" if node is self.a else "b"
        place = f"database: {self._database}\ncluster: {{node: {name}, bus: '{self._valkey}'}}\n"
        node.configure(place + modules(shown))


def modules(shown: str) -> str:
    """Return the modules of a configuration."""
    return f"modules: [{{module: rule_of_nodes.Rule, config: {{shown: [{shown}]}}}}]"


@pytest.fixture
def nodes(tmp_path: Path, postgres_url: str, valkey: ValkeyServer) -> Iterator[Nodes]:
    """Two nodes, whose modules show nobody."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "rule_of_nodes.py").write_text(RULE)
    with (
        reserved_port() as first,
        reserved_port() as second,
        nodes_at([first, second], tmp_path, postgres_url, valkey, modules("")) as running,
    ):
        yield Nodes(running, postgres_url, valkey.url)


async def told_of(viewer: Person, user: Person) -> str:
    """Return the status message of *user* in the next sync that tells the viewer of *user*."""
    for _ in range(_MOST_TRIES):
        answer = await viewer.sync(timeout=30_000, set_presence="offline")
        for event in answer.json.get("presence", {}).get("events", []):
            if event["sender"] == user.user_id:
                return str(event["content"]["status_msg"])
    raise AssertionError(f"{viewer.user_id} is not told of {user.user_id}")


async def reload(node: ServerProcess, outcome: str) -> None:
    """Send SIGHUP to *node*; return once its log says *outcome*.

    If a node was too slow, the reload is called off, and the signal is sent again.
    """
    for _ in range(_MOST_TRIES):
        times = node.log.count("reloaded")
        node.signal(signal.SIGHUP)
        await asyncio.to_thread(node.logged, "reloaded", times + 1)
        if outcome in node.log:
            return
    raise AssertionError(f"the log does not say {outcome!r}\n{node.log}")


async def test_sighup(nodes: Nodes, http: aiohttp.ClientSession) -> None:
    """SIGHUP at node a replaces the modules of both nodes: a poll at b gets who becomes visible.

    If b cannot, neither does, and the log of a says why.
    """
    a, b = nodes.a, nodes.b
    await owning(http, [a, b])
    alice = await register(http, b.url, "alice")
    bob = await register(http, a.url, "bob")
    await alice.sync()
    await bob.put_status("online", "brb")
    poll = asyncio.create_task(told_of(alice, bob))
    for node in (a, b):
        nodes.show(node, f"'{bob.user_id}'")
    await reload(a, '"modules reloaded"')
    assert await poll == "brb"

    nodes.show(a, "")
    await reload(a, "node b: the modules in its configuration differ: " + ANOTHER)
    nodes.show(b, "")
    (b.folder / "rule_of_nodes.py").write_text("class Rule(")
    await reload(a, "SyntaxError")
    await bob.put_status("online", "back")
    assert await told_of(alice, bob) == "back"
    for node in (b, a):
        assert (await asyncio.to_thread(node.stop)).code == 0
