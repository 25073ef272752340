"""Waiting for news, seen from its endpoint."""

from typing import Any

import pytest

from lamplighter.delivery.feed import MOST_POLLS
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.server import InMemoryServer
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import LeaseLost


@pytest.fixture
async def erik(server: InMemoryServer) -> Client:
    """Another user."""
    return await server.register("erik")


def polls_in_flight(server: InMemoryServer) -> str:
    """Return the count of waiting polls, as metrics show it."""
    lines = server.lamplighter.metrics.exposition().decode().splitlines()
    return next(line for line in lines if line.startswith("lamplighter_polls_in_flight"))


async def test_waiting_is_counted(server: InMemoryServer, dora: Client) -> None:
    """Polls that wait are counted while they do, however they end."""
    await dora.sync()
    one = await dora.polls()
    other = await dora.polls()
    counts = [polls_in_flight(server)]
    await one.go_away()
    counts.append(polls_in_flight(server))
    await server.advance(seconds=30)
    await other.answer()
    counts.append(polls_in_flight(server))
    assert counts == [f"lamplighter_polls_in_flight {count}.0" for count in (2, 1, 0)]


async def test_a_poll_leaves_no_timer(server: InMemoryServer, dora: Client) -> None:
    """A poll that is answered early leaves no timer of its own behind."""
    await dora.sync(set_presence="offline")
    before = server.clock.next_timer()
    poll = await dora.polls(timeout=1, set_presence="offline")
    assert server.clock.next_timer() == server.clock.now() + 1
    await dora.set_status("online")
    await poll.answer()
    assert server.clock.next_timer() != server.clock.now() + 1
    assert before is not None


async def test_news_of_no_interest(server: InMemoryServer, dora: Client, erik: Client) -> None:
    """A poll whose filter does not admit the news goes on waiting."""
    await server.room(dora, erik)
    await dora.sync()
    poll = await dora.polls(filter='{"presence": {"not_senders": ["@erik:demo"]}}')
    await erik.set_status("online", "brb")
    await server.settled()
    assert not poll.answered
    await dora.set_status("online", "me")
    answer = await poll.answer()
    assert list(answer.presence) == [dora.user_id]
    assert (await dora.sync()).presence == {}


async def test_the_limit_of_a_filter(server: InMemoryServer, dora: Client, erik: Client) -> None:
    """Of more news than the filter's limit the newest come, oldest first."""
    fay = await server.register("fay")
    await server.room(dora, erik, fay)
    await dora.sync(set_presence="offline")
    for client in (erik, fay, dora):
        await client.set_status("online", "brb")
    answers = []
    for limit in (0, 2, 3):
        query: dict[str, Any] = {"filter": f'{{"presence": {{"limit": {limit}}}}}'}
        since = dora.next_batch
        answers.append(list((await dora.sync(**query)).presence))
        dora.next_batch = since
    everybody = [erik.user_id, fay.user_id, dora.user_id]
    assert answers == [[], everybody[1:], everybody]


async def test_logging_out_ends_the_poll(dora: Client, server: InMemoryServer) -> None:
    """A device that logs out while it polls is refused, and learns nothing."""
    await dora.sync()
    poll = await dora.polls()
    await dora.log_out()
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await poll.answer()
    assert polls_in_flight(server) == "lamplighter_polls_in_flight 0.0"


async def test_tokens_lead_on(dora: Client) -> None:
    """The same question, asked again with the same token, has the same answer."""
    await dora.sync()
    since = dora.next_batch
    await dora.set_status("online", "brb")
    first = await dora.sync()
    dora.next_batch = since
    assert await dora.sync() == first


async def test_logging_in_again_ends_the_poll(dora: Client, server: InMemoryServer) -> None:
    """A poll with a token that a new login has replaced is refused; the person stays online."""
    await dora.sync(set_presence="online")
    poll = await dora.polls(set_presence="online")
    again = await server.register("dora", device="PHONE")
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await poll.answer()
    assert server.presence_of(dora).state == "online"
    assert (await again.sync(set_presence="online")).next_batch


async def test_more_first_syncs_than_polls(server: InMemoryServer, dora: Client) -> None:
    """Of far more first syncs at once than a user may have, each is answered, or refused; and the
    next one is answered.
    """
    await dora.sync()  # from now on her token is known at once
    http = HttpClient(server.lamplighter.http_server(server.clock).connect)
    asked = [
        http.begin("GET", "/_matrix/client/v3/sync", token=dora.access_token, query=query)
        for query in [{"timeout": "30000"}] * (3 * MOST_POLLS)
    ]
    await server.settled()
    statuses = [(await it.response()).status for it in asked if it.answered]
    assert len(statuses) == len(asked)
    assert set(statuses) == {200, 429}
    assert (await dora.request("GET", "/sync")).status == 200


async def test_a_refusal_comes_after_a_pause(server: InMemoryServer, dora: Client) -> None:
    """A poll that its node cannot serve is refused a second later; who polls again does not spin.

    Who has waited before, and who asks without waiting, is refused at once.
    """
    await dora.sync()
    waiting = await dora.polls()
    server.lamplighter.core.feed.refuse_all(LeaseLost("the lease has ended"))
    answered = [waiting.answered]
    await turns_until_idle()
    answered.append(waiting.answered)
    again, without_waiting = await dora.polls(), await dora.polls(timeout=0)
    answered += [again.answered, without_waiting.answered]
    await server.advance(seconds=0.999)
    answered.append(again.answered)
    await server.advance(seconds=0.001)
    answered.append(again.answered)
    assert answered == [False, True, False, True, False, True]
    for poll in (waiting, again, without_waiting):
        with pytest.raises(RequestFailed, match="This node cannot answer now"):
            await poll.answer()
