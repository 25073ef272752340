"""Since tokens: of any age, from before a restart, from elsewhere, and garbage."""

from pathlib import Path

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server can be restarted."""
    return tmp_path / "data"


async def test_nothing_twice(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A token gets nothing twice; the same token, sent again, gets the same answer."""
    await bob.set_status("online")
    await alice.sync()
    before = alice.next_batch
    await bob.set_status("online", "news")
    first = await alice.sync()
    assert (first.presence[bob.user_id]["status_msg"], (await alice.sync()).presence) == (
        "news",
        {},
    )
    again = await alice.sync(since=str(before))
    assert again.presence == first.presence


@pytest.mark.parametrize("minutes", [1, 6, 180])
async def test_token_of_any_age(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client, room: str, minutes: int
) -> None:
    """A viewer who was away gets exactly the users who have changed since, however long ago."""
    await charlie.join(room)
    await bob.set_status("offline", "before")
    await charlie.set_status("offline", "before")
    await alice.sync(set_presence="offline")
    await server.advance(minutes=minutes)
    await charlie.set_status("offline", "after")
    answer = await alice.sync(set_presence="offline")
    assert set(answer.presence) == {charlie.user_id}
    assert (alice.reads(bob), alice.reads(charlie)) == ("before", "after")


async def test_token_from_before_a_restart(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client, room: str
) -> None:
    """A token from before a restart gets only what is new after it."""
    await charlie.join(room)
    await server.advance(seconds=1)
    await bob.set_status("offline", "old")
    await charlie.set_status("offline", "old")
    await alice.sync(set_presence="offline")
    await charlie.set_status("offline", "just before")
    await server.restart(alice, bob, charlie)
    answer = await alice.sync(set_presence="offline")
    assert set(answer.presence) == {charlie.user_id}
    await bob.set_status("offline", "after")
    assert set((await alice.sync(set_presence="offline")).presence) == {bob.user_id}


GARBAGE = ["s72594_4483_1934", "~", "0-0", "1~9999999999999-9-00000000", "\u1234", "x" * 5000]


@pytest.mark.parametrize("since", GARBAGE, ids=lambda text: text[:20].encode("unicode_escape"))
async def test_garbage(
    server: InMemoryServer, alice: Client, bob: Client, room: str, since: str
) -> None:
    """A token that this server has not given is answered with every visible user."""
    await bob.set_status("offline")
    answer = await alice.sync(since=since, timeout=30_000)
    assert set(answer.presence) == {alice.user_id, bob.user_id}
    assert answer.next_batch != since


async def test_token_of_another_server(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A token of another Lamplighter is answered in full, offline users included."""
    await bob.set_status("offline")
    await alice.sync()
    rooms, _, presence = str(alice.next_batch).rpartition("~")
    milliseconds, number, _mark = presence.split("-")
    answer = await alice.sync(since=f"{rooms}~{milliseconds}-{number}-0badc0de")
    assert set(answer.presence) == {alice.user_id, bob.user_id}


async def test_token_from_the_future(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A token ahead of this server is answered in full if its position does not come."""
    await bob.set_status("offline")
    await alice.sync()
    ahead = str(alice.next_batch).replace(str(server.clock.now()), str(server.clock.now() + 10**9))
    assert ahead != alice.next_batch
    poll = await alice.polls(since=ahead)
    await server.advance(seconds=1)
    assert not poll.answered
    await server.advance(seconds=1)
    assert set((await poll.answer()).presence) == {alice.user_id, bob.user_id}


async def test_token_a_little_ahead(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client, room: str
) -> None:
    """A poll with a token ahead of this server waits for the position, and gets what is new."""
    await charlie.join(room)
    await charlie.set_status("offline", "long ago")
    await alice.sync(set_presence="offline")
    ahead = str(alice.next_batch).replace(str(server.clock.now()), str(server.clock.now() + 500))
    poll = await alice.polls(since=ahead, set_presence="offline")
    await server.advance(seconds=1)
    assert not poll.answered
    await bob.set_status("offline", "news")
    assert set((await poll.answer()).presence) == {bob.user_id}


async def test_empty_token(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A sync with an empty `since` is a first sync."""
    answer = await alice.sync(since="")
    assert set(answer.presence) == {alice.user_id}
