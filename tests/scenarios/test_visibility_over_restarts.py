"""A viewer for whom visibility ends by a restart, or before one, is told after it."""

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
    """The end of visibility before a restart is told after it, once."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await bob.leave(room)
    await restart(server, "", alice)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    await restart(server, "", alice)
    assert (await alice.sync(**UNSEEN)).presence == {}


@pytest.mark.parametrize("new", [naming("carol"), ""], ids=["other module", "no module"])
async def test_other_modules(server: InMemoryServer, alice: Client, bob: Client, new: str) -> None:
    """A user whom only the modules before the restart named is said to be offline."""
    await bob.set_status("online", "hello")
    await restart(server, naming("bob"), alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"
    await restart(server, new, alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_whom_both_name(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A user whom the modules after the restart name as well stays visible."""
    await bob.set_status("online", "hello")
    await restart(server, naming("bob"), alice, bob)
    await alice.sync(**UNSEEN)
    await restart(server, naming("bob", "carol"), alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"


async def test_switched_off(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A user whom only a module showed is said to be offline once presence is switched off."""
    await bob.set_status("online", "hello")
    await restart(server, naming("bob"), alice, bob)
    await alice.sync(**UNSEEN)
    await restart(server, "presence: {enabled: false}", alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await alice.sync(**UNSEEN)).presence == {}


NO_ROOMS = "routing: {shared_rooms: false}"


def excluding(room: str) -> str:
    """Return the configuration in which the room does not count."""
    return f"routing: {{exclude_rooms: ['{room}']}}"


@pytest.fixture(params=["exclude_rooms", "shared_rooms"])
def without(request: pytest.FixtureRequest, room: str) -> str:
    """A configuration in which the room does not count any more."""
    return excluding(room) if request.param == "exclude_rooms" else NO_ROOMS


async def seen(alice: Client, bob: Client, presence: str = "online") -> None:
    """Let alice's screen show bob with a message."""
    await bob.set_status(presence, "hello")
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"


@pytest.mark.parametrize("presence", ["online", "offline"])
async def test_a_room_ceases_to_count(
    server: InMemoryServer, alice: Client, bob: Client, without: str, presence: str
) -> None:
    """Members who saw each other by a room that has ceased to count are told the end, once."""
    await alice.set_status("online", "here")
    await bob.sync(**UNSEEN)
    await seen(alice, bob, presence)
    await restart(server, without, alice, bob)
    await bob.set_status("unavailable", "a secret")
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await bob.sync(**UNSEEN)).presence[alice.user_id] == THE_END
    for _ in range(2):
        assert (await alice.sync(**UNSEEN)).presence == {}
        await restart(server, without, alice, bob)


async def test_a_room_counts_again(
    server: InMemoryServer, alice: Client, bob: Client, without: str
) -> None:
    """Members of a room that counts again are told of each other, though nobody has changed."""
    await seen(alice, bob)
    await restart(server, without, alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) is None
    await restart(server, "", alice, bob)
    await restart(server, "", alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_away_while_a_room_did_not_count(
    server: InMemoryServer, alice: Client, bob: Client, without: str
) -> None:
    """A client that was away until the room counted again shows what is true."""
    await seen(alice, bob)
    await restart(server, without, alice, bob)
    await bob.set_status("unavailable", "changed")
    await restart(server, "", alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "changed"


async def test_away_over_many_restarts(
    server: InMemoryServer, alice: Client, bob: Client, without: str
) -> None:
    """A client that was away over more than one restart is told the end, too."""
    await seen(alice, bob)
    for _ in range(3):
        await restart(server, without, alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}


@pytest.mark.parametrize("later", ["same", "counts again"])
async def test_a_leave_of_a_room_that_does_not_count(
    server: InMemoryServer, alice: Client, bob: Client, room: str, without: str, later: str
) -> None:
    """A member who leaves the room afterwards is said to be offline to clients from before."""
    await seen(alice, bob)
    await restart(server, without, alice, bob)
    await bob.leave(room)
    await restart(server, without if later == "same" else "", alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_who_joins_a_room_that_does_not_count(
    server: InMemoryServer, alice: Client, room: str, without: str
) -> None:
    """Nothing is told of somebody who joined when the room did not count any more."""
    await alice.sync(**UNSEEN)
    await restart(server, without, alice)
    carol = await server.register("carol")
    await carol.join(room)
    await carol.set_status("online")
    await restart(server, without, alice)
    assert carol.user_id not in (await alice.sync(**UNSEEN)).presence


async def test_another_room_is_shared(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Members who share another room see each other as ever."""
    await server.room(alice, bob)
    await seen(alice, bob)
    await restart(server, excluding(room), alice, bob)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"


async def test_both_settings_in_turn(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A room that is excluded first, and is not when no room counts, ended once: with the first."""
    await seen(alice, bob)
    await restart(server, excluding(room), alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    await restart(server, NO_ROOMS, alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_switched_off_in_the_same_restart(
    server: InMemoryServer, alice: Client, bob: Client, without: str
) -> None:
    """If presence is switched off in the same restart, clients get the same."""
    await seen(alice, bob)
    await restart(server, f"presence: {{enabled: false}}\n{without}", alice, bob)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await alice.sync(**UNSEEN)).presence == {}
