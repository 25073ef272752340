"""The types that callbacks of other kinds use can be imported and have no effect."""

from lamplighter.devtools.server import running_server
from tests.compat.modules.routers_that_are_more import ChecksSpamToo

ALICE = "@alice:demo"


async def test_a_router_that_checks_spam_too() -> None:
    """A presence router that imports, and uses, names of other kinds routes presence as ever."""
    config = {"shows": {ALICE: ["@bob:demo"]}}
    async with running_server([(ChecksSpamToo, config)]) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        await alice.sync()
        await bob.set_status("online", "here")
        answer = await alice.sync()
        assert answer.presence[bob.user_id]["status_msg"] == "here"
