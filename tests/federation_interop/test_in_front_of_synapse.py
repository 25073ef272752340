"""docs/in-front-of-synapse.md: a reader's way from a stock Synapse to presence, and back."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import yaml
from aiohttp import web

from lamplighter.homeserver.upstream.registration import write_registration
from lamplighter.ids import ServerName
from tests.docs.commands import blocks, named_files, runs, typed
from tests.federation_interop.synapse import Synapse
from tests.interop.clients import Person, register
from tests.interop.processes import reserved_port

PAGE = "docs/in-front-of-synapse.md"


class Reader:
    """Does what the page says, with other ports, names and folders."""

    def __init__(self, folder: Path, synapse: Synapse, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.instead = {
            "http://127.0.0.1:8008": synapse.url,
            "127.0.0.1:8018": f"127.0.0.1:{port}",
            "example.org": synapse.name,
            "/etc/matrix-synapse": str(folder / "synapse"),
            "sudo ": "",
            "-o matrix-synapse ": "",
        }
        #: What the page shows of each command, by the command.
        self.shown: dict[str, str] = {}
        for _, body in blocks(PAGE, "console"):
            for entry in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, output = entry.partition("\n")
                self.shown[self.read(command)] = self.read(output)

    def read(self, text: str) -> str:
        """Return *text* of the page as it is meant here."""
        for shown, meant in self.instead.items():
            text = text.replace(shown, meant)
        return text

    def command(self, part: str) -> str:
        """Return the command of the page that has *part* in it."""
        [found] = [it for it in self.shown if part in it]
        return found

    def types(self, part: str) -> str:
        """Run that command; return what it prints."""
        return typed(self.command(part), self.folder).stdout

    def types_as_shown(self, part: str) -> None:
        """Run that command; it must print what the page shows."""
        assert self.types(part) == self.shown[self.command(part)]


@pytest.fixture
def reader(tmp_path: Path, synapse: Synapse) -> Iterator[Reader]:
    """A reader with an empty folder."""
    folder = tmp_path / "reader"
    (folder / "synapse").mkdir(parents=True)
    with reserved_port() as port:
        yield Reader(folder, synapse, port)


async def people(synapse: Synapse, http: aiohttp.ClientSession, *names: str) -> list[Person]:
    """Register people at Synapse itself, who share a room; the first of them syncs."""
    found = [await register(http, synapse.url, it) for it in names]
    room = (await found[0].ask("POST", "/createRoom", {"preset": "public_chat"})).json["room_id"]
    for person in found[1:]:
        assert (await person.ask("POST", f"/join/{quote(room, safe='')}", {})).status == 200
    await found[0].sync()
    return found


async def test_from_a_stock_synapse_to_presence_and_back(
    reader: Reader, synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    """Each command works and prints what the page shows; then a client leaves by its own token."""
    synapse.start()
    alice, bob, carol = await people(synapse, http, "alice", "bob", "carol")
    synapse.kill_if_running()
    config = reader.folder / "lamplighter.yaml"
    config.write_text(reader.read(named_files(PAGE, "yaml")["lamplighter.yaml"]))

    reader.types_as_shown("homeserver registration")
    reader.types(f"{reader.folder}/synapse/")
    [_, (_, keys), *_] = blocks(PAGE, "yaml")
    synapse.configure({}, **yaml.safe_load(reader.read(keys)))
    synapse.start()
    with runs(reader.command("lamplighter serve"), reader.folder, reader.port):
        reader.types_as_shown("homeserver check")
        reader.instead |= {"BOBS_TOKEN": bob.token, "ALICES_TOKEN": alice.token}
        put, get = [reader.read(it) for it in reader.shown if it.startswith("curl")]
        assert typed(put, reader.folder).stdout == "{}"
        shown = json.loads(reader.shown[reader.command("ALICES_TOKEN")])
        seen = json.loads(typed(get, reader.folder).stdout)
        assert seen | {"last_active_ago": 0} == shown | {"last_active_ago": 0}
        # Alice's client comes with the token that Synapse has given it.
        through = Person(http, reader.url, alice.user_id, alice.token)
        through.next_batch = alice.next_batch
        events = (await sync(through))["presence"]["events"]
        assert bob.user_id in {it["sender"] for it in events}
        await a_leave_past_lamplighter(reader, http, carol, bob)

    config.write_text(f"{config.read_text()}presence: {{enabled: false}}\n")
    with runs(reader.command("lamplighter serve"), reader.folder, reader.port):
        told = {it["sender"]: it["content"] for it in (await sync(through))["presence"]["events"]}
        assert told[bob.user_id] == {"presence": "offline"}
    back = Person(http, synapse.url, alice.user_id, alice.token)
    back.next_batch = through.next_batch
    await sync(back)


async def a_leave_past_lamplighter(
    reader: Reader, http: aiohttp.ClientSession, person: Person, subject: Person
) -> None:
    """Let somebody leave all rooms at Synapse itself: it counts once the transaction has come."""
    through = Person(http, reader.url, person.user_id, person.token)
    assert (await through.status(subject)).status == 200
    for room in (await person.ask("GET", "/joined_rooms")).json["joined_rooms"]:
        await person.ask("POST", f"/rooms/{quote(room, safe='')}/leave", {})
    while (await through.status(subject)).status != 403:
        pass


async def sync(person: Person) -> Any:
    """Return the answer to a `/sync`."""
    answer = await person.sync()
    assert answer.status == 200, answer
    return answer.json


@pytest.mark.parametrize("skips", [False, True])
async def test_the_past_in_the_first_transactions(
    skips: bool, tmp_path: Path, synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    """Synapse sends a new application service all events since its setup, but for the UPDATE."""
    synapse.start()
    _, bob = await people(synapse, http, "alice", "bob")
    synapse.kill_if_running()
    if skips:
        [(_, statement)] = blocks(PAGE, "sql")
        with sqlite3.connect(tmp_path / "synapse" / "homeserver.db") as database:
            database.execute(statement)
        database.close()

    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take_in(request: web.Request) -> web.Response:
        for event in (await request.json())["events"]:
            sent.put_nowait(event)
        return web.json_response({})

    service = web.Application(client_max_size=2**25)
    service.router.add_put("/_matrix/app/v1/transactions/{id}", take_in)
    runner = web.AppRunner(service)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    registration = tmp_path / "registration.yaml"
    write_registration(
        registration, f"http://127.0.0.1:{runner.addresses[0][1]}", ServerName(synapse.name)
    )
    synapse.configure({}, presence={"enabled": False}, app_service_config_files=[str(registration)])
    synapse.start()
    [room] = (await bob.ask("GET", "/joined_rooms")).json["joined_rooms"]
    message = {"msgtype": "m.text", "body": "after the restart"}
    await bob.ask("PUT", f"/rooms/{quote(room, safe='')}/send/m.room.message/1", message)
    kinds: list[str] = []
    while "m.room.message" not in kinds:
        kinds.append((await sent.get())["type"])
    await runner.cleanup()
    assert (kinds[0], kinds.count("m.room.member")) == (
        ("m.room.message", 0) if skips else ("m.room.create", 2)
    )
