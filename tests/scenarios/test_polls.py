"""Waiting for news: many polls, clients that go away, a server that stops."""

import asyncio

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer

#: No news of rooms.
PRESENCE_ONLY = '{"room": {"rooms": []}}'


async def test_push(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A change answers a waiting poll at once, without time passing."""
    await alice.sync()
    poll = await alice.polls()
    assert not poll.answered
    await bob.set_status("unavailable", "here")
    assert (await poll.answer()).presence == {
        bob.user_id: {"presence": "unavailable", "last_active_ago": 0, "status_msg": "here"}
    }


async def test_timeout(server: InMemoryServer, alice: Client) -> None:
    """Without news a poll is answered with nothing when its time is over, and not before."""
    await alice.sync()
    poll = await alice.polls(timeout=20_000)
    await server.advance(milliseconds=19_999)
    assert not poll.answered
    await server.advance(milliseconds=1)
    assert set((await poll.answer()).content) == {"next_batch"}


async def test_longest_poll(server: InMemoryServer, alice: Client) -> None:
    """A client that asks for more than ten minutes waits ten."""
    await alice.sync(set_presence="offline")
    poll = await alice.polls(timeout=3_600_000, set_presence="offline")
    await server.advance(minutes=10)
    assert (await poll.answer()).presence == {}


async def test_changes_of_one_moment(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client
) -> None:
    """Changes of one moment come in one answer: each user once, with the newest state."""
    await server.room(alice, bob, charlie)
    await alice.sync()
    poll = await alice.polls()
    await server.api.set_presence_for_users(
        {bob.user_id: ("online", "b"), charlie.user_id: ("unavailable", "c")}
    )
    answer = await poll.answer()
    events = answer.content["presence"]["events"]
    assert sorted((it["sender"], it["content"]["status_msg"]) for it in events) == [
        (bob.user_id, "b"),
        (charlie.user_id, "c"),
    ]


async def test_oldest_change_first(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client
) -> None:
    """Events stand in the order of the changes; a user who changed again moves to the end."""
    await server.room(alice, bob, charlie)
    await alice.sync()
    for client, message in ((bob, "1"), (charlie, "2"), (bob, "3")):
        await client.set_status("online", message)
    events = (await alice.sync()).content["presence"]["events"]
    assert [it["content"]["status_msg"] for it in events] == ["2", "3"]


async def test_two_devices_of_a_viewer(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Each device gets each change once, whenever it polls, by its own token."""
    phone = await server.register("alice")
    await alice.sync()
    await phone.sync(set_presence="offline")
    poll = await alice.polls()
    await bob.set_status("unavailable")
    assert set((await poll.answer()).presence) == {bob.user_id}
    assert set((await phone.sync(set_presence="offline")).presence) == {bob.user_id}
    assert (await alice.sync()).presence == (await phone.sync()).presence == {}


async def test_own_presence(server: InMemoryServer, alice: Client) -> None:
    """A user's own changes are delivered, too: another device shows what this device has set."""
    phone = await server.register("alice")
    await phone.sync(set_presence="offline")
    poll = await phone.polls(set_presence="offline")
    await alice.set_status("unavailable", "me")
    assert set((await poll.answer()).presence) == {alice.user_id}


async def test_client_that_goes_away_misses_nothing(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A client that goes away during a poll gets the changes with its next poll."""
    await alice.sync()
    poll = await alice.polls()
    await poll.go_away()
    await bob.set_status("unavailable")
    assert set((await alice.sync()).presence) == {bob.user_id}


async def test_many_polls_of_one_user(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """One change answers all polls of a user; beyond 64 polls the oldest is answered at once."""
    await alice.sync()
    polls = [await alice.polls(filter=PRESENCE_ONLY) for _ in range(65)]
    assert (await polls[0].answer()).presence == {}
    assert not any(poll.answered for poll in polls[1:])
    await bob.set_status("unavailable")
    answers = await asyncio.gather(*(poll.answer() for poll in polls[1:]))
    assert [set(answer.presence) for answer in answers] == [{bob.user_id}] * 64


async def test_stopping(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A server that stops answers every open poll, at once, with a token to go on from."""
    await alice.sync()
    polls = [await alice.polls() for _ in range(3)]
    server.lamplighter.answer_polls()
    answers = await asyncio.gather(*(poll.answer() for poll in polls))
    assert [set(answer.content) for answer in answers] == [{"next_batch"}] * 3
    assert set((await alice.sync(timeout=30_000)).content) == {"next_batch"}
    await bob.set_status("unavailable")
    assert set((await alice.sync()).presence) == {bob.user_id}


async def test_nobody_elses_news(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client, room: str
) -> None:
    """A change answers only the polls of viewers who may see the user."""
    await charlie.sync()
    poll = await charlie.polls()
    await alice.sync()
    await bob.set_status("unavailable")
    assert set((await alice.sync()).presence) == {bob.user_id}
    await server.advance(seconds=1)
    assert not poll.answered


async def test_a_word_and_the_person(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Messages and presence come in one answer, by one token."""
    await alice.sync()
    await bob.set_status("unavailable")
    await bob.send(room, "hello")
    answer = await alice.sync()
    texts = [it["content"].get("body") for it in answer.joined[room]["timeline"]["events"]]
    assert (texts, set(answer.presence)) == (["hello"], {bob.user_id})
