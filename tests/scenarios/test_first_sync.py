"""What a first `/sync` shows, and the form of its events."""

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer

INCLUDE = pytest.mark.parametrize(
    "config", ["presence: {include_offline_users_on_sync: true}"], ids=["included"]
)


async def test_whom_it_shows(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client
) -> None:
    """It shows users who are not offline, offline ones with a status message, and the viewer."""
    dora, emil = await server.register("dora"), await server.register("emil")
    await server.room(alice, bob, charlie, dora, emil)
    await bob.set_status("unavailable")
    await charlie.set_status("offline", "on holiday")
    await dora.set_status("online")
    await dora.log_out()
    answer = await alice.first_sync(set_presence="offline")
    assert answer.presence == {
        alice.user_id: {"presence": "offline"},
        bob.user_id: {"presence": "unavailable", "last_active_ago": 0},
        charlie.user_id: {
            "presence": "offline",
            "last_active_ago": 0,
            "status_msg": "on holiday",
        },
    }


@INCLUDE
async def test_offline_users_included(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client
) -> None:
    """With `include_offline_users_on_sync` it shows every visible user, heard of or not."""
    await server.room(alice, bob)
    await charlie.set_status("online")
    answer = await alice.first_sync(set_presence="offline")
    assert answer.presence == {
        alice.user_id: {"presence": "offline"},
        bob.user_id: {"presence": "offline"},
    }


async def test_strangers(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A user is not visible without a shared room and without a module that names them."""
    await bob.set_status("online", "hello")
    assert list((await alice.first_sync()).presence) == [alice.user_id]


async def test_event(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """An event is `m.presence` with sender and content; the content has no `user_id`."""
    await bob.set_status("online", "hello")
    await server.advance(seconds=7)
    answer = await alice.first_sync(filter=f'{{"presence": {{"senders": ["{bob.user_id}"]}}}}')
    assert answer.content["presence"] == {
        "events": [
            {
                "type": "m.presence",
                "sender": bob.user_id,
                "content": {
                    "presence": "online",
                    "last_active_ago": 7_000,
                    "currently_active": True,
                    "status_msg": "hello",
                },
            }
        ]
    }


async def test_words_that_say_nothing(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """`currently_active` stands only where somebody is online, `status_msg` where one is set."""
    await bob.set_status("unavailable", "")
    assert (await alice.first_sync()).presence[bob.user_id] == {
        "presence": "unavailable",
        "last_active_ago": 0,
    }


async def test_first_sync_does_not_wait(server: InMemoryServer, bob: Client) -> None:
    """A first sync is answered at once, whatever its time-out."""
    answer = await bob.sync(timeout=30_000)
    assert list(answer.presence) == [bob.user_id]


async def test_full_state(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """`full_state` shows what a first sync does, even to somebody who knows it all."""
    await bob.set_status("online")
    await alice.sync()
    assert (await alice.sync()).presence == {}
    answer = await alice.sync(full_state="true", timeout=30_000)
    assert set(answer.presence) == {alice.user_id, bob.user_id}
