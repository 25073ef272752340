"""Rooms that count only while they do not have too many members."""

from pathlib import Path

import pytest

from lamplighter.config.load import parse_config_text
from lamplighter.devtools.client import Client, RequestFailed, SyncQuery
from lamplighter.devtools.server import InMemoryServer

THE_END = {"presence": "offline"}
UNSEEN: SyncQuery = {"set_presence": "offline"}
ONLY_PRESENCE: SyncQuery = {"filter": '{"room": {"rooms": []}}', "set_presence": "offline"}
HELD = "tests.compat.modules.held.Held"
NAMED = "{routes: {}, named: {'@alice:demo': ['@bob:demo']}}"
NAMING = f"modules: [{{module: {HELD}, config: {NAMED}}}]"


@pytest.fixture(params=["largest_room: 2", "rooms: direct"])
def config(request: pytest.FixtureRequest) -> str:
    """With more than two members a room does not count."""
    return f"routing: {{{request.param}}}\n"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server can be restarted."""
    return tmp_path / "data"


@pytest.fixture
async def carol(server: InMemoryServer) -> Client:
    """The third."""
    return await server.register("carol")


async def restart(server: InMemoryServer, text: str, *clients: Client) -> None:
    """Restart the server with another configuration, after something was saved."""
    dave = await server.register("dave")
    await dave.set_status("online", str(server.clock.now()))
    whole = f"server_name: demo\nrate_limits: off\n{text}\n"
    server.configure(parse_config_text(whole, Path("memory.yaml")))
    server.clock.advance(seconds=1)
    await server.restart(*clients)


async def test_a_room_that_grows(alice: Client, bob: Client, carol: Client, room: str) -> None:
    """A third member ends the visibility of both, who are told `offline`; the third sees nobody."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    poll = await alice.polls(**ONLY_PRESENCE)
    await carol.join(room)
    assert (await poll.answer()).presence == {bob.user_id: THE_END}
    await bob.set_status("online", "a secret")
    assert (await alice.sync(**UNSEEN)).presence == {}
    assert (await carol.sync(**UNSEEN)).presence.keys() <= {carol.user_id}
    for viewer in (alice, carol):
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await viewer.status_of(bob)


async def test_what_is_not_told_yet(alice: Client, bob: Client, carol: Client, room: str) -> None:
    """A change that has not reached the client when the room grows does not reach it any more."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await bob.set_status("unavailable", "a secret")
    await carol.join(room)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}


async def test_who_was_offline(alice: Client, bob: Client, carol: Client, room: str) -> None:
    """Nothing is said of a member who was offline, as the client knows; nor of a later change."""
    await bob.set_status("offline")
    await alice.sync(**UNSEEN)
    await carol.join(room)
    await bob.set_status("online", "a secret")
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_who_went_offline_meanwhile(
    alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """A client that has not heard that a member went offline before the room grew is told so."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await bob.set_status("offline")
    await carol.join(room)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}


async def test_a_room_that_shrinks(
    server: InMemoryServer, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """Once the third has left, both see each other again, whether they poll or were away."""
    await bob.set_status("online", "hello")
    await alice.set_status("online", "here")
    await bob.sync(**UNSEEN)
    await carol.join(room)
    await server.advance(hours=2)
    await alice.sync(**UNSEEN)
    poll = await alice.polls(**ONLY_PRESENCE)
    await carol.leave(room)
    await poll.answer()
    assert alice.reads(bob) == "hello"
    await bob.sync(**UNSEEN)
    assert bob.reads(alice) == "here"
    assert (await alice.sync(**UNSEEN)).presence == {}
    assert not carol.sees(bob)


async def test_a_leave_while_it_is_too_large(
    server: InMemoryServer, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """Who leaves meanwhile stays invisible, also to a client that was away all the time."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await carol.join(room)
    await server.advance(seconds=1)
    await bob.leave(room)
    await bob.set_status("online", "a secret")
    await carol.set_status("online", "new")
    assert (await alice.sync(**UNSEEN)).presence == {
        bob.user_id: THE_END,
        carol.user_id: await alice.status_of(carol),
    }


async def test_another_room(
    server: InMemoryServer, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """Members who share another room, which counts, see each other as ever."""
    other = await server.room(alice, bob)
    await alice.sync(**UNSEEN)
    await carol.join(room)
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"
    await bob.leave(other)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}


async def test_a_module_names_somebody(
    server: InMemoryServer, config: str, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """Whom a module names stays visible when the room has too many members."""
    await restart(server, config + NAMING, alice, bob, carol)
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await carol.join(room)
    await bob.set_status("online", "still here")
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "still here"


async def test_a_restart_after_it_grew(
    server: InMemoryServer, config: str, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """A client from before is told the end after the restart, once, and nothing else."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await server.advance(seconds=1)
    await carol.join(room)
    await carol.set_status("online", "new")
    await bob.set_status("online", "a secret")
    await restart(server, config, alice, bob, carol)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    await restart(server, config, alice, bob, carol)
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_a_restart_after_it_shrank(
    server: InMemoryServer, config: str, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """A client that was told the end is told of the members after the restart, once."""
    await bob.set_status("online", "hello")
    await carol.join(room)
    await alice.sync(**UNSEEN)
    await server.advance(seconds=1)
    await carol.leave(room)
    await restart(server, config, alice, bob, carol)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"
    await restart(server, config, alice, bob, carol)
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_a_restart_after_that_was_told(
    server: InMemoryServer, config: str, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """A client that was told of the members before the restart is not told of them again."""
    await bob.set_status("online", "hello")
    await server.advance(seconds=1)
    await carol.join(room)
    await alice.sync(**UNSEEN)
    await carol.leave(room)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"
    await restart(server, config, alice, bob, carol)
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_another_limit(
    server: InMemoryServer, config: str, alice: Client, bob: Client, carol: Client, room: str
) -> None:
    """A restart without the limit makes the members visible; one with it ends that again."""
    await bob.set_status("online", "hello")
    await carol.join(room)
    await alice.sync(**UNSEEN)
    await restart(server, "", alice, bob, carol)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"
    await restart(server, config, alice, bob, carol)
    assert (await alice.sync(**UNSEEN)).presence == {it.user_id: THE_END for it in (bob, carol)}
