"""A viewer who may not see a user any more is told, once, that the user is offline, no more."""

import pytest

from lamplighter.devtools.client import Client, RequestFailed, SyncQuery
from lamplighter.devtools.server import InMemoryServer

THE_END = {"presence": "offline"}
UNSEEN: SyncQuery = {"set_presence": "offline"}


@pytest.mark.parametrize("presence", ["online", "unavailable", "offline"])
async def test_the_same_bytes_whatever_is_true(
    server: InMemoryServer, alice: Client, bob: Client, room: str, presence: str
) -> None:
    """After a leave the other side gets the same event, whatever the leaver's state is by then."""
    await bob.set_status("online", "hello")
    await alice.sync()
    await bob.leave(room)
    await bob.set_status(presence, "a secret")
    assert (await alice.sync()).presence == {bob.user_id: THE_END}
    assert (await alice.sync()).presence == {}


async def test_both_sides(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A leave ends the visibility of both sides: each is told `offline`, once, and may not ask."""
    carol = await server.register("carol")
    await carol.join(room)
    for person in (alice, bob, carol):
        await person.set_status("online", "here")
    for person in (alice, bob, carol):
        await person.sync()
    await bob.leave(room)
    told = [(await person.sync()).presence for person in (alice, bob, carol)]
    assert told == [
        {bob.user_id: THE_END},
        {alice.user_id: THE_END, carol.user_id: THE_END},
        {bob.user_id: THE_END},
    ]
    for viewer, user in ((alice, bob), (bob, alice)):
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await viewer.status_of(user)


@pytest.mark.parametrize("way", ["kick", "ban"])
async def test_a_waiting_poll(
    server: InMemoryServer, alice: Client, bob: Client, room: str, way: str
) -> None:
    """The end of visibility answers a waiting poll at once."""
    await bob.set_status("online")
    await alice.sync()
    poll = await alice.polls(filter='{"room": {"rooms": []}}')
    await alice.call("POST", f"/rooms/{room}/{way}", {"user_id": bob.user_id})
    assert (await poll.answer()).presence == {bob.user_id: THE_END}


async def test_who_was_away(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A viewer who returns after a day, with a token from before the leave, is told, too, once."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await server.advance(hours=1)
    await bob.set_status("unavailable", "hello")
    await bob.leave(room)
    await server.advance(hours=24)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}
    assert (await alice.sync(**UNSEEN)).presence == {}


@pytest.mark.parametrize(
    ("message", "told"), [(None, False), ("on holiday", True)], ids=["silent", "with a message"]
)
async def test_shown_as_offline_already(
    server: InMemoryServer, alice: Client, bob: Client, room: str, message: str | None, told: bool
) -> None:
    """The end is no news of a user whom the client shows as offline, unless with a message."""
    await bob.set_status("offline", message)
    await alice.sync(**UNSEEN)
    await bob.leave(room)
    assert (await alice.sync(**UNSEEN)).presence == ({bob.user_id: THE_END} if told else {})
    await server.advance(hours=1)
    assert (await alice.sync(**UNSEEN)).presence == {}


@pytest.mark.parametrize("hours", [0, 1])
async def test_gone_offline_and_left_since(
    server: InMemoryServer, alice: Client, bob: Client, room: str, hours: int
) -> None:
    """A viewer who has a user as online, who then went offline and left, is told the end, and not
    when the user went.
    """
    await bob.set_status("online")
    await alice.sync(**UNSEEN)
    await bob.set_status("offline")
    await bob.leave(room)
    await server.advance(hours=hours)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}


async def test_seen_again_before_the_next_sync(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A user who is visible again before the next sync is shown as they are."""
    await bob.set_status("online", "one")
    await alice.sync(**UNSEEN)
    await bob.leave(room)
    await bob.set_status("unavailable", "two")
    await bob.join(room)
    told = (await alice.sync(**UNSEEN)).presence[bob.user_id]
    assert (told["presence"], told["status_msg"]) == ("unavailable", "two")


async def test_seen_again_after_a_long_absence(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A client that was away for a leave and a return shows the user's state."""
    await bob.set_status("online", "one")
    await alice.sync(**UNSEEN)
    await bob.leave(room)
    await server.advance(hours=1)
    await bob.join(room)
    await server.advance(hours=1)
    await alice.sync(**UNSEEN)
    assert (alice.sees(bob), alice.reads(bob)) == (False, "one")


@pytest.mark.parametrize("query", [{"since": "nonsense"}, {"full_state": "true"}], ids=str)
async def test_everything_once_more(
    server: InMemoryServer, alice: Client, bob: Client, room: str, query: SyncQuery
) -> None:
    """A token that says nothing, and `full_state`, get the end of visibility, too; a first sync
    does not.
    """
    await bob.set_status("online")
    await alice.sync(**UNSEEN)
    await bob.leave(room)
    asked: SyncQuery = {**UNSEEN, **query}
    assert (await alice.sync(**asked)).presence[bob.user_id] == THE_END
    assert bob.user_id not in (await alice.first_sync(**UNSEEN)).presence


async def test_an_older_token(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """An older token of the same client gets the end of visibility again."""
    await bob.set_status("online")
    since = (await alice.sync(**UNSEEN)).next_batch
    await bob.leave(room)
    for _ in range(2):
        assert (await alice.sync(since=since, set_presence="offline")).presence == {
            bob.user_id: THE_END
        }


async def test_never_heard_of(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A user who was never heard of causes no event."""
    room = await server.room(alice)
    await alice.sync(**UNSEEN)
    await bob.join(room)
    await alice.sync(**UNSEEN)
    await bob.leave(room)
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_a_large_room(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A leave answers the polls of all members of a large room with the same event."""
    people = [await server.register(f"p{number}") for number in range(20)]
    for person in people:
        await person.join(room)
    await bob.set_status("online")
    for person in people:
        await person.sync(**UNSEEN)
    alone = '{"room": {"rooms": []}}'
    polls = [await person.polls(filter=alone, set_presence="offline") for person in people]
    await bob.leave(room)
    assert [(await poll.answer()).presence for poll in polls] == [{bob.user_id: THE_END}] * 20
