"""The rooms half of a sync from another homeserver, and presence beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from tests.homeserver.upstream.front import LOBBY, Front, front

ALICE, BOB = "@alice:demo", "@bob:demo"
#: For minutes nobody's presence changes by itself.
PATIENT = "presence: {sync_online_timeout: 1h, last_active_granularity: 1h, idle_timeout: 2h}"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Front]:
    """A server in front of a homeserver where alice and bob share a room."""
    async with front(tmp_path, PATIENT) as running:
        for user_id in (ALICE, BOB):
            running.small.join(user_id, LOBBY)
        yield running


@pytest.fixture
async def alice(door: Front, bob: Client) -> Client:
    """Alice, to whom there is nothing more to say."""
    alice = door.person("alice")
    while (await alice.sync()).presence:
        pass
    return alice


def syncs(door: Front) -> list[tuple[str | None, str]]:
    """Return the token and the time-out of each sync that the homeserver was asked for."""
    asked = [it.query for it in door.small.asked if it.path.endswith("/sync")]
    return [(it.get("since"), it["timeout"]) for it in asked]


async def test_messages_and_presence(door: Front, alice: Client, bob: Client) -> None:
    """What the homeserver says comes as it is, with presence beside it, under one token."""
    await bob.set_status("online", "brb")
    door.small.say(LOBBY, "hello")
    answer = await alice.sync()
    assert set(answer.content) == {
        "next_batch", "presence", "rooms", "device_one_time_keys_count",
        "device_unused_fallback_key_types",
    }  # fmt: skip
    [event] = answer.joined[LOBBY]["timeline"]["events"]
    assert event["content"] == {"body": "hello"}
    assert alice.reads(BOB) == "brb"
    upstream, _, _ours = answer.next_batch.rpartition("~")
    assert upstream == "s3~2.3"


async def test_presence_answers_at_once_and_cancels_nothing(
    door: Front, alice: Client, bob: Client
) -> None:
    """Each presence change is told with the homeserver's token unchanged; its request goes on."""
    before = str(alice.next_batch).rpartition("~")[0]
    door.small.asked.clear()
    for text in ("a", "b", "c"):
        poll = await alice.polls()
        await bob.set_status("online", text)
        answer = await poll.answer()
        assert set(answer.content) == {"next_batch", "presence"}
        assert answer.next_batch.rpartition("~")[0] == before
        assert alice.reads(BOB) == text
    poll = await alice.polls()
    assert syncs(door) == [(before, "120000")]
    door.small.say(LOBBY, "hello")
    assert (await poll.answer()).joined[LOBBY]


async def test_the_time_is_over(door: Front, alice: Client) -> None:
    """A poll in which nothing happens is answered here, with its own token; its request to the
    homeserver goes on, and serves the polls that follow.
    """
    before = alice.next_batch
    door.small.asked.clear()
    for _ in range(3):
        poll = await alice.polls(timeout=5_000)
        await door.server.advance(seconds=4)
        assert not poll.answered
        await door.server.advance(seconds=1)
        assert (await poll.answer()).content == {"next_batch": before}
    poll = await alice.polls(timeout=30_000)
    door.small.say(LOBBY, "hello")
    assert (await poll.answer()).joined[LOBBY]
    assert len(syncs(door)) == 1


async def test_an_empty_answer(door: Front, alice: Client, bob: Client) -> None:
    """The homeserver, which has waited in vain, is asked again with the same token; the client
    waits on.
    """
    before = str(alice.next_batch).rpartition("~")[0]
    poll = await alice.polls(timeout=119_000)
    await door.server.advance(seconds=118)
    await bob.set_status("online", "back")
    await poll.answer()
    door.small.asked.clear()
    poll = await alice.polls(timeout=30_000)
    await door.server.advance(seconds=2)
    assert not poll.answered
    assert syncs(door) == [(before, "120000")]


