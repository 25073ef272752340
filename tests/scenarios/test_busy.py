"""Busy (MSC3026), where the operator allows it."""

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer

BUSY = "org.matrix.msc3026.busy"
ON = pytest.mark.parametrize("config", ["presence: {busy: true}"], ids=["on"])


async def test_off_unless_configured(server: InMemoryServer, bob: Client) -> None:
    """Without `presence.busy` there is no such state: a PUT is refused and changes nothing."""
    with pytest.raises(RequestFailed) as refused:
        await bob.set_status(BUSY)
    assert (refused.value.status, refused.value.errcode) == (400, "M_INVALID_PARAM")
    assert server.presence_of(bob).state == "offline"


@ON
async def test_busy_is_told(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """With `presence.busy`, a PUT makes a user busy, and others are told."""
    await alice.sync()
    await bob.set_status(BUSY, "in a meeting")
    assert (await alice.sync()).presence[bob.user_id] == {
        "presence": BUSY,
        "last_active_ago": 0,
        "status_msg": "in a meeting",
    }


@ON
async def test_a_sync_cannot_override_busy(server: InMemoryServer, bob: Client) -> None:
    """No sync takes a device out of busy, whatever it asks for; a PUT does."""
    await bob.set_status(BUSY)
    await bob.sync()
    await bob.sync(set_presence="online")
    await bob.sync(set_presence="unavailable")
    assert server.presence_of(bob).state == BUSY
    await bob.set_status("online")
    assert server.presence_of(bob).state == "online"


@pytest.mark.parametrize(
    ("config", "minutes"),
    [("presence: {busy: true}", 60), ("presence: {busy: true, busy_timeout: 2m}", 2)],
)
async def test_busy_stays_longer(server: InMemoryServer, bob: Client, minutes: int) -> None:
    """A busy device does not idle, and its grace is an hour, or what `busy_timeout` says."""
    await bob.set_status(BUSY)
    await server.advance(milliseconds=minutes * 60_000 - 1)
    assert server.presence_of(bob).state == BUSY
    await server.advance(milliseconds=1)
    assert server.presence_of(bob).state == "offline"


@ON
async def test_a_sync_may_ask_for_busy(server: InMemoryServer, bob: Client) -> None:
    """With `presence.busy`, a sync may set it, too."""
    await bob.sync(set_presence=BUSY)
    assert server.presence_of(bob).state == BUSY
