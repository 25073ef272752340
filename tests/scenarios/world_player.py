"""Plays a random world on a real server, and compares every answer with the oracle."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any, Final
from urllib.parse import quote

from lamplighter.clock import after
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.client import Poll as PollUnderWay
from lamplighter.devtools.server import InMemoryServer
from lamplighter.ids import UserId
from lamplighter.presence.state import Presence
from lamplighter.service.publisher import Published
from tests.scenarios.world_steps import (
    Abandon,
    Action,
    Ask,
    Gate,
    GiveSnapshot,
    Invite,
    Join,
    Leave,
    LogOut,
    Pass,
    Poll,
    Put,
    Restart,
    SetByModule,
    Sync,
    Together,
    Toggle,
    World,
)
from tests.scenarios.worlds import Oracle, Shown, altered, shown, turns

__all__ = ["HOST", "Player"]

#: Who made the rooms, and is never seen.
HOST: Final = "host"
#: How long modules are held at most, in seconds: less than their time-out.
HELD: Final = 4


@dataclass
class Bookmark:
    """A token, and all that the client knew when it had it."""

    token: str
    beliefs: dict[str, dict[str, Any]]
    #: The moment at which the client's first sync began.
    began: int
    #: The oldest moment of which the token may not have heard.
    heard_to: int
    #: By sender, the moment of the newest state that was told.
    newest: dict[str, int]


@dataclass
class Reader:
    """One device, and what the test remembers of it."""

    client: Client
    now: Bookmark | None = None
    past: list[Bookmark] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None
    #: Set once the server waits for news.
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    poll: PollUnderWay | None = None
    #: How many events it was told.
    heard: int = 0


class Player:
    """Plays one world."""

    def __init__(self, server: InMemoryServer, oracle: Oracle, rooms: Mapping[str, str]) -> None:
        self._server = server
        self._oracle = oracle
        self._rules = oracle.rules
        self._rooms = rooms
        self._readers: dict[tuple[str, str], Reader] = {}
        self._said = 0
        self._held = 0
        #: So many turns of the loop, and every module has thought.
        self._patience = 2 * max(oracle.rules.thinks.values(), default=0) + 6

    async def play(self, world: World) -> None:
        """Do everything, in order; raise `AssertionError` for what is not right."""
        self._observe()
        self._look()
        for user, room in world.members:
            await self.do(Join(user, room))
        for module, pair in world.rules:
            await self.do(Toggle(module, *pair))
        for step in world.steps:
            await self._settle(self.do(step))
        await self._end()

    async def _settle(self, step: Awaitable[None]) -> None:
        await step
        await turns(self._patience)
        if self._somebody_waits():
            await self._breathe(2)
        self._rules.forget_ended_calls()
        self._look()
        for reader in self._readers.values():
            if reader.task is not None and reader.task.done():
                task, reader.task = reader.task, None
                task.result()

    @singledispatchmethod
    async def do(self, step: object) -> None:
        """Do one step."""
        raise TypeError(f"{step!r} is not a step")

    # --- what clients do ------------------------------------------------------------------

    @do.register
    async def _put(self, step: Put) -> None:
        reader = await self._reader(step.user, step.device)
        await reader.client.set_status(step.presence, self._message(says=step.says))
        self._look()

    @do.register
    async def _sync(self, step: Sync) -> None:
        reader = await self._reader(step.user, step.device)
        if reader.task is None:
            self._turn_to(reader, step.since)
            query = {} if step.set_presence is None else {"set_presence": step.set_presence}
            await self._request(reader, 0, query)

    @do.register
    async def _poll(self, step: Poll) -> None:
        reader = await self._reader(step.user, step.device)
        if reader.task is None:
            query = {} if step.set_presence is None else {"set_presence": step.set_presence}
            await self._request(reader, step.seconds * 1000, query)

    @do.register
    async def _abandon(self, step: Abandon) -> None:
        reader = self._readers.get((step.user, step.device))
        if reader is None or reader.task is None or reader.poll is None:
            return
        if not reader.task.done() and self._rules.gate.is_set():
            poll, task = reader.poll, reader.task
            reader.task = None
            task.cancel()
            await poll.go_away()

    @do.register
    async def _log_out(self, step: LogOut) -> None:
        reader = self._readers.get((step.user, step.device))
        if reader is not None and reader.task is None:
            del self._readers[step.user, step.device]
            await reader.client.log_out()
            self._look()

    @do.register
    async def _ask(self, step: Ask) -> None:
        reader = await self._reader(step.user, "PHONE")
        if self._rules.gate.is_set():
            for user in self._oracle.users:
                await self._get(reader.client, user)

    async def _get(self, client: Client, user: str) -> None:
        self._look()
        begin = self._oracle.moment
        pair = client.user_id, user
        try:
            told = shown(await client.status_of(user))
        except RequestFailed as refusal:
            _check_forbidden(refusal)
            told = None
        self._look()
        pictures = self._oracle.pictures[begin:]
        if told is None:
            must = all(pair in picture.certain for picture in pictures)
            assert not must, f"GET hides {user} from {client.user_id}"
        else:
            may = any(told in picture.allowed[pair] for picture in pictures)
            assert may, f"GET shows {client.user_id} {told} of {user}"

    @do.register
    async def _join(self, step: Join) -> None:
        reader = await self._reader(step.user, "PHONE")
        self._oracle.joined(self._rooms[step.room], reader.client.user_id)
        self._look()
        await reader.client.join(self._rooms[step.room])

    @do.register
    async def _leave(self, step: Leave) -> None:
        reader = await self._reader(step.user, "PHONE")
        self._look()
        try:
            await reader.client.leave(self._rooms[step.room])
        except RequestFailed as refusal:
            _check_forbidden(refusal)  # was never in it
        self._look()
        self._oracle.left(self._rooms[step.room], reader.client.user_id)
        self._look()

    @do.register
    async def _invite(self, step: Invite) -> None:
        reader = await self._reader(step.user, "PHONE")
        path = f"/rooms/{quote(self._rooms[step.room])}/invite"
        content = {"user_id": self._id_of(step.other)}
        response = await reader.client.request("POST", path, content)
        assert response.status in (200, 403), response

    # --- what modules do ------------------------------------------------------------------

    @do.register
    async def _toggle(self, step: Toggle) -> None:
        self._look()
        pair = self._id_of(step.viewer), self._id_of(step.sender)
        self._rules.pairs[step.module] ^= {pair}
        self._look()

    @do.register
    async def _give_snapshot(self, step: GiveSnapshot) -> None:
        user_id = self._id_of(step.user)
        await self._server.lamplighter.presence.send_local_online_presence_to([user_id])
        self._look()
        self._oracle.asked_anew(user_id)
        self._look()

    @do.register
    async def _set_by_module(self, step: SetByModule) -> None:
        value = Presence(step.presence), self._message(says=step.says)
        users = {self._id_of(step.user): value}
        await self._server.lamplighter.presence.set_presence_for_users(users)
        self._look()

    # --- what happens to all --------------------------------------------------------------

    @do.register
    async def _together(self, step: Together) -> None:
        await asyncio.gather(*(self.do(action) for action in _of_different_users(step.actions)))

    @do.register
    async def _gate(self, step: Gate) -> None:
        if step.open:
            self._rules.gate.set()
            await self._breathe(2)
        elif self._rules.gate.is_set():
            self._rules.gate.clear()
            self._held = 0

    @do.register
    async def _pass(self, step: Pass) -> None:
        if not self._rules.gate.is_set():
            self._held += step.seconds
            if self._held > HELD:
                await self._gate(Gate(open=True))
        clock = self._server.clock
        end = after(clock.now(), _seconds(step.seconds))
        while (due := clock.next_timer()) is not None and due <= end:
            clock.advance_to(due)
            self._look()
            await self._server.lamplighter.presence.settled()
            await turns(self._patience)
            if self._somebody_waits():
                await self._breathe(2)
        clock.advance_to(end)

    @do.register
    async def _restart(self, step: Restart) -> None:
        await self._gate(Gate(open=True))
        self._server.lamplighter.answer_polls()
        for reader in self._readers.values():
            if reader.task is not None:
                await reader.task
        await self._breathe(2)
        self._server.clock.advance(seconds=2)
        await self._server.restart(*(reader.client for reader in self._readers.values()))
        self._oracle.restarted()
        self._observe()
        self._look()

    # --- the end --------------------------------------------------------------------------

    async def _end(self) -> None:
        """Look whether everybody has heard what they should have."""
        await self._settle(self._gate(Gate(open=True)))
        await self._everybody_knows("now")
        for user in self._oracle.users:
            await self._settle(self._give_snapshot(GiveSnapshot(_name_of(user))))
        await self._everybody_knows("after a snapshot")
        await self._settle(self._pass(Pass(70)))
        await self._everybody_knows("a while later")
        for user in self._oracle.users:
            if user != self._id_of(HOST):
                await self._settle(self._put(Put(_name_of(user), "PHONE", "online", says=True)))
        await self._everybody_knows("after the last words")

    async def _everybody_knows(self, when: str) -> None:
        self._server.clock.advance(milliseconds=1)
        for reader in list(self._readers.values()):
            if reader.task is None:
                continue
            assert reader.poll is not None
            reader.task.cancel()
            reader.task = None
            await reader.poll.go_away()
        for reader in self._readers.values():
            while await self._hears_more(reader):
                pass
        for (_, device), reader in self._readers.items():
            self._knows(reader, f"{device} {when}")
        for reader in self._readers.values():
            afresh = Reader(
                Client(
                    self._server.http,
                    reader.client.user_id,
                    reader.client.device_id,
                    reader.client.access_token,
                )
            )
            await self._hears_more(afresh)
            self._knows(afresh, f"a first sync {when}")

    async def _hears_more(self, reader: Reader) -> bool:
        """Let the client sync; tell whether it heard of anybody."""
        before = reader.heard
        await self._request(reader, 0, {"set_presence": "offline"})
        task, reader.task = reader.task, None
        assert task is not None
        await task
        return reader.heard > before

    def _knows(self, reader: Reader, when: str) -> None:
        viewer = reader.client.user_id
        if reader.now is None:
            return
        for sender in self._oracle.users:
            if self._oracle.must_know(viewer, sender, reader.now.began):
                content = reader.client.beliefs.get(sender)
                believed = shown(content) if content else Shown()
                expected = self._oracle.expected(viewer, sender)
                assert believed == expected, f"{viewer} about {sender}, {when}"

    # --- requests and their answers -------------------------------------------------------

    def _turn_to(self, reader: Reader, since: str) -> None:
        client = reader.client
        if since == "next":
            return
        if since == "old" and reader.past:
            reader.now = reader.past.pop(len(reader.past) // 2)
            client.next_batch, client.beliefs = reader.now.token, dict(reader.now.beliefs)
            return
        # A token of no meaning is answered in full, as if nothing were known.
        reader.now = None
        client.beliefs = {}
        client.next_batch = None if since in ("first", "old") else since

    async def _request(self, reader: Reader, timeout: int, query: Mapping[str, str]) -> None:
        """Begin to sync; return once that is answered, or has to wait."""
        self._look()
        reader.waits.clear()
        reader.poll = None
        work = self._answered(reader, timeout, query)
        reader.task = asyncio.ensure_future(work)
        await self._go(reader)

    async def _answered(self, reader: Reader, timeout: int, query: Mapping[str, str]) -> None:
        begin = self._oracle.moment
        start = self._rules.earliest_call()
        before = reader.now or Bookmark("", {}, begin, begin, {})
        start = min(start, before.heard_to)
        reader.poll = await reader.client.polls(timeout=timeout, **query)
        reader.waits.set()
        answer = await reader.poll.answer()
        self._look()
        reader.heard += len(answer.presence)
        newest = dict(before.newest)
        for sender, content in answer.presence.items():
            told = shown(content)
            self._check(reader, sender, told, start)
            newest[sender] = self._moment_of(sender, told, reader, newest.get(sender, 0))
        heard_to = self._rules.earliest_call()
        reader.now = Bookmark(
            answer.next_batch, dict(reader.client.beliefs), before.began, heard_to, newest
        )
        reader.past.append(reader.now)

    def _check(self, reader: Reader, sender: str, told: Shown, start: int) -> None:
        """Look whether the oracle allows what was told."""
        viewer = reader.client.user_id
        pair = viewer, sender
        pictures = self._oracle.pictures[start:]
        assert sender in self._oracle.users, sender
        may = any(told in picture.allowed[pair] for picture in pictures)
        if not may and not self._rules.early:
            # A module that decides after it has thought may send what was true when it was asked.
            was = [
                index
                for index, picture in enumerate(pictures)
                if told in (picture.states[sender], altered(picture.states[sender], viewer))
            ]
            may = any(
                picture.allowed[pair] for picture in pictures[min(was, default=len(pictures)) :]
            )
        assert may, f"{viewer} is told {told} of {sender}"

    def _moment_of(self, sender: str, told: Shown, reader: Reader, newest: int) -> int:
        """Return the first moment, not before *newest*, of which the client has been told."""
        viewer = reader.client.user_id
        for moment in range(newest, len(self._oracle.pictures)):
            state = self._oracle.pictures[moment].states[sender]
            if told in (state, altered(state, viewer)):
                return moment
        raise AssertionError(f"{viewer} is told {told} of {sender}, and knows better")

    async def _go(self, reader: Reader) -> None:
        """Return once the request has ended, or waits for news or, perhaps, for the gate."""
        assert reader.task is not None
        if self._rules.gate.is_set():
            waits = asyncio.ensure_future(reader.waits.wait())
            await asyncio.wait({reader.task, waits}, return_when=asyncio.FIRST_COMPLETED)
            waits.cancel()
        else:
            await self._breathe(4)

    def _somebody_waits(self) -> bool:
        return any(reader.task is not None for reader in self._readers.values())

    async def _breathe(self, times: int) -> None:
        """Let the event loop, and the database, do what they have to do."""
        for _ in range(times):
            await turns(self._patience)
            await self._server.lamplighter.directory.account(UserId(self._id_of(HOST)))

    # --- small things ---------------------------------------------------------------------

    async def _reader(self, user: str, device: str) -> Reader:
        reader = self._readers.get((user, device))
        if reader is None:
            reader = Reader(await self._server.register(user, device=device))
            self._readers[user, device] = reader
        return reader

    def _message(self, *, says: bool) -> str | None:
        self._said += 1
        return f"word {self._said}" if says else None

    def _id_of(self, name: str) -> UserId:
        return UserId(f"@{name}:{self._server.server_name}")

    def _observe(self) -> None:
        self._server.lamplighter.presence.observe(self._published)

    def _published(self, published: Published) -> None:
        self._look(
            {state.user_id: Shown(state.state, state.status_msg) for state in published.states}
        )

    def _look(self, published: Mapping[str, Shown] | None = None) -> None:
        now = self._server.clock.now()
        if published:
            self._oracle.look(now, published)
        states = {user: self._server.presence_of(user) for user in self._oracle.users}
        truth = {user: Shown(str(s.state), s.status_msg or None) for user, s in states.items()}
        self._oracle.look(now, truth)


def _name_of(user_id: str) -> str:
    return user_id[1:].partition(":")[0]


def _seconds(seconds: int) -> Any:
    from datetime import timedelta

    return timedelta(seconds=seconds)


def _of_different_users(actions: tuple[Action, ...]) -> list[Action]:
    chosen: dict[str, Action] = {}
    for index, action in enumerate(actions):
        chosen.setdefault(getattr(action, "user", f"module {index}"), action)
    return list(chosen.values())


def _check_forbidden(refusal: RequestFailed) -> None:
    assert refusal.status == 403, refusal
