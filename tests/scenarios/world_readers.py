"""The clients of a random world: what each was told, compared with the oracle answer by answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from lamplighter.devtools.client import Client, ClientPoll, RequestFailed, SyncAnswer, SyncQuery
from lamplighter.devtools.server import InMemoryServer
from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.service.witness import Published
from tests.scenarios.worlds import Oracle, Shown, altered, shown, turns

__all__ = ["Reader", "Readers"]

#: What is told of somebody who may not be seen any more: nothing of them.
THE_END: Final = {"presence": "offline"}

#: So many trips to the database a request may take until it is answered, or waits; where a module
#: thinks, it takes more, and is not waited for.
_MOST_READING: Final = 20


@dataclass
class Bookmark:
    """A token, and all that the client knew when it had it."""

    token: str
    beliefs: Mapping[str, dict[str, Any]]
    #: The moment at which the client's first sync began.
    began: int
    #: The oldest moment of which the token may not have heard.
    heard_to: int
    #: By sender, the moment of the newest state that was told.
    newest: Mapping[str, int]


@dataclass
class Reader:
    """One device, and what the test remembers of it."""

    client: Client
    now: Bookmark | None = None
    past: list[Bookmark] = field(default_factory=list)
    #: The request under way; a client has one at a time.
    task: "asyncio.Task[None] | None" = None
    #: Set once the server waits for news.
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    poll: ClientPoll | None = None
    #: How many events it was told.
    heard: int = 0

    def turn_to(self, since: str) -> None:
        """Go on from the last token ("next"), from an "old" one, or from one of no meaning."""
        if since == "next":
            return
        if since == "old" and self.past:
            self.now = self.past.pop(len(self.past) // 2)
            self.client.next_batch = self.now.token
            self.client.beliefs = dict(self.now.beliefs)
            return
        # A token of no meaning is answered in full, as if nothing were known.
        self.now = None
        self.client.beliefs = {}
        self.client.next_batch = None if since in ("first", "old") else since


class Readers:
    """All clients."""

    def __init__(self, server: InMemoryServer, oracle: Oracle) -> None:
        self._server = server
        self._oracle = oracle
        self._rules = oracle.rules
        self._readers: dict[tuple[str, str], Reader] = {}
        #: So many turns of the loop, and every module has thought.
        self._patience = 2 * max(oracle.rules.thinks.values(), default=0) + 6

    @property
    def all(self) -> list[Reader]:
        """Every device that is logged in."""
        return list(self._readers.values())

    async def of(self, user: str, device: str) -> Reader:
        """Return the user's device, which is logged in if it was not."""
        reader = self._readers.get((user, device))
        if reader is None:
            reader = Reader(await self._server.register(user, device=device))
            self._readers[user, device] = reader
        return reader

    async def log_out(self, user: str, device: str) -> None:
        """Log the device out, unless it polls."""
        reader = self._readers.get((user, device))
        if reader is not None and reader.task is None:
            del self._readers[user, device]
            await reader.client.log_out()

    # --- looking --------------------------------------------------------------------------

    def observe(self) -> None:
        """See everything that the server announces from now on."""
        self._server.lamplighter.core.witnesses.observe(self._published)

    def look(self) -> int:
        """Let the oracle take a picture; return its number."""
        states = {user: self._server.presence_of(user) for user in self._oracle.users}
        truth = {user: Shown(it.state, it.status_msg or None) for user, it in states.items()}
        self._oracle.look(self._server.clock.now(), truth)
        return self._oracle.moment

    def _published(self, published: Published) -> None:
        announced = {it.user_id: Shown(it.state, it.status_msg) for it in published.states}
        self._oracle.look(self._server.clock.now(), announced)
        self.look()

    # --- requests -------------------------------------------------------------------------

    async def request(self, reader: Reader, timeout: int, set_presence: str | None) -> None:
        """Begin to sync; return once that is answered or has to wait."""
        self.look()
        query = SyncQuery(set_presence=set_presence) if set_presence else SyncQuery()
        reader.waits.clear()
        reader.poll = None
        reader.task = asyncio.ensure_future(self._answered(reader, timeout, query))
        if self._rules.gate.is_set():
            await self._under_way(reader)
        else:
            await self.breathe(4)

    async def hang_up(self, reader: Reader) -> None:
        """Let the client go away, if it polls; modules are not held."""
        if reader.task is None:
            return
        await self._under_way(reader)
        if reader.poll is None or reader.task.done():
            return
        reader.task.cancel()
        reader.task = None
        await reader.poll.go_away()

    async def hears_more(self, reader: Reader) -> bool:
        """Let the client sync to the end; tell whether it heard of anybody."""
        before = reader.heard
        await self.request(reader, 0, "offline")
        await self.finish(reader)
        return reader.heard > before

    async def finish(self, reader: Reader) -> None:
        """Return once the request under way is answered; raise what was wrong with it."""
        task, reader.task = reader.task, None
        if task is not None:
            await task

    async def settle(self) -> None:
        """Return once everything has happened that needs no more time; raise what was wrong."""
        await turns(self._patience)
        if any(reader.task for reader in self.all):
            await self.breathe(2)
        # A request that still reads its rooms is answered of this moment, not of the next step's.
        for _ in range(_MOST_READING):
            if not any(reader.task and not reader.task.done() for reader in self.all):
                break
            if not self._server.lamplighter.core.is_reading:
                break
            await self.breathe(1)
        # What the server has answered arrives at its client a few cycles of the loop later.
        await turns(self._patience)
        for reader in self.all:
            if reader.task is not None and reader.task.done():
                await self.finish(reader)

    async def breathe(self, times: int) -> None:
        """Let the event loop, and the database, do what they have to do."""
        for _ in range(times):
            await turns(self._patience)
            await self._server.lamplighter.directory.account(UserId(self._oracle.users[0]))

    async def _under_way(self, reader: Reader) -> None:
        """Return once the request is answered or waits for news."""
        assert reader.task is not None
        waits = asyncio.ensure_future(reader.waits.wait())
        await asyncio.wait({reader.task, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()

    # --- answers --------------------------------------------------------------------------

    async def _answered(self, reader: Reader, timeout: int, query: SyncQuery) -> None:
        begin = self._oracle.moment
        start = self._rules.earliest_call()
        before = reader.now or Bookmark("", {}, begin, begin, {})
        poll = reader.poll = reader.client.begin_poll(timeout=timeout, **query)
        waiting = asyncio.ensure_future(poll.waiting())
        waiting.add_done_callback(partial(_waits, reader))
        # The answer is looked at when it arrives: the server may not be at rest by then.
        answer = await poll.answer()
        self.look()
        reader.heard += len(answer.presence)
        newest = self._check(reader.client.user_id, answer, before, min(start, before.heard_to))
        beliefs = dict(reader.client.beliefs)
        heard_to = self._rules.earliest_call()
        reader.now = Bookmark(answer.next_batch, beliefs, before.began, heard_to, newest)
        reader.past.append(reader.now)

    def _check(
        self, viewer: UserId, answer: SyncAnswer, before: Bookmark, start: int
    ) -> dict[str, int]:
        """Look whether the oracle allows what was told; return the newest moment told of each."""
        newest = dict(before.newest)
        for sender, content in answer.presence.items():
            told = shown(content)
            assert sender in self._oracle.users, f"{viewer} is told of {sender}"
            if content == THE_END:
                seen = self._oracle.may_have_seen(viewer, sender)
                assert seen, f"{viewer} is told of {sender}, whom they never saw"
                continue
            assert self._oracle.allows((viewer, sender), told, start), (
                f"{viewer} is told {told} of {sender}"
            )
            newest[sender] = self._moment_of(viewer, sender, told, newest.get(sender, 0))
        return newest

    def _moment_of(self, viewer: UserId, sender: str, told: Shown, newest: int) -> int:
        """Return the first moment, not before *newest*, of which the viewer has been told."""
        for moment in range(newest, len(self._oracle.pictures)):
            state = self._oracle.pictures[moment].states[sender]
            if told in (state, altered(state, viewer)):
                return moment
        raise AssertionError(f"{viewer} is told {told} of {sender}, and knows better")

    async def ask(self, client: Client, user: str) -> None:
        """GET the user's status, and compare it with the oracle."""
        pair = client.user_id, user
        begin = self.look()
        told = await self._status(client, user)
        self.look()
        pictures = self._oracle.pictures[begin:]
        if told is None:
            must = all(pair in picture.certain for picture in pictures)
            assert not must, f"GET hides {user} from {client.user_id}"
        else:
            may = any(told in picture.allowed[pair] for picture in pictures)
            assert may, f"GET shows {client.user_id} {told} of {user}"

    async def check_beliefs(self, when: str) -> None:
        """Look whether all clients, once they have synced, believe what the oracle says."""
        for reader in self.all:
            await self.hang_up(reader)
            await self.finish(reader)
        for reader in self.all:
            while await self.hears_more(reader):
                pass
        for reader in self.all:
            self._check_beliefs(reader, when)
            afresh = Reader(_with_the_token_of(reader.client, self._server))
            await self.hears_more(afresh)
            self._check_beliefs(afresh, f"a first sync {when}")

    async def check_explanations(self) -> None:
        """Look whether an explanation says what GET shows, and the lists what explanations say.

        One viewer asks, each time another one: explanations are the dearest part of a world.
        """
        explanations = self._server.lamplighter.admin.explanations
        users = list(map(UserId, self._oracle.users))
        seen_by = {user: (await explanations.seen_by(user, None, 9)).answers for user in users}
        clients = list({reader.client.user_id: reader.client for reader in self.all}.values())
        client = clients[self._oracle.moment % len(clients)]
        viewer = client.user_id
        listed = {it.subject: it for it in (await explanations.sees(viewer, None, 9)).answers}
        for user in users:
            answer = (await explanations.explain(viewer, user)).answer
            seen = Shown(answer.seen.state, answer.seen.status_msg) if answer.seen else None
            assert seen == await self._status(client, user), f"{viewer} about {user}"
            assert bool(answer.reasons) is answer.sees
            expected = [answer] if answer.sees else []
            assert [it for it in seen_by[user] if it.viewer == viewer] == expected
            if answer.actual != UserPresenceState.default(user):  # then they are known
                assert [it for it in (listed.get(user),) if it] == expected

    async def _status(self, client: Client, user: str) -> Shown | None:
        try:
            return shown(await client.status_of(user))
        except RequestFailed as refusal:
            if refusal.status != 403:
                raise
            return None

    def _check_beliefs(self, reader: Reader, when: str) -> None:
        assert reader.now is not None
        viewer = reader.client.user_id
        for sender in self._oracle.users:
            content = reader.client.beliefs.get(sender)
            believed = shown(content) if content else Shown()
            if self._oracle.must_not_see(viewer, sender):
                assert believed == Shown(), f"{viewer} about {sender}, not visible, {when}"
            if self._oracle.must_know(viewer, sender, reader.now.began):
                expected = self._oracle.expected(viewer, sender)
                assert believed == expected, f"{viewer} about {sender}, {when}"


def _waits(reader: Reader, waiting: "asyncio.Task[None]") -> None:
    """Note that the request waits, is answered, or ends with a server that stops meanwhile."""
    reader.waits.set()
    error = None if waiting.cancelled() else waiting.exception()
    if error is not None and "the server does not run" not in str(error):
        raise error


def _with_the_token_of(client: Client, server: InMemoryServer) -> Client:
    return Client(server.http, client.user_id, client.device_id, client.access_token)
