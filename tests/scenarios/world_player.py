"""Plays a random world on a real server: what each step does there, and in the oracle's books."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import singledispatchmethod
from typing import Final
from urllib.parse import quote

from lamplighter.clock import after
from lamplighter.devtools.client import RequestFailed
from lamplighter.devtools.server import InMemoryServer
from lamplighter.errors import ModuleError
from lamplighter.ids import UserId
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle
from lamplighter.presence.state import Presence
from tests.scenarios import world_modules
from tests.scenarios.world_readers import Readers
from tests.scenarios.world_steps import (
    NAMES_OF_USERS,
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
    Reload,
    Restart,
    SetByModule,
    Sync,
    Together,
    Toggle,
    World,
)
from tests.scenarios.worlds import Oracle

__all__ = ["Player"]

#: How long modules are held at most, in seconds: less than their time-out.
HELD: Final = 4


class Player:
    """Plays one world."""

    def __init__(self, server: InMemoryServer, oracle: Oracle, rooms: Mapping[str, str]) -> None:
        """*rooms* are the rooms' IDs by name."""
        self._server = server
        self._oracle = oracle
        self._rules = oracle.rules
        self._rooms = rooms
        self._readers = Readers(server, oracle)
        self._said = 0
        self._held = 0
        #: The modules with which the server starts.
        self._first = self._rules.order

    async def play(self, world: World) -> None:
        """Do everything, in order; raise `AssertionError` for what is not right."""
        self._readers.observe()
        self._readers.look()
        for user, room in world.members:
            await self.do(Join(user, room))
        for module, pair in world.rules:
            await self.do(Toggle(module, *pair))
        for step in world.steps:
            await self.do(step)
            await self._settle()
        await self._end()

    async def _settle(self) -> None:
        await self._readers.settle()
        self._rules.forget_ended_calls()
        self._readers.look()

    async def _end(self) -> None:
        """Look whether everybody has heard what they should have."""
        await self._do_and_check(Gate(open=True), when="now")
        snapshots = [GiveSnapshot(name) for name in NAMES_OF_USERS]
        await self._do_and_check(*snapshots, when="after a snapshot")
        await self._do_and_check(Pass(70), when="a while later")
        last_words = [Put(name, "PHONE", "online", says=True) for name in NAMES_OF_USERS]
        await self._do_and_check(*last_words, when="after the last words")
        await self._readers.check_explanations()

    async def _do_and_check(self, *steps: object, when: str) -> None:
        for step in steps:
            await self.do(step)
            await self._settle()
        await self._readers.check_beliefs(when)

    @singledispatchmethod
    async def do(self, step: object) -> None:
        """Do one step."""
        raise TypeError(f"{step!r} is not a step")

    # --- what clients do ------------------------------------------------------------------

    @do.register
    async def _put(self, step: Put) -> None:
        reader = await self._readers.of(step.user, step.device)
        await reader.client.set_status(step.presence, self._message(says=step.says))
        self._readers.look()

    @do.register
    async def _sync(self, step: Sync) -> None:
        reader = await self._readers.of(step.user, step.device)
        if reader.task is None:
            reader.turn_to(step.since)
            await self._readers.request(reader, 0, step.set_presence)

    @do.register
    async def _poll(self, step: Poll) -> None:
        reader = await self._readers.of(step.user, step.device)
        if reader.task is None:
            await self._readers.request(reader, step.seconds * 1000, step.set_presence)

    @do.register
    async def _abandon(self, step: Abandon) -> None:
        if self._rules.gate.is_set():
            await self._readers.hang_up(await self._readers.of(step.user, step.device))

    @do.register
    async def _log_out(self, step: LogOut) -> None:
        await self._readers.log_out(step.user, step.device)
        self._readers.look()

    @do.register
    async def _ask(self, step: Ask) -> None:
        reader = await self._readers.of(step.user, "PHONE")
        if self._rules.gate.is_set():
            for user in self._oracle.users:
                await self._readers.ask(reader.client, user)

    @do.register
    async def _join(self, step: Join) -> None:
        reader = await self._readers.of(step.user, "PHONE")
        # From before the join is answered: somewhere in between it begins to count.
        self._oracle.joining(self._rooms[step.room], reader.client.user_id)
        self._readers.look()
        await reader.client.join(self._rooms[step.room])
        self._oracle.joined(self._rooms[step.room], reader.client.user_id)

    @do.register
    async def _leave(self, step: Leave) -> None:
        reader = await self._readers.of(step.user, "PHONE")
        # From before the leave is answered: a room that is small enough then counts again.
        self._oracle.leaving(self._rooms[step.room], reader.client.user_id)
        self._readers.look()
        try:
            await reader.client.leave(self._rooms[step.room])
        except RequestFailed as refusal:
            if refusal.status != 403:  # they were never in it
                raise
        self._readers.look()
        self._oracle.left(self._rooms[step.room], reader.client.user_id)
        self._readers.look()

    @do.register
    async def _invite(self, step: Invite) -> None:
        reader = await self._readers.of(step.user, "PHONE")
        path = f"/rooms/{quote(self._rooms[step.room])}/invite"
        content = {"user_id": self._id_of(step.other)}
        response = await reader.client.request("POST", path, content)
        assert response.status in (200, 403), response

    # --- what modules do ------------------------------------------------------------------

    @do.register
    async def _toggle(self, step: Toggle) -> None:
        self._readers.look()
        self._rules.pairs[step.module] ^= {(self._id_of(step.viewer), self._id_of(step.sender))}
        self._readers.look()

    @do.register
    async def _give_snapshot(self, step: GiveSnapshot) -> None:
        user_id = self._id_of(step.user)
        await self._server.lamplighter.core.for_modules.send_local_online_presence_to([user_id])
        self._readers.look()
        self._oracle.asked_anew(user_id)
        self._readers.look()

    @do.register
    async def _set_by_module(self, step: SetByModule) -> None:
        value = Presence(step.presence), self._message(says=step.says)
        users = {self._id_of(step.user): value}
        await self._server.lamplighter.core.for_modules.set_presence_for_users(users)
        self._readers.look()

    # --- what happens to all --------------------------------------------------------------

    @do.register
    async def _together(self, step: Together) -> None:
        await asyncio.gather(*(self.do(action) for action in _of_different_users(step.actions)))

    @do.register
    async def _gate(self, step: Gate) -> None:
        if step.open:
            self._rules.gate.set()
            await self._readers.breathe(2)
        elif self._rules.gate.is_set():
            self._rules.gate.clear()
            self._held = 0

    @do.register
    async def _pass(self, step: Pass) -> None:
        if not self._rules.gate.is_set():
            self._held += step.seconds
            if self._held > HELD:
                await self.do(Gate(open=True))
        clock = self._server.clock
        end = after(clock.now(), timedelta(seconds=step.seconds))
        while (due := clock.next_timer()) is not None and due <= end:
            clock.advance_to(due)
            self._readers.look()
            await self._server.lamplighter.core.settled()
            await self._readers.settle()
        clock.advance_to(end)

    @do.register
    async def _restart(self, step: Restart) -> None:
        await self.do(Gate(open=True))
        self._server.lamplighter.answer_polls()
        for reader in self._readers.all:
            await self._readers.finish(reader)
        self._server.clock.advance(seconds=2)
        await self._server.restart(*(reader.client for reader in self._readers.all))
        self._oracle.reloaded(self._first)
        self._oracle.restarted()
        self._readers.observe()
        self._readers.look()

    @do.register
    async def _reload(self, step: Reload) -> None:
        if self._rules.gated & set(step.modules):  # they could not be tried
            await self.do(Gate(open=True))
            await self._settle()
        self._readers.look()
        before = self._oracle.modules()
        self._oracle.reloaded(step.modules)
        self._readers.look()
        try:
            await self._server.lamplighter.modules.replace([self._entry(it) for it in step.modules])
        except ModuleError:
            assert "Raising" in step.modules
            self._oracle.go_on_with(before)

    # --- small things ---------------------------------------------------------------------

    def _message(self, *, says: bool) -> str | None:
        self._said += 1
        return f"word {self._said}" if says else None

    def _id_of(self, name: str) -> UserId:
        return UserId(f"@{name}:{self._server.server_name}")

    def _entry(self, name: str) -> ConfiguredModule:
        path = f"{world_modules.__name__}.{name}"
        return ConfiguredModule(path, {"rules": self._rules}, ModuleStyle.CALLBACKS, "modules")


def _of_different_users(actions: tuple[Action, ...]) -> list[Action]:
    """Return one action of each user: what somebody does, they do one after the other."""
    chosen: dict[str, Action] = {}
    for index, action in enumerate(actions):
        chosen.setdefault(getattr(action, "user", f"module {index}"), action)
    return list(chosen.values())
