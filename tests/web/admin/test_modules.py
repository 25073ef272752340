"""The admin API on modules."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import running_server
from lamplighter.metrics import Metrics
from lamplighter.modules.api import ModuleApi
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.reload import ReloadResult
from lamplighter.web.admin.modules import AdminModules
from tests.web.admin.operator import ADMIN_CONFIG, Operator, operator_of


class Broken:
    """A module that raises."""

    def __init__(self, config: object, api: ModuleApi) -> None:
        api.register_presence_router_callbacks(
            get_users_for_states=self.answer, get_interested_users=self.answer
        )

    async def answer(self, asked: object) -> Any:
        raise RuntimeError("out of order")


class Hanging(Broken):
    """A module that never answers."""

    async def answer(self, asked: object) -> Any:
        await asyncio.Event().wait()


class Sound(Broken):
    """A module that names nobody."""

    async def answer(self, asked: object) -> Any:
        return {} if isinstance(asked, list) else set()


class Everybody(Broken):
    """Shows alice and bob to each other."""

    async def answer(self, asked: object) -> Any:
        users = {"@alice:demo", "@bob:demo"}
        return {user: set(asked) for user in users} if isinstance(asked, list) else users


def shadow_config(name: str) -> str:
    """Return a configuration with a module of this file as a shadow module."""
    return f"{ADMIN_CONFIG}\nmodules: [{{module: {__name__}.{name}, shadow: true}}]\n"


async def test_modules_and_their_health() -> None:
    """Modules are listed with their calls and failures, in the order of the configuration."""
    async with running_server([Sound, Broken], config=ADMIN_CONFIG) as server:
        alice = await server.register("alice")
        with capture_logs():
            for word in "abcde":
                await alice.set_status("online", word)
        shown = await Operator(server.http).get("/modules")
        now = server.clock.now()
    failure = {
        "callback": "get_users_for_states",
        "kind": "exception",
        "problem": "RuntimeError('out of order')",
        "at_ts": now,
    }
    sound = {"name": "Sound", "calls": 5, "failures": 0, "last_failure": None}
    broken = {"name": "Broken", "calls": 5, "failures": 5, "last_failure": failure}
    assert shown["modules"] == [
        {
            **it,
            "median_seconds": time,
            "p95_seconds": time,
            "paused": False,
            "paused_until_ts": None,
        }
        for it, time in ((sound, 0.0), (broken, None))
    ]


@pytest.mark.parametrize(
    "result",
    [
        ReloadResult(["Sound"], None, ["listen"]),
        ReloadResult(["Sound"], "modules[0]: no such thing"),
    ],
)
async def test_a_reload(result: ReloadResult) -> None:
    """The answer names the modules that run now, and the reason if the new ones were refused."""

    async def reload() -> ReloadResult:
        return result

    router = ModuleRouter(FakeClock(), Metrics(), GuardSettings())
    operator = operator_of(AdminModules(router, list, reload))
    assert await operator.post("/modules/reload") == {
        "modules": ["Sound"],
        "problem": result.problem,
        "needs_restart": list(result.needs_restart),
    }


@pytest.mark.parametrize("path", ["/modules", "/modules/shadow"])
async def test_a_breaker_is_reset(path: str) -> None:
    """A paused module, or shadow module, is asked again at once after a reset.

    An unknown module is a 404.
    """
    shadow = path.endswith("shadow")
    config = shadow_config("Hanging") if shadow else ADMIN_CONFIG
    async with running_server([] if shadow else [Hanging], config=config) as server:
        operator = Operator(server.http)
        alice = await server.register("alice")
        seen = []

        async def see(*words: str) -> None:
            for word in words:
                await alice.set_status("online", word)
            await server.settled()
            [module] = (await operator.get(path))["modules"]
            seen.append((module["calls"], module["paused"], module["paused_until_ts"] is None))

        with capture_logs():
            await see(*"abcde")
            await server.advance(seconds=5)
            await see("f")
            assert await operator.post("/modules/Hanging/reset") == {}
            await see()
            await see("g")
        response = await operator.request("POST", "/modules/Other/reset")
    assert seen == [(5, False, True), (5, True, False), (5, False, True), (6, False, True)]
    assert (response.status, response.json["errcode"]) == (404, "M_NOT_FOUND")


async def test_modules_in_the_shadow() -> None:
    """Shadow modules are listed apart, with what they would change, the newest first."""
    async with running_server(config=shadow_config("Everybody")) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        await alice.sync()
        await bob.set_status("online", "brb")
        await server.settled()
        operator = Operator(server.http)
        counting, shadow = await operator.get("/modules"), await operator.get("/modules/shadow")
    assert counting == {"modules": []}
    assert [module["name"] for module in shadow["modules"]] == ["Everybody"]
    newest = shadow["differences"][0]
    assert (newest["kind"], newest["viewer"], newest["subject"], newest["shown"]) == (
        "gains_sight",
        alice.user_id,
        bob.user_id,
        None,
    )
    assert newest["would_be_shown"]["status_msg"] == "brb"
