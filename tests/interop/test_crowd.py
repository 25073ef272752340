"""500 people in one room, all connected to one server."""

import asyncio
import json
from typing import Any

import aiohttp

from tests.interop.clients import people_at, polls_under_way
from tests.interop.conftest import MakeServer

WATCHERS = 500
#: They poll without being seen, and are not in the room.
QUIETLY = {"set_presence": "offline", "filter": json.dumps({"room": {"rooms": []}})}


def presence_in(answer: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return who is what by the answer to a sync, ages aside."""
    events = answer.json.get("presence", {}).get("events", [])
    return [(it["sender"], it["content"] | {"last_active_ago": 0}) for it in events]


async def test_a_crowd(make_server: MakeServer, http: aiohttp.ClientSession) -> None:
    """500 people who poll at the same time all receive one change, once, and nothing else."""
    server = make_server()
    names = ["bob", *(f"watcher{n}" for n in range(WATCHERS))]
    bob, *watchers = await people_at(server, http, *names)
    await asyncio.gather(*(watcher.sync(**QUIETLY) for watcher in watchers))
    polls = [asyncio.create_task(watcher.sync(**QUIETLY, timeout=60_000)) for watcher in watchers]
    await polls_under_way(http, server.url, WATCHERS)
    assert (await bob.put_status("online", "Five hundred of you!")).status == 200
    answers = await asyncio.gather(*polls)
    content = {
        "presence": "online",
        "last_active_ago": 0,
        "currently_active": True,
        "status_msg": "Five hundred of you!",
    }
    assert [presence_in(answer) for answer in answers] == [[(bob.user_id, content)]] * WATCHERS
    again = await asyncio.gather(*(watcher.sync(**QUIETLY) for watcher in watchers))
    assert [presence_in(answer) for answer in again] == [[]] * WATCHERS
    assert (await asyncio.to_thread(server.stop)).code == 0
