"""Which changes are delivered, and which are kept for later."""

from pathlib import Path

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server can be restarted."""
    return tmp_path / "data"


#: Bob's poll that lasts: not even his own presence is news.
QUIET = '{"presence": {"types": []}, "room": {"rooms": []}}'


async def test_message_and_state(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A change of nothing but the status message is delivered, and so is one of the state."""
    await bob.set_status("online", "one")
    await alice.sync()
    await bob.set_status("online", "two")
    assert (await alice.sync()).presence[bob.user_id]["status_msg"] == "two"
    await bob.set_status("unavailable", "two")
    told = {"presence": "unavailable", "last_active_ago": 0, "status_msg": "two"}
    assert (await alice.sync()).presence[bob.user_id] == told


async def test_no_longer_active(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A user who is online stops being active, for others too, a minute after the last activity."""
    await bob.sync()
    await alice.sync()
    await bob.polls(timeout=600_000, filter=QUIET)
    watching = await alice.polls(timeout=600_000, set_presence="offline", filter=only(bob))
    await server.advance(milliseconds=59_999)
    assert not watching.answered
    await server.advance(milliseconds=1)
    assert (await watching.answer()).presence == {
        bob.user_id: {"presence": "online", "currently_active": False, "last_active_ago": 60_000}
    }


async def test_later_activity(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """An activity is delivered if it comes more than a minute after the last delivered one."""
    await bob.sync()
    await bob.polls(timeout=600_000, filter=QUIET)
    await alice.sync()
    for _ in range(2):
        await server.advance(seconds=30)
        await bob.types(room)
    assert (await alice.sync(filter=only(bob))).presence == {}
    await server.advance(milliseconds=1)
    await bob.types(room)
    told = (await alice.sync(filter=only(bob))).presence
    assert told == {
        bob.user_id: {"presence": "online", "currently_active": True, "last_active_ago": 0}
    }


@pytest.mark.parametrize(
    "way", ["m.room.message", "m.room.encrypted", "m.room.topic", "typing", "m.read", "marker"]
)
async def test_activity(server: InMemoryServer, alice: Client, bob: Client, way: str) -> None:
    """Sending any event, encrypted or of state, typing, receipts and markers are activity."""
    room = await server.room(bob, alice)
    event = (await bob.call("PUT", f"/rooms/{room}/send/m.room.message/0", {"body": "b"}))[
        "event_id"
    ]
    await bob.sync(set_presence="unavailable")
    await bob.polls(filter=QUIET, set_presence="unavailable")
    await server.advance(seconds=10)
    assert server.presence_of(bob).state == "unavailable"
    await act(bob, way, room, event)
    state = server.presence_of(bob)
    assert (state.state, state.last_active_ts) == ("online", server.clock.now())


async def test_what_is_not_told_is_kept(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """An activity that is not delivered is kept in memory, shown by GET status, and saved later."""
    await bob.sync()
    await bob.polls(filter=QUIET)
    await server.advance(seconds=20)
    await bob.types(room)
    acted = server.clock.now()
    assert (await alice.status_of(bob))["last_active_ago"] == 0
    await server.restart(alice, bob)
    assert server.presence_of(bob).last_active_ts == acted


def only(other: Client) -> str:
    """Return a filter that admits the presence of one user."""
    return f'{{"presence": {{"senders": ["{other.user_id}"]}}}}'


async def act(bob: Client, way: str, room: str, event_id: str) -> None:
    """Do one of the things that are activity."""
    if way == "m.room.topic":
        await bob.call("PUT", f"/rooms/{room}/state/{way}", {"topic": "lamps"})
    elif way.startswith("m.room."):
        await bob.send(room, "hello", event_type=way)
    elif way == "typing":
        await bob.types(room)
    elif way == "m.read":
        await bob.call("POST", f"/rooms/{room}/receipt/m.read/{event_id}", {})
    else:
        await bob.call("POST", f"/rooms/{room}/read_markers", {"m.fully_read": event_id})