async def test_a_homeserver_that_does_not_wait(door: Front, alice: Client) -> None:
    """Its second empty answer in a row is the client's: it is not asked without end."""
    nothing = {
        "next_batch": "s9",
        "device_one_time_keys_count": {"signed_curve25519": 50},
        "device_unused_fallback_key_types": [],
    }
    door.small.instead["/_matrix/client/v3/sync"] = 200, nothing
    door.small.asked.clear()
    answer = await (await alice.polls(timeout=30_000)).answer()
    assert answer.content == nothing | {"next_batch": alice.next_batch}
    assert answer.next_batch.rpartition("~")[0] == "s9"
    assert len(syncs(door)) == 2


async def test_keys_that_were_used_up_are_told(door: Front, alice: Client) -> None:
    """An answer with nothing but other counts of keys is passed on: the client uploads new keys."""
    poll = await alice.polls(timeout=150_000)
    door.small.devices[alice.access_token].one_time_keys = 3
    await door.server.advance(seconds=120)
    assert (await poll.answer()).content["device_one_time_keys_count"] == {"signed_curve25519": 3}


async def test_messages_to_a_device_are_not_lost(door: Front, alice: Client) -> None:
    """A client that loses the answer gets the message with the next poll; then it is deleted."""
    device = door.small.devices[alice.access_token]
    before = alice.next_batch
    poll = await alice.polls()
    await poll.go_away()
    door.small.send_to_device(alice.access_token, {"secret": 1})
    await door.server.settled()
    for _ in range(2):
        alice.next_batch = before
        answer = await alice.sync(timeout=30_000)
        assert answer.content["to_device"]["events"][0]["content"] == {"secret": 1}
    assert device.to_device
    poll = await alice.polls()
    assert not device.to_device
    await poll.go_away()


async def test_the_same_token_twice_asks_again(door: Front, alice: Client) -> None:
    """A client that lost an answer gets what has come since, too; nothing is handed out twice."""
    before = alice.next_batch
    for expected in (["a"], ["a", "b"]):
        alice.next_batch = before
        poll = await alice.polls()
        if expected == ["a"]:
            door.small.say(LOBBY, "a")
        events = (await poll.answer()).joined[LOBBY]["timeline"]["events"]
        assert [it["content"]["body"] for it in events] == expected
        door.small.say(LOBBY, "b")


async def test_a_newer_token_of_an_empty_answer(door: Front, alice: Client, bob: Client) -> None:
    """A client with the newer token is attached to the same request, whose next one has it."""
    old = str(alice.next_batch).rpartition("~")[0]
    door.small.join("@carol:demo", "!elsewhere:demo")
    door.small.asked.clear()
    for step, text in ((118, "a"), (2, "b")):
        poll = await alice.polls(timeout=150_000)
        await door.server.advance(seconds=step)
        await bob.set_status("online", text)
        await poll.answer()
    assert str(alice.next_batch).rpartition("~")[0] == "s3~2.3"
    poll = await alice.polls(timeout=150_000)
    await door.server.advance(seconds=120)
    assert not poll.answered
    assert [since for since, _ in syncs(door)] == [old, old, "s3~2.3"]


async def test_what_the_homeserver_is_asked(door: Front, alice: Client) -> None:
    """The client's own query and headers, where it is, and nothing of its presence."""
    query = {"filter": '{"room":{"rooms":[]}}', "unknown": "ä & b", "set_presence": "unavailable"}
    await door.server.http.request(
        "GET",
        "/_matrix/client/r0/sync",
        token=alice.access_token,
        query=query,
        headers={"User-Agent": "phone", "Accept-Encoding": "gzip", "X-Forwarded-Host": "a.example"},
    )
    asked = door.small.asked[-1]
    assert (asked.method, asked.path) == ("GET", "/_matrix/client/v3/sync")
    assert asked.query == query | {"set_presence": "offline", "timeout": "0"}
    assert asked.headers == {
        "authorization": f"Bearer {alice.access_token}",
        "host": "localhost",
        "user-agent": "phone",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "a.example",
    }


async def test_an_older_token(door: Front, alice: Client) -> None:
    """A client that goes back is not attached to a request for what comes later."""
    before = alice.next_batch
    door.small.say(LOBBY, "hello")
    await alice.sync()
    poll = await alice.polls()
    await poll.go_away()
    alice.next_batch = before
    [event] = (await alice.sync(timeout=30_000)).joined[LOBBY]["timeline"]["events"]
    assert event["content"] == {"body": "hello"}


