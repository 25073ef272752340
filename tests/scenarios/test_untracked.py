"""Servers without presence, and those at which only modules set it."""

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer

UNTRACKED = pytest.mark.parametrize("config", ["presence: {enabled: untracked}"], ids=["untracked"])
OFF = pytest.mark.parametrize("config", ["presence: {enabled: false}"], ids=["off"])
EITHER = pytest.mark.parametrize(
    "config", ["presence: {enabled: untracked}", "presence: {enabled: false}"]
)


@EITHER
async def test_clients_are_ignored(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Unless presence is tracked, no PUT, sync or activity of a client counts; none fails."""
    await alice.sync()
    await bob.set_status("online", "hello")
    await bob.sync(set_presence="online")
    await bob.send(room, "hello")
    assert server.presence_of(bob).state == "offline"
    assert (await alice.sync()).presence == {}


@UNTRACKED
async def test_modules_write(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """Untracked presence that modules set is pushed, in first syncs, and in GET status."""
    await alice.sync()
    poll = await alice.polls()
    await server.api.set_presence_for_users({bob.user_id: ("online", "by a module")})
    told = {
        bob.user_id: {"presence": "online", "currently_active": False, "status_msg": "by a module"}
    }
    assert (await poll.answer()).presence == told
    assert (await alice.first_sync()).presence[bob.user_id] == told[bob.user_id]
    assert await alice.status_of(bob) == told[bob.user_id]


@UNTRACKED
async def test_untracked_presence_stays(server: InMemoryServer, bob: Client) -> None:
    """A presence that a module has set stays, whatever devices do, until a module sets another."""
    await server.api.set_presence_for_users({bob.user_id: ("unavailable", None)})
    await bob.sync()
    await bob.log_out()
    await server.advance(hours=3)
    assert server.presence_of(bob).state == "unavailable"


@OFF
async def test_no_presence(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """If presence is off nobody is shown, not even by modules; syncs still have rooms."""
    await server.api.set_presence_for_users({bob.user_id: ("online", None)})
    answer = await alice.first_sync()
    assert (answer.presence, list(answer.joined)) == ({}, [room])
    assert server.presence_of(bob).state == "offline"


@OFF
async def test_no_status(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """If presence is off, GET status shows every visible user as offline."""
    assert await alice.status_of(bob) == {"presence": "offline"}
    with pytest.raises(RequestFailed):
        await alice.status_of("@nobody:demo")
