"""Whatever is interleaved, nobody loses an event, and everybody believes what they may know."""

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.devtools.client import Client, ClientPoll, RequestFailed, SyncAnswer
from tests.homeserver.upstream.front import Front, front

LOBBY, SIDE = "!lobby:demo", "!side:demo"
NAMES = ("alice", "bob", "carol")
#: Who is always in the lobby; everybody may be in the other room.
AT_LOBBY = ("alice", "bob")
#: Is always in the other room, and was never heard of. After a restart such users may be told, too.
NOBODY = "@nobody:demo"

Step = tuple[str, str, int]

STEPS = st.tuples(
    st.sampled_from(
        ["say", "poll", "poll", "sync", "answer", "drop", "status", "status", "to device", "join",
         "leave", "join past us", "leave past us", "tell", "wait", "away", "back", "restart"]
    ),
    st.sampled_from(NAMES),
    st.integers(0, 40),
)  # fmt: skip


@dataclass
class Person:
    """A client, what it was told, and its poll."""

    client: Client
    poll: ClientPoll | None = None
    #: Whether the homeserver was away when the poll began, so that nobody knows whose token it is.
    poll_may_fail: bool = False
    lobby: list[str] = field(default_factory=list)
    to_device: list[int] = field(default_factory=list)
    #: The homeserver's parts of the tokens that it has sent.
    tokens: set[str | None] = field(default_factory=lambda: {None})

    def sends_token(self) -> None:
        """Remember the token of the next request."""
        if self.client.next_batch is not None:
            self.tokens.add(self.client.next_batch.rpartition("~")[0])

    def learn(self, answer: SyncAnswer) -> None:
        """Read an answer as a client does."""
        for room_id, room in answer.joined.items():
            if room_id == LOBBY:
                self.lobby += [it["event_id"] for it in room["timeline"]["events"]]
        messages = answer.content.get("to_device", {}).get("events", [])
        self.to_device += [it["content"]["number"] for it in messages]
        for event in answer.content.get("presence", {}).get("events", []):
            whom, presence = event["sender"], event["content"]["presence"]
            assert (whom, presence) == (NOBODY, "offline") or whom in {
                f"@{it}:demo" for it in NAMES
            }