async def test_leftover_presence_of_the_homeserver(door: Front, alice: Client, bob: Client) -> None:
    """What the homeserver still says of presence never reaches a client."""
    door.small.leftover = [
        {"type": "m.presence", "sender": BOB, "content": {"presence": "offline"}}
    ]
    await bob.set_status("online", "brb")
    answer = await alice.sync()
    assert answer.presence == {BOB: alice.beliefs[BOB]}
    assert alice.reads(BOB) == "brb"


async def test_a_plain_token_of_the_homeserver(door: Front, alice: Client, bob: Client) -> None:
    """A client that comes from the homeserver goes on with its token, tildes and all."""
    await bob.set_status("online", "brb")
    alice.next_batch = "s1~2.1"
    alice.beliefs.clear()
    answer = await alice.sync()
    assert alice.reads(BOB) == "brb"
    assert [it["event_id"] for it in answer.joined[LOBBY]["timeline"]["events"]] == ["$2"]


async def test_refusals_come_as_they_are(door: Front, alice: Client) -> None:
    """Limits and log-outs of the homeserver reach the client unchanged."""
    limited = {"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 7}
    door.small.instead["/_matrix/client/v3/sync"] = 429, limited
    with pytest.raises(RequestFailed) as refused:
        await alice.sync()
    assert (refused.value.status, refused.value.content) == (429, limited)
    del door.small.instead["/_matrix/client/v3/sync"]
    door.small.log_out(alice.access_token)
    for _ in range(2):
        with pytest.raises(RequestFailed) as refused:
            await alice.sync()
        assert (refused.value.status, refused.value.content["soft_logout"]) == (401, True)
    with pytest.raises(RequestFailed) as refused:
        await alice.set_status("online")
    assert (refused.value.status, refused.value.content["soft_logout"]) == (401, True)


async def test_the_homeserver_is_away(door: Front, alice: Client, bob: Client) -> None:
    """A poll waits on, presence goes on, and what is said meanwhile comes once it is back."""
    poll = await alice.polls()
    door.pipe.cut()
    await door.server.settled()
    assert not poll.answered
    await bob.set_status("online", "brb")
    await poll.answer()
    assert alice.reads(BOB) == "brb"
    poll = await alice.polls()
    door.small.say(LOBBY, "hello")
    await door.server.advance(seconds=5)
    assert not poll.answered
    door.pipe.is_down = False
    await door.server.advance(seconds=10)
    assert (await poll.answer()).joined[LOBBY]


async def test_away_for_longer_than_a_poll(door: Front, alice: Client) -> None:
    """When the client's time is over it keeps its token; a first sync gets the error."""
    before = alice.next_batch
    poll = await alice.polls(timeout=5_000)
    door.pipe.cut()
    await door.server.advance(seconds=5)
    assert (await poll.answer()).content == {"next_batch": before}
    with pytest.raises(RequestFailed) as refused:
        await alice.first_sync()
    assert refused.value.status == 502


async def test_a_bridge_acts_for_its_users(door: Front, bob: Client) -> None:
    """A service's token and the user that it names are together who asks."""
    door.small.log_in("alice")
    http = door.server.http
    query = {"user_id": ALICE}
    first = await http.request("GET", "/_matrix/client/v3/sync", token="as-secret", query=query)
    await bob.set_status("online", "brb")
    query["since"] = first.json["next_batch"]
    again = await http.request("GET", "/_matrix/client/v3/sync", token="as-secret", query=query)
    assert [it["sender"] for it in again.json["presence"]["events"]] == [BOB]


async def test_an_uploaded_filter(door: Front, alice: Client, bob: Client) -> None:
    """The presence part of a filter counts here, and its ID goes on to the homeserver."""
    door.small.filters["7"] = {"presence": {"not_senders": [BOB]}}
    await bob.set_status("online", "brb")
    answer = await alice.sync(filter="7")
    assert answer.presence == {}
    assert door.small.asked[-1].query["filter"] == "7"
