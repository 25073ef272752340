"""A running process reloads its modules at SIGHUP."""

import asyncio
import signal
from typing import Final

import aiohttp

from tests.interop.clients import register
from tests.interop.conftest import MakeServer

RULE: Final = """
class Rule:
    def __init__(self, config, api):
        self.shown = {shown}
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, states):
        return {{"@alice:lamp.test": {{it for it in states if it.user_id in self.shown}}}}

    async def get_interested_users(self, user_id):
        return self.shown if user_id == "@alice:lamp.test" else set()
"""


async def test_sighup(make_server: MakeServer, http: aiohttp.ClientSession) -> None:
    """SIGHUP reloads the modules: a waiting poll gets the users who become visible.

    A module that is no Python is refused, with the reason in the log, and the process goes on as
    before.
    """
    server = make_server("modules: [{module: sighup_rule.Rule}]")
    rule = server.folder / "sighup_rule.py"
    rule.write_text(RULE.format(shown=set()))
    server.start()
    alice, bob = [await register(http, server.url, name) for name in ("alice", "bob")]
    await alice.sync()
    await bob.put_status("online", "brb")
    poll = asyncio.create_task(alice.sync(timeout=60_000, set_presence="offline"))
    rule.write_text(RULE.format(shown={bob.user_id}))
    server.signal(signal.SIGHUP)
    [event] = (await poll).json["presence"]["events"]
    assert (event["sender"], event["content"]["status_msg"]) == (bob.user_id, "brb")

    rule.write_text("class Rule(")
    server.signal(signal.SIGHUP)
    await asyncio.to_thread(server.logged, "modules not reloaded")
    await bob.put_status("online", "back")
    [event] = (await alice.sync(set_presence="offline")).json["presence"]["events"]
    assert event["content"]["status_msg"] == "back"
    ended = await asyncio.to_thread(server.stop)
    assert ended.code == 0
    [refused] = [it for it in ended.events if it["event"].startswith("modules not reloaded")]
    assert "SyntaxError" in refused["problem"]
