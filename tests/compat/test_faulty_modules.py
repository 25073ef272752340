"""Modules with faults: each costs the module's answer, and nothing else."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.server import ModuleToLoad
from tests.compat.modules import faulty
from tests.compat.modules.routers import Routes
from tests.compat.world import ALICE, BOB, CHARLIE, SERVER, UNSEEN, World, world

#: The viewer in wrong answers, who does not exist.
NOBODY = f"@nobody:{SERVER}"
GOOD = (Routes, {"routes": {CHARLIE: [BOB]}})

FAULTY: dict[str, tuple[type, Mapping[str, Any]]] = {
    "raises": (faulty.Raising, {}),
    "never answers": (faulty.Hanging, {}),
    "is not async": (faulty.NotAsync, {}),
    "malformed and unknown users": (faulty.Malformed, {"unknown": [NOBODY, "@x:elsewhere.test"]}),
    **{
        f"wrong type: {answer}": (faulty.WrongTypes, {"answer": answer, "receiver": NOBODY})
        for answer in faulty.ANSWERS
    },
}
#: What costs nothing but itself, and is no failure.
HARMLESS = {"malformed and unknown users", "wrong type: none", "wrong type: values_are_none"}
FAILING = {name: module for name, module in FAULTY.items() if name not in HARMLESS}
EACH = pytest.mark.parametrize("module", FAULTY.values(), ids=FAULTY)
CALLBACKS = ("get_users_for_states", "get_interested_users")


async def room_and_polls(w: World) -> None:
    """Alice shares a room with bob, who is visible to charlie by a good module; both sync."""
    await w.server.room(w.alice, w.bob)
    for client in (w.alice, w.charlie):
        await w.server.in_time(client.sync(**UNSEEN))


@EACH
@pytest.mark.parametrize("first", [True, False], ids=["before a good one", "after a good one"])
async def test_others_do_not_notice(module: ModuleToLoad, first: bool) -> None:
    """PUTs, room members and other modules neither notice a faulty module nor wait for it."""
    modules = (module, GOOD) if first else (GOOD, module)
    async with world(*modules) as w:
        await room_and_polls(w)
        polls = [await client.polls(**UNSEEN) for client in (w.alice, w.charlie)]
        now = w.server.clock.now()
        await w.bob.set_status("unavailable", "hello")
        status = {"presence": "unavailable", "last_active_ago": 0, "status_msg": "hello"}
        assert [(await poll.answer()).presence for poll in polls] == [{BOB: status}] * 2
        assert w.server.clock.now() == now


@EACH
async def test_no_user_is_revealed(module: ModuleToLoad) -> None:
    """A wrong answer reveals no user: not on push, not on sync, not on GET."""
    async with world(module) as w:
        await w.server.in_time(w.alice.sync(**UNSEEN))
        await w.bob.set_status("online")
        await w.server.advance(seconds=5)
        assert BOB not in (await w.server.in_time(w.alice.sync(**UNSEEN))).presence
        assert BOB not in (await w.server.in_time(w.alice.first_sync(**UNSEEN))).presence
        path = f"/presence/{BOB}/status"
        assert (await w.server.in_time(w.alice.request("GET", path))).status == 403


@pytest.mark.parametrize("name", sorted(HARMLESS))
async def test_no_failure(name: str) -> None:
    """Empty answers and malformed user IDs are neither logged nor counted."""
    async with world(FAULTY[name]) as w:
        with capture_logs() as logs:
            await w.server.in_time(w.alice.sync(**UNSEEN))
            await w.bob.set_status("online")
        assert failures(logs) == []
        exposition = w.server.lamplighter.metrics.exposition().decode()
        assert "lamplighter_module_failures_total{" not in exposition


@pytest.mark.parametrize("module", FAILING.values(), ids=FAILING)
async def test_log_and_metric(module: tuple[type, Mapping[str, Any]]) -> None:
    """Each lost answer is logged with module, callback and user, and counted."""
    name = module[0].__name__
    async with world(module) as w:
        with capture_logs() as logs:
            await w.server.in_time(w.alice.sync(**UNSEEN))
            await w.bob.set_status("online")
            await w.server.advance(seconds=5)
        lost = [it for it in logs if it["event"] == "module failed"]
        seen = {(it["module"], it["callback"], it["users"], it["log_level"]) for it in lost}
        assert seen == {
            (name, "get_interested_users", ALICE, "warning"),
            (name, "get_users_for_states", BOB, "warning"),
        }
        lines = w.server.lamplighter.metrics.exposition().decode().splitlines()
        counted = [line for line in lines if line.startswith("lamplighter_module_failures_total")]
        assert [line.split('"')[1] for line in counted] == sorted(CALLBACKS)
        assert {(line.split('"')[-2], line.split()[-1]) for line in counted} == {(name, "1.0")}


@pytest.mark.parametrize("timeout", ["5s", "2s"])
async def test_timeout_from_the_config(timeout: str) -> None:
    """A first sync waits for a module as long as `module_timeout` says."""
    only_one = {"in": ["get_interested_users"]}
    async with world((faulty.Hanging, only_one), config=f"module_timeout: {timeout}") as w:
        await w.bob.set_status("online")
        began = w.server.clock.now()
        await w.server.in_time(w.alice.sync(**UNSEEN))
        assert w.server.clock.now() - began == int(timeout[0]) * 1_000


async def test_breaker() -> None:
    """After five time-outs in a row a module is not asked for half a minute, and then once; if the
    module answers, it is asked as before.
    """
    async with world((Recovering, {})) as w:
        await w.alice.sync(**UNSEEN)
        module = w.server.module(Recovering)
        with capture_logs() as logs:
            for count in range(7):
                await w.bob.set_status("online", str(count))
                await w.server.advance(seconds=5)
            assert module.asked == 5
            await w.server.advance(milliseconds=19_999)
            await w.bob.set_status("online", "still paused")
            assert module.asked == 5
            await w.server.advance(milliseconds=1)
            module.is_well = True
            for text in ("a try", "as before"):
                await w.bob.set_status("unavailable", text)
                await w.alice.sync(**UNSEEN)
                assert w.alice.reads(w.bob) == text
        assert [it["problem"] for it in failures(logs)] == ["no answer within 5s"]


async def test_nobody_s_data_pauses_a_module() -> None:
    """A module that raises for one user works for the others, however often that user acts."""
    async with world((Choosy, {"routes": {ALICE: [BOB]}})) as w:
        await w.alice.sync(**UNSEEN)
        with capture_logs() as logs:
            for count in range(20):
                await w.charlie.set_status("online", str(count))
        await w.bob.set_status("unavailable", "hello")
        assert (await w.alice.sync(**UNSEEN)).presence[BOB]["status_msg"] == "hello"
        assert (await w.alice.status_of(w.bob))["status_msg"] == "hello"
        assert set((await w.alice.first_sync(**UNSEEN)).presence) == {ALICE, BOB}
        assert [(it["users"], it["paused"]) for it in failures(logs)] == [(CHARLIE, False)]


async def test_a_question_that_raises() -> None:
    """Exceptions about one viewer, however many, do not pause a module for other viewers."""
    async with world((Choosy, {"routes": {ALICE: [BOB], CHARLIE: [BOB]}})) as w:
        await w.bob.set_status("online", "here")
        with capture_logs() as logs:
            for _ in range(10):
                await w.charlie.first_sync(**UNSEEN)
                await w.server.advance(seconds=60)
        assert BOB in (await w.alice.first_sync(**UNSEEN)).presence
        lines = {(it["callback"], it["users"], it["paused"]) for it in failures(logs)}
        assert lines == {("get_interested_users", CHARLIE, False)}


async def test_hidden_things_stay_hidden() -> None:
    """A user whom a module hides, and for whom it now fails, is withheld from the viewer."""
    async with world((Choosy, {"hides": [BOB, CHARLIE]})) as w:
        await w.server.room(w.alice, w.bob, w.charlie)
        await w.alice.sync(**UNSEEN)
        for person in (w.bob, w.charlie):
            await person.set_status("unavailable", "the truth")
        await w.alice.sync(**UNSEEN)
        w.server.module(Choosy).fails_for = {CHARLIE}
        with capture_logs():
            for person in (w.charlie, w.bob):
                await person.set_status("unavailable", "another truth")
            answer = await w.alice.sync(**UNSEEN)
            whole = await w.alice.first_sync(**UNSEEN)
            refused = await w.alice.request("GET", f"/presence/{CHARLIE}/status")
        for seen in (answer, whole):
            assert "status_msg" not in seen.presence[BOB]
            assert CHARLIE not in seen.presence
        assert refused.status == 403


async def test_what_cannot_be_used_hides() -> None:
    """A wrong state that was meant to hide something does not show the real one."""
    async with world((Choosy, {"hides": [BOB], "says": "x" * 5_000})) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        with capture_logs():
            await w.bob.set_status("unavailable", "the truth")
            assert BOB not in (await w.alice.sync(**UNSEEN)).presence
            assert BOB not in (await w.alice.first_sync(**UNSEEN)).presence


class Recovering(Routes):
    """Sends bob to alice, and does not answer before it `is_well`."""

    def __init__(self, config: Mapping[str, Any], api: object) -> None:
        super().__init__({"routes": {ALICE: [BOB]}}, api)
        self.is_well = False
        self.asked = 0

    @classmethod
    def parse_config(cls, config: dict[str, Any]) -> dict[str, Any]:
        return config

    async def get_users_for_states(self, state_updates: Any) -> Any:
        self.asked += 1
        if not self.is_well:
            await asyncio.Event().wait()
        return await super().get_users_for_states(state_updates)

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set()


class Choosy(Routes):
    """Shows users as `routes` says, and hides the messages of the users in `hides` from alice.

    Without `hides`, it has no data of charlie and raises an exception about charlie.
    """

    def __init__(self, config: Mapping[str, Any], api: object) -> None:
        super().__init__({"routes": config.get("routes", {})}, api)
        self.hides = config.get("hides", ())
        self.says = config.get("says")
        self.fails_for = set() if self.hides else {CHARLIE}

    @classmethod
    def parse_config(cls, config: dict[str, Any]) -> dict[str, Any]:
        return config

    async def get_users_for_states(self, state_updates: Any) -> Any:
        routes = await super().get_users_for_states(state_updates)
        for state in state_updates:
            if state.user_id in self.fails_for:
                raise KeyError(state.user_id)
            if state.user_id in self.hides:
                altered = state.copy_and_replace(status_msg=self.says)
                routes.setdefault(ALICE, set()).add(altered)
        return routes

    async def get_interested_users(self, user_id: str) -> Any:
        if user_id in self.fails_for:
            raise KeyError(user_id)
        return await super().get_interested_users(user_id)


def failures(logs: list[Any]) -> list[Any]:
    """Return what is logged of modules that failed."""
    return [it for it in logs if it["event"] == "module failed"]
