"""Who loses sight of somebody by a restart, or before one, is told after it."""

from pathlib import Path

import pytest

from lamplighter.config.load import parse_config_text
from lamplighter.devtools.client import Client, SyncQuery
from lamplighter.devtools.server import InMemoryServer

THE_END = {"presence": "offline"}
UNSEEN: SyncQuery = {"set_presence": "offline"}
HELD = "tests.compat.modules.held.Held"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server can be restarted."""
    return tmp_path / "data"


async def restart(server: InMemoryServer, text: str, *clients: Client) -> None:
    """Restart the server with another configuration, in the next second.

    Somebody changes right before: tokens from after the last saved change are answered in full.
    """
    dave = await server.register("dave")
    await dave.set_status("online", str(server.clock.now()))
    whole = f"server_name: demo\nrate_limits: off\n{text}\n"
    server.configure(parse_config_text(whole, Path("memory.yaml")))
    server.clock.advance(seconds=1)
    await server.restart(*clients)


def naming(*names: str) -> str:
    """Return the configuration of a module that names these users for alice."""
    listed = ", ".join(f"'@{name}:demo'" for name in names)
    named = f"{{'@alice:demo': [{listed}]}}"
    return f"modules: [{{module: {HELD}, config: {{routes: {{}}, named: {named}}}}}]"


async def test_a_leave_before_a_restart(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Who lost sight of somebody before a restart is told after it, and once."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await bob.leave(room)
    await restart(server, "", alice)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    await restart(server, "", alice)
    assert (await alice.sync(**UNSEEN)).presence == {}


@pytest.mark.parametrize("new", [naming("carol"), ""], ids=["other module", "no module"])
async def test_other_modules(server: InMemoryServer, alice: Client, bob: Client, new: str) -> None:
    """Whom the modules of before named, and those of now do not, is said to be offline."""
    await bob.set_status("online", "hello")
    await restart(server, naming("bob"), alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"
    await restart(server, new, alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_whom_both_name(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """Whom the modules of now name as well stays on the screen."""
    await bob.set_status("online", "hello")
    await restart(server, naming("bob"), alice, bob)
    await alice.sync(**UNSEEN)
    await restart(server, naming("bob", "carol"), alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"


async def test_switched_off(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """Whom only a module showed is said to be offline once presence is switched off."""
    await bob.set_status("online", "hello")
    await restart(server, naming("bob"), alice, bob)
    await alice.sync(**UNSEEN)
    await restart(server, "presence: {enabled: false}", alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await alice.sync(**UNSEEN)).presence == {}
