"""People whose account is closed."""

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer


async def test_members_see_them_go(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Room members are told that a deactivated user went offline, without the status message."""
    await bob.set_status("online", "busy bee")
    await alice.sync()
    await server.lamplighter.directory.deactivate(bob.user_id)
    await server.settled()
    await alice.sync()
    believed = alice.beliefs[bob.user_id]
    assert (believed["presence"], believed.get("status_msg")) == ("offline", None)