@dataclass
class World:
    """What goes on."""

    door: Front
    people: dict[str, Person]
    #: With more members a room does not count.
    largest_room: int
    sent: dict[str, list[int]] = field(default_factory=dict)
    told: int = 0

    async def step(self, what: str, name: str, number: int) -> None:  # noqa: C901 - a table
        """Let one thing happen."""
        person, small = self.people[name], self.door.small
        client, user_id = person.client, f"@{name}:demo"
        is_in = user_id in small.members.get(SIDE, [])
        match what:
            case "say":
                small.say(LOBBY, str(number))
            case "to device":
                small.send_to_device(client.access_token, {"number": number})
                self.sent.setdefault(name, []).append(number)
            case "poll" if person.poll is None:
                person.sends_token()
                person.poll_may_fail = self.door.pipe.is_down
                person.poll = await client.polls(timeout=1_000 * (number + 1))
            case "sync" if person.poll is None:
                await self.sync(person)
            case "answer" if person.poll is not None and person.poll.answered:
                with suppress(RequestFailed) if person.poll_may_fail else nullcontext():
                    person.learn(await person.poll.answer())
                person.poll = None
            case "drop" if person.poll is not None:
                await person.poll.go_away()
                person.poll = None
            case "status":
                with suppress(RequestFailed) if self.door.pipe.is_down else nullcontext():
                    await client.set_status("online", str(number))
            case "join" | "leave" if (what == "leave") == is_in and not self.door.pipe.is_down:
                await client.call("POST", f"/rooms/{SIDE}/{what}", {})
            case "join past us" if not is_in:
                small.join(user_id, SIDE)
            case "leave past us" if is_in:
                small.leave(user_id, SIDE)
            case "tell":
                await self.tell()
            case "wait":
                await self.door.server.advance(seconds=number)
            case "away":
                self.door.pipe.cut()
            case "back":
                self.door.pipe.is_down = False
            case "restart":
                await self.restart()
        await self.door.server.settled()

    async def sync(self, person: Person) -> None:
        """Ask without waiting."""
        person.sends_token()
        with suppress(RequestFailed) if self.door.pipe.is_down else nullcontext():
            person.learn(await person.client.sync())

    async def tell(self) -> None:
        """Let the homeserver tell what it has not told; sometimes it tells the past again."""
        assert await self.door.told(self.told) == 200
        self.told = self.door.small.position if self.told % 2 else self.told

    async def restart(self) -> None:
        """Stop the server in front, and start it again; polls are answered before."""
        for person in self.people.values():
            if person.poll is not None:
                await person.poll.go_away()
                person.poll = None
        await self.door.server.restart(*(it.client for it in self.people.values()))

    async def end(self) -> None:
        """Let everything come to rest, and look at what everybody believes."""
        self.door.pipe.is_down = False
        for person in self.people.values():
            if person.poll is not None:
                await person.poll.go_away()
        await self.door.server.advance(minutes=2)
        assert await self.door.told() == 200
        for name, person in self.people.items():
            await person.client.set_status("online", f"last of {name}")
        for person in self.people.values():
            quiet = 0
            while quiet < 2:
                person.sends_token()
                answer = await person.client.sync()
                person.learn(answer)
                quiet = 0 if answer.presence or answer.joined else quiet + 1
        small = self.door.small
        for asked in (it for it in small.asked if it.path.endswith("/sync")):
            [asker] = [
                it
                for it in self.people.values()
                if asked.headers["authorization"] == f"Bearer {it.client.access_token}"
            ]
            assert asked.query.get("since") in asker.tokens
        side = small.members.get(SIDE, [])
        for name, person in self.people.items():
            user_id = f"@{name}:demo"
            lobby = [it for it in small.events.values() if it["room_id"] == LOBBY]
            assert person.lobby == [it["event_id"] for it in lobby if user_id in it["to"]]
            assert person.to_device == self.sent.get(name, [])
            at_side = {it.get("state_key") for it in small.events.values() if it["room_id"] == SIDE}
            assert NOBODY not in person.client.beliefs or user_id in at_side
            for other in NAMES:
                other_id = f"@{other}:demo"
                at_both = {user_id, other_id} <= set(side) and len(side) <= self.largest_room
                shared = {name, other} <= set(AT_LOBBY) or at_both
                sees = other_id in person.client.beliefs and person.client.sees(other_id)
                assert sees == (shared or name == other), (name, other, side)
                if sees:
                    assert person.client.reads(other_id) == f"last of {other}"


async def play(folder: Path, largest_room: int, at_side: frozenset[str], steps: list[Step]) -> None:
    """Play one world."""
    async with front(folder, f"routing: {{largest_room: {largest_room}}}") as door:
        for name in AT_LOBBY:
            door.small.join(f"@{name}:demo", LOBBY)
        for name in ("nobody", *sorted(at_side)):
            door.small.join(f"@{name}:demo", SIDE)
        world = World(door, {it: Person(door.person(it)) for it in NAMES}, largest_room)
        for person in world.people.values():
            await world.sync(person)
        for step in steps:
            await world.step(*step)
        await world.end()


@pytest.mark.timeout(900)
@given(
    largest_room=st.sampled_from((9, 9, 2, 3)),
    at_side=st.frozensets(st.sampled_from(NAMES)),
    steps=st.lists(STEPS, max_size=40),
)
def test_nobody_loses_an_event_or_learns_too_much(
    tmp_path_factory: pytest.TempPathFactory,
    largest_room: int,
    at_side: frozenset[str],
    steps: list[Step],
) -> None:
    """Each client gets every event of its room and every message to it once, in order, through
    dropped connections and restarts of either side; and believes of presence what it may know. The
    homeserver sees no token that the client has not sent.
    """
    asyncio.run(play(tmp_path_factory.mktemp("world"), largest_room, at_side, steps))
