"""Rate limits of presence: they limit transitions, and no connected client looks away."""

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer

#: Bob's poll that lasts: not even his own presence is news.
QUIET = '{"presence": {"types": []}, "room": {"rooms": []}}'

LIMITED = pytest.mark.parametrize(
    "config", ["rate_limits: {presence: {per_second: 1, burst: 2}}"], ids=["2, then 1 a second"]
)


@LIMITED
async def test_put_over_the_limit(server: InMemoryServer, bob: Client) -> None:
    """A PUT over the limit is refused with 429 and `retry_after_ms`, and changes nothing."""
    await bob.set_status("online", "one")
    await bob.set_status("online", "two")
    with pytest.raises(RequestFailed) as refused:
        await bob.set_status("online", "three")
    content = refused.value.content
    assert (refused.value.status, content["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert content["retry_after_ms"] == 1_000
    assert server.presence_of(bob).status_msg == "two"
    await server.advance(milliseconds=content["retry_after_ms"])
    await bob.set_status("online", "four")


@LIMITED
async def test_devices_have_their_own_limits(server: InMemoryServer, bob: Client) -> None:
    """The limit is each device's own: what one does costs the others nothing."""
    laptop = await server.register("bob")
    for _ in range(2):
        await bob.set_status("online")
    await laptop.set_status("unavailable")
    with pytest.raises(RequestFailed, match="429"):
        await bob.set_status("online")


@LIMITED
async def test_sync_over_the_limit_is_answered(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A poll that changes too fast is answered, without changing the presence; later it does."""
    for presence in ("unavailable", "online", "unavailable"):
        await bob.sync(set_presence=presence)
    assert server.presence_of(bob).state == "online"
    await alice.set_status("online", "news")
    answer = await bob.sync(set_presence="unavailable")
    assert answer.presence[alice.user_id]["status_msg"] == "news"
    await server.advance(seconds=1)
    await bob.sync(set_presence="unavailable")
    assert server.presence_of(bob).state == "unavailable"


@LIMITED
async def test_sync_over_the_limit_counts_as_connected(server: InMemoryServer, bob: Client) -> None:
    """A client whose change was refused still counts as connected."""
    laptop = await server.register("bob")
    for presence in ("unavailable", "online"):
        await laptop.set_status(presence)
    await laptop.sync()
    poll = await laptop.polls(timeout=300_000, set_presence="unavailable", filter=QUIET)
    await server.advance(minutes=4)
    assert (poll.answered, server.presence_of(bob).state) == (False, "online")


@pytest.mark.parametrize("config", ["rate_limits: off", "rate_limits: {presence: off}"])
async def test_no_limit(server: InMemoryServer, bob: Client) -> None:
    """Limits can be switched off, all of them or one."""
    for count in range(40):
        await bob.set_status("online", str(count))
    assert server.presence_of(bob).status_msg == "39"
