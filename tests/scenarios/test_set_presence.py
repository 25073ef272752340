"""The presence that polls set, as real clients poll."""

import pytest

from lamplighter.devtools.client import Client, SyncQuery
from lamplighter.devtools.server import InMemoryServer

#: A poll that lasts: not even one's own presence is news.
QUIET = '{"presence": {"types": []}, "room": {"rooms": []}}'


async def test_background_and_foreground(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A client that polls with `unavailable` in the background, and without the parameter in front,
    is told as it is, each time at once.
    """
    await bob.sync()
    await alice.sync(set_presence="offline")
    away: SyncQuery = {"set_presence": "unavailable"}
    here: SyncQuery = {}
    for says, shown in ((away, "unavailable"), (here, "online")) * 2:
        await bob.sync(**says)
        told = (await alice.sync(set_presence="offline")).presence
        assert told[bob.user_id]["presence"] == shown


@pytest.mark.parametrize("back_after", [1, 5, 9])
async def test_a_bot_that_was_started_again(
    server: InMemoryServer, bob: Client, back_after: int
) -> None:
    """A bot that sets itself offline as it quits is online with its first sync, however soon."""
    await bob.sync()
    await bob.set_status("offline")
    await server.advance(seconds=back_after)
    await bob.first_sync()
    assert server.presence_of(bob).state == "online"


@pytest.mark.parametrize(("back_after", "shown"), [(9, "offline"), (11, "online"), (29, "online")])
async def test_a_bot_that_goes_on(
    server: InMemoryServer, bob: Client, back_after: int, shown: str
) -> None:
    """With its old since token it is online again if it was away for ten seconds."""
    await bob.sync()
    await bob.set_status("offline")
    await bob.sync()
    await server.advance(seconds=back_after)
    await bob.sync()
    assert server.presence_of(bob).state == shown


async def test_offline_before_the_client_starts(server: InMemoryServer, bob: Client) -> None:
    """A user whom a PUT has set offline before the client started is online with the first sync."""
    await bob.set_status("offline", "not here yet")
    await bob.sync()
    assert server.presence_of(bob).state == "online"


@pytest.mark.parametrize("put", ["offline", "unavailable"])
@pytest.mark.parametrize("says", [{}, {"set_presence": "online"}], ids=["omitted", "explicit"])
async def test_a_put_stays(server: InMemoryServer, bob: Client, put: str, says: SyncQuery) -> None:
    """The presence of a PUT stays while the polls go on saying the same, explicitly or not."""
    await bob.sync(**says)
    await bob.set_status(put)
    for _ in range(60):
        await server.advance(seconds=1)
        await bob.sync(**says)
    assert server.presence_of(bob).state == put
