"""`kill -9` at any moment: everything acknowledged is there after a restart."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from tests.interop.clients import Answer, Person, people_at, register
from tests.interop.conftest import MakeServer
from tests.interop.processes import ServerProcess

PEOPLE = ("alice", "bob", "charlie", "dave", "erin", "frank")


@dataclass
class Life:
    """Counts what is acknowledged, and kills the server at a chosen number."""

    server: ServerProcess
    left: int
    #: Done once the server is dead.
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledged(self) -> None:
        """Count one more acknowledged request."""
        self.left -= 1
        if self.left == 0:
            self.server.kill()
            self.over.set()


async def as_fast_as_possible(life: Life, work: Callable[[int], Awaitable[Answer]]) -> None:
    """Do *work* again and again until the server dies; it raises what a dead server does."""
    for number in range(1, 1_000_000):
        answer = await work(number)
        assert answer.status == 200, answer
        life.acknowledged()


async def under_load(life: Life, works: list[Callable[[int], Awaitable[Answer]]]) -> None:
    """Do all *works* side by side until the server dies."""
    ended = await asyncio.gather(
        *(as_fast_as_possible(life, work) for work in works), return_exceptions=True
    )
    assert life.over.is_set()
    for error in ended:
        if not isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
            raise error or AssertionError("work has ended by itself")


@dataclass
class Speaker:
    """A user who counts by status messages."""

    person: Person
    sent: int = 0
    kept: int = 0

    async def say(self, _number: int) -> Answer:
        """Say the next number; remember which one was acknowledged last."""
        self.sent += 1
        number = self.sent
        answer = await self.person.put_status("online", str(number))
        if answer.status == 200:
            self.kept = number
        return answer


async def test_statuses(make_server: MakeServer, http: aiohttp.ClientSession) -> None:
    """Each user's status is the last acknowledged one after `kill -9`, or a later one sent."""
    server = make_server()
    speakers = [Speaker(person) for person in await people_at(server, http, *PEOPLE)]
    for _life in range(3):
        life = Life(server, 20 + secrets.randbelow(200))
        await under_load(life, [speaker.say for speaker in speakers])
        server.start()
        for speaker in speakers:
            status = await speaker.person.status()
            found = int(status.json.get("status_msg", 0))
            assert speaker.kept <= found <= speaker.sent
    assert all(speaker.kept for speaker in speakers)


@dataclass
class Worker:
    """A user who makes rooms, data and devices, and remembers those that were acknowledged."""

    person: Person
    made: list[str] = field(default_factory=list)

    async def make_room(self, _number: int) -> Answer:
        return self._note(await self.person.ask("POST", "/createRoom", {}), "room_id")

    async def keep_data(self, number: int) -> Answer:
        path = f"/user/{self.person.user_id}/account_data/org.example.n{number}"
        answer = await self.person.ask("PUT", path, {"number": number})
        self.made.append(path)
        return answer

    async def log_in(self, number: int) -> Answer:
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.person.user_id},
            "password": "wonderland",
            "device_id": f"DEVICE{number}",
        }
        return self._note(await self.person.ask("POST", "/login", body), "access_token")

    def _note(self, answer: Answer, key: str) -> Answer:
        if answer.status == 200:
            self.made.append(answer.json[key])
        return answer


async def test_rooms_devices_and_tokens(
    make_server: MakeServer, http: aiohttp.ClientSession
) -> None:
    """Rooms, account data, devices and access tokens survive `kill -9` once acknowledged."""
    server = make_server()
    server.start()
    architect, archivist, traveller = [
        Worker(await register(http, server.url, name)) for name in PEOPLE[:3]
    ]
    life = Life(server, 20 + secrets.randbelow(50))
    await under_load(life, [architect.make_room, archivist.keep_data, traveller.log_in])
    server.start()
    rooms = await architect.person.ask("GET", "/joined_rooms")
    assert set(architect.made) <= set(rooms.json["joined_rooms"])
    for number, path in enumerate(archivist.made, start=1):
        kept = await archivist.person.ask("GET", path)
        assert (kept.status, kept.json) == (200, {"number": number})
    for number, token in enumerate(traveller.made, start=1):
        again = Person(http, server.url, traveller.person.user_id, token)
        assert await again.ask("GET", "/account/whoami") == Answer(
            200,
            {
                "user_id": traveller.person.user_id,
                "device_id": f"DEVICE{number}",
                "is_guest": False,
            },
        )
