"""Modules that try to end or to block the server by what they do in the event loop."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.interop.clients import people_at, polls_under_way
from tests.interop.conftest import MakeServer
from tests.interop.processes import ServerProcess

WAYS = ("task", "callback", "background", "thread")
DEEDS = ("exit", "interrupt", "stop", "cancel")


def do(server: ServerProcess, deed: Path, what: str, how: str) -> None:
    """Let the module do it twice: nor does it matter that it was done before."""
    for times in (1, 2):
        part = deed.with_suffix(".part")
        part.write_text(f"{what} {how}")
        part.rename(deed)
        server.logged(f"begins: {what} {how}", times)


@pytest.mark.parametrize("how", WAYS)
async def test_the_server_goes_on(
    make_server: MakeServer, http: aiohttp.ClientSession, tmp_path: Path, how: str
) -> None:
    """No module can end the server.

    Waiting polls and requests are answered, the module is asked, its background work goes on, and
    the server ends when it is told to.
    """
    deed = tmp_path / "deed"
    module = f"{{module: tests.interop.modules.Destructive, config: {{deed: '{deed}'}}}}"
    server = make_server(f"modules: [{module}]")
    alice, bob = await people_at(server, http, "alice", "bob")
    await alice.sync()
    for number, what in enumerate(DEEDS):
        poll = asyncio.create_task(alice.sync(timeout=60_000))
        await polls_under_way(http, server.url, 1)
        await asyncio.to_thread(do, server, deed, what, how)
        assert (await bob.put_status("online", str(number))).status == 200
        events = (await poll).json["presence"]["events"]
        contents = {event["sender"]: event["content"].get("status_msg") for event in events}
        assert contents[bob.user_id] == str(number)
    ended = await asyncio.to_thread(server.stop)
    assert ended.code == 0
    said = [line["event"] for line in ended.events]
    assert said[-2:] == ["stopping", "stopped"]
    if how == "task":
        named = [line for line in ended.events if "tried to end" in line["event"]]
        assert {line["module"] for line in named} == {"Destructive"}
        stopped = [line for line in ended.events if "stopped the event loop" in line["event"]]
        assert {line["module"] for line in stopped} == {"Destructive"}
