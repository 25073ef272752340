"""A person at a Matrix client."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.devtools.client import Client, RequestFailed, SyncAnswer
from lamplighter.devtools.http import Response
from lamplighter.devtools.server import InMemoryServer, running_server

ONLINE = {"presence": "online", "last_active_ago": 0, "currently_active": True}


@pytest.fixture
async def server() -> AsyncIterator[InMemoryServer]:
    """A server without modules."""
    async with running_server() as server:
        yield server


@pytest.fixture
async def alice(server: InMemoryServer) -> Client:
    """Somebody."""
    return await server.register("alice")


@pytest.fixture
async def bob(server: InMemoryServer) -> Client:
    """Somebody else."""
    return await server.register("bob")


async def test_beliefs(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A client shows the newest presence of each user from its syncs."""
    await server.room(alice, bob)
    assert (alice.beliefs, alice.sees(bob), alice.reads(bob)) == ({}, False, None)
    await bob.set_status("online", "brb")
    await alice.sync()
    assert alice.beliefs[bob.user_id] == {**ONLINE, "status_msg": "brb"}
    assert [alice.sees(bob), alice.sees(bob, "online"), alice.sees(bob, "offline")] == [
        True,
        True,
        False,
    ]
    assert (alice.reads(bob), alice.reads(bob.user_id)) == ("brb", "brb")
    await bob.set_status("unavailable")
    assert alice.sees(bob, "online")
    await alice.sync()
    assert (alice.sees(bob.user_id, "unavailable"), alice.reads(bob)) == (True, None)


async def test_going_on(alice: Client) -> None:
    """Each sync goes on from the last; a first sync forgets what the client showed."""
    first = await alice.sync()
    assert (first.presence, alice.next_batch) == ({alice.user_id: ONLINE}, first.next_batch)
    assert (await alice.sync()).presence == {}
    alice.beliefs["@nobody:demo"] = ONLINE
    again = await alice.first_sync(set_presence="offline")
    assert (again.presence, alice.beliefs) == (first.presence, first.presence)


async def test_waiting_for_news(server: InMemoryServer, alice: Client) -> None:
    """A poll waits for news or its time-out; the client then shows the news."""
    await alice.sync()
    poll = await alice.polls()
    answered = [poll.answered]
    await alice.set_status("online", "me")
    answer = await poll.answer()
    assert [*answered, poll.answered] == [False, True]
    assert answer.presence == alice.beliefs == {alice.user_id: {**ONLINE, "status_msg": "me"}}
    quiet = await alice.polls(timeout=1_000, filter='{"presence": {"types": []}}')
    await server.advance(seconds=1)
    assert (await quiet.answer()).content.keys() == {"next_batch"}


async def test_refusals(alice: Client, bob: Client) -> None:
    """A refusal is raised, with status, error code and content; `request` returns it instead."""
    with pytest.raises(RequestFailed) as refused:
        await alice.status_of(bob)
    error = "You may not see the presence of @bob:demo"
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")
    assert refused.value.content == {"errcode": "M_FORBIDDEN", "error": error}
    assert str(refused.value) == f"403 M_FORBIDDEN: {error}"
    response = await alice.request("GET", "/presence/bob/status")
    assert response.status == 400
    with pytest.raises(RequestFailed, match="M_INVALID_PARAM"):
        await alice.sync(full_state="maybe")


async def test_rooms(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """People create rooms, invite, join, speak and leave; `joined` holds the rooms with news."""
    room_id = await alice.create_room(bob, preset="private_chat", name="Hall")
    await bob.join(room_id)
    await bob.sync()
    await server.advance(seconds=20)
    await bob.send(room_id, "hello there")
    answer = await alice.sync()
    events = answer.joined[room_id]["timeline"]["events"]
    assert [event["content"]["body"] for event in events if "body" in event["content"]] == [
        "hello there"
    ]
    await server.advance(seconds=5)
    assert await alice.status_of(bob) == {**ONLINE, "last_active_ago": 5_000}
    await bob.types(room_id)
    assert await alice.status_of(bob) == ONLINE
    await bob.leave(room_id)
    with pytest.raises(RequestFailed, match="403"):
        await alice.status_of(bob)


def test_an_answer_without_news() -> None:
    """An answer with only a token has no presence and no rooms."""
    answer = SyncAnswer({"next_batch": "t"})
    assert (answer.next_batch, answer.presence, answer.joined) == ("t", {}, {})


async def test_learning(alice: Client) -> None:
    """A client can be given answers of another server."""
    content = b'{"next_batch":"t","presence":{"events":[{"sender":"@x:y","content":{"a":1}}]}}'
    alice.learn(Response(200, {}, content))
    assert (alice.next_batch, alice.beliefs) == ("t", {"@x:y": {"a": 1}})
