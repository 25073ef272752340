"""What a module looks up, in Synapse itself and in a Lamplighter in front of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from tests.federation_interop.front import in_front_of
from tests.federation_interop.synapse import Synapse
from tests.interop.clients import Person, register


async def found(file: Path, person: Person) -> Any:
    """Let *person* make the module look; return what it has found."""
    assert (await person.put_status("online", "look")).status == 200
    for _ in range(100):
        if (text := read(file)) is not None:
            return json.loads(text)
        await person.sync()
    raise AssertionError("the module has found nothing")


def read(file: Path) -> str | None:
    """Return what stands in a file, if there is one."""
    return file.read_text() if file.exists() else None


async def test_look_ups(synapse: Synapse, tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """A module gets the same answers in front of Synapse as in it: profile, account and state."""
    config = {"user": synapse.user("alice"), "nobody": synapse.user("nobody"), "room": ""}
    synapse.start()
    alice = await register(http, synapse.url, "alice")
    body = {"preset": "public_chat", "name": "Tea party"}
    config["room"] = (await alice.ask("POST", "/createRoom", body)).json["room_id"]
    name = {"displayname": "Alice Liddell"}
    await alice.ask("PUT", f"/profile/{alice.user_id}/displayname", name)
    synapse.kill_if_running()

    within = {**config, "file": str(tmp_path / "within.json")}
    synapse.configure({}, modules=[{"module": "looks_up.LooksUp", "config": within}])
    synapse.start()
    expected = await found(tmp_path / "within.json", alice)
    synapse.kill_if_running()

    with in_front_of(synapse, tmp_path) as front:
        before = {**config, "file": str(tmp_path / "before.json")}
        module = {"module": "tests.federation_interop.modules.looks_up.LooksUp", "config": before}
        front.add(f"modules: {json.dumps([module])}\n")
        await asyncio.to_thread(front.start)
        through = Person(http, front.lamplighter.url, alice.user_id, alice.token)
        assert await found(tmp_path / "before.json", through) == expected
    assert expected == {
        "profile": ["Alice Liddell", None],
        "info": [alice.user_id, False, False],
        "no info": None,
        "exists": [alice.user_id, None],
        "admin": [False, False],
        "name": "Tea party",
        "membership": "join",
        "mine": [True, False],
    }
