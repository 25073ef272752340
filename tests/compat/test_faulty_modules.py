"""Modules that are wrong: it costs their answer, and nobody else notices."""

from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.server import ModuleToLoad
from tests.compat.modules import faulty
from tests.compat.modules.routers import Routes
from tests.compat.world import ALICE, BOB, CHARLIE, SERVER, UNSEEN, World, world

#: Whom the wrong answers are about: somebody who is not there.
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
EACH = pytest.mark.parametrize("module", FAULTY.values(), ids=FAULTY)
CALLBACKS = ("get_users_for_states", "get_interested_users")


async def room_and_polls(w: World) -> None:
    """Alice shares a room with bob, charlie sees him by a good module; both have synced."""
    await w.server.room(w.alice, w.bob)
    for client in (w.alice, w.charlie):
        await w.server.in_time(client.sync(**UNSEEN))


@EACH
@pytest.mark.parametrize("first", [True, False], ids=["before a good one", "after a good one"])
async def test_nobody_notices(module: ModuleToLoad, first: bool) -> None:
    """The PUT, room members and the other modules do not notice it, nor wait for it."""
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
async def test_nobody_sees_more(module: ModuleToLoad) -> None:
    """A wrong answer shows nobody to anybody: not on push, on sync, or on GET."""
    async with world(module) as w:
        await w.server.in_time(w.alice.sync(**UNSEEN))
        await w.bob.set_status("online")
        await w.server.advance(seconds=5)
        assert BOB not in (await w.server.in_time(w.alice.sync(**UNSEEN))).presence
        assert BOB not in (await w.server.in_time(w.alice.first_sync(**UNSEEN))).presence
        path = f"/presence/{BOB}/status"
        assert (await w.server.in_time(w.alice.request("GET", path))).status == 403


@EACH
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


async def test_right_entries_count() -> None:
    """A wrong entry costs itself: what stands beside it in the same set is delivered."""
    wrong = (faulty.WrongTypes, {"answer": "sets_of_others", "receiver": ALICE})
    async with world(wrong) as w:
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("unavailable")
        assert set((await w.alice.sync(**UNSEEN)).presence) == {BOB}


async def test_foreign_user_named() -> None:
    """Malformed users beside a right one cost themselves only."""
    wrong = (faulty.Malformed, {"unknown": [BOB, ALICE]})
    async with world(wrong) as w:
        await w.bob.set_status("unavailable", "hello")
        assert set((await w.alice.first_sync(**UNSEEN)).presence) == {ALICE, BOB}
        assert (await w.alice.status_of(w.bob))["status_msg"] == "hello"


@pytest.mark.parametrize("timeout", ["5s", "2s"])
async def test_timeout_from_the_config(timeout: str) -> None:
    """A module is waited for, by who asks afresh, as long as `module_timeout` says."""
    only_one = {"in": ["get_interested_users"]}
    async with world((faulty.Hanging, only_one), config=f"module_timeout: {timeout}") as w:
        await w.bob.set_status("online")
        began = w.server.clock.now()
        await w.server.in_time(w.alice.sync(**UNSEEN))
        assert w.server.clock.now() - began == int(timeout[0]) * 1_000


async def test_breaker() -> None:
    """After five failures in a row a module is not asked for half a minute, and then once."""
    async with world((faulty.Raising, {})) as w:
        with capture_logs() as logs:
            for count in range(7):
                await w.bob.set_status("online", str(count))
            assert [it["paused"] for it in failures(logs)] == [False] * 4 + [True]
            await w.server.advance(milliseconds=29_999)
            await w.bob.set_status("online", "still paused")
            assert len(failures(logs)) == 5
            await w.server.advance(milliseconds=1)
            await w.bob.set_status("online", "a try")
            await w.bob.set_status("online", "no other try")
            assert len(failures(logs)) == 6


async def test_breaker_lets_a_recovered_module_in() -> None:
    """A paused module that answers rightly at its try is asked as before."""
    async with world((Recovering, {})) as w:
        await w.alice.sync(**UNSEEN)
        module = w.server.module(Recovering)
        for count in range(6):
            await w.bob.set_status("online", str(count))
        module.is_well = True
        await w.server.advance(seconds=29)
        await w.bob.set_status("online", "paused")
        assert BOB not in (await w.alice.sync(**UNSEEN)).presence
        await w.server.advance(seconds=1)
        for text in ("a try", "as before"):
            await w.bob.set_status("unavailable", text)
            await w.alice.sync(**UNSEEN)
            assert w.alice.reads(w.bob) == text


async def test_hanging_breaker() -> None:
    """A module that hangs is paused, too: then nobody who asks afresh waits for it any more."""
    async with world((faulty.Hanging, {})) as w:
        await w.bob.set_status("online")
        for _ in range(4):
            await w.server.in_time(w.alice.first_sync(**UNSEEN))
        now = w.server.clock.now()
        await w.alice.first_sync(**UNSEEN)
        assert w.server.clock.now() == now


class Recovering(Routes):
    """Shows bob to alice by pushes, once it is well."""

    def __init__(self, config: Mapping[str, Any], api: object) -> None:
        super().__init__({"routes": {ALICE: [BOB]}}, api)
        self.is_well = False

    @classmethod
    def parse_config(cls, config: dict[str, Any]) -> dict[str, Any]:
        return config

    async def get_users_for_states(self, state_updates: Any) -> Any:
        if not self.is_well:
            raise RuntimeError("not well yet")
        return await super().get_users_for_states(state_updates)

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set()


def failures(logs: list[Any]) -> list[Any]:
    """Return what is logged of modules that failed."""
    return [it for it in logs if it["event"] == "module failed"]
