"""A whole server in memory."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lamplighter.clock import after
from lamplighter.devtools.server import configured_server, running_server


class Plain:
    """A module that keeps what it was given."""

    def __init__(self, config: Any, api: Any) -> None:
        self.config = config
        self.api = api


class Later(Plain):
    pass


async def test_registering() -> None:
    """A name that is new becomes a user, with the device that is wanted; a known one logs in."""
    async with running_server() as server:
        phone = await server.register("alice", device="PHONE")
        laptop = await server.register("alice", device="LAPTOP")
        other = await server.register("alice")
        assert [it.user_id for it in (phone, laptop, other)] == ["@alice:demo"] * 3
        assert [it.device_id for it in (phone, laptop)] == ["PHONE", "LAPTOP"]
        assert len({it.access_token for it in (phone, laptop, other)}) == 3
        devices = (await phone.call("GET", "/devices"))["devices"]
        assert {it["device_id"] for it in devices} == {"PHONE", "LAPTOP", other.device_id}


async def test_modules() -> None:
    """Modules are classes or paths, with and without a configuration; the config's are last."""
    path = f"{__name__}.Plain"
    config = f"modules: [{{module: {path}, config: {{n: 4}}}}]"
    modules: list[Any] = [Later, (Plain, {"n": 2}), path, (path, {"n": 3})]
    async with running_server(modules, config=config) as server:
        loaded = server.lamplighter.modules.loaded
        instances: list[Any] = [module.instance for module in loaded]
        assert [it.config for it in instances] == [{}, {"n": 2}, {}, {"n": 3}, {"n": 4}]
        assert server.module(Plain) is instances[0]
        assert server.module(Later) is instances[0]
        with pytest.raises(LookupError, match="no Path is loaded"):
            server.module(Path)


async def test_a_timer_that_begins_work_in_a_thread() -> None:
    """Work that a timer begins in a thread has ended before the next timer fires."""
    async with running_server() as server:
        loop, start = asyncio.get_running_loop(), server.clock.now()
        ended: list[int] = []
        seen: list[list[int]] = []

        def work() -> None:
            ended.append(sum(range(300_000)))

        def begin() -> None:
            loop.run_in_executor(None, work)

        server.clock.call_at(after(start, timedelta(seconds=1)), begin)
        server.clock.call_at(after(start, timedelta(seconds=2)), lambda: seen.append([*ended]))
        await server.advance(seconds=3)
        assert seen == [[sum(range(300_000))]]


async def test_time_passes_step_by_step() -> None:
    """A timer that is due while time passes fires at its own instant, with all consequences."""
    async with running_server() as server:
        bob = await server.register("bob")
        await bob.sync()
        heard: list[tuple[str, int]] = []
        start = server.clock.now()

        async def listen(states: Any) -> None:
            heard.extend((it.state, server.clock.now() - start) for it in states)

        server.api.subscribe_to_presence(listen)
        await server.advance(minutes=1)
        assert heard == [("offline", 30_000)]
        assert server.clock.now() - start == 60_000


async def test_a_restart_in_memory_forgets() -> None:
    """Without a data directory a restart forgets everything, access tokens included."""
    async with running_server() as server:
        bob = await server.register("bob")
        await bob.set_status("online", "brb")
        await server.restart(bob)
        response = await bob.request("GET", "/account/whoami")
        assert (response.status, server.presence_of(bob).status_msg) == (401, None)


async def test_a_restart_remembers(tmp_path: Path) -> None:
    """With a data directory a restart keeps everything, and clients find the server again."""
    async with running_server(data_dir=tmp_path) as server:
        bob = await server.register("bob")
        await bob.set_status("online", "brb")
        await server.restart(bob)
        assert (await bob.status_of(bob))["status_msg"] == "brb"


async def test_a_server_that_does_not_run(tmp_path: Path) -> None:
    """A stopped server raises an error that says so."""
    async with running_server(data_dir=tmp_path) as server:
        await server.stop()
        for ask in (lambda: server.lamplighter, lambda: server.http, lambda: server.api):
            with pytest.raises(RuntimeError, match="the server does not run"):
                ask()
        await server.start()


async def test_rate_limits() -> None:
    """There are no rate limits, unless the configuration has some."""
    async with running_server() as server:
        bob = await server.register("bob")
        for _ in range(40):
            await bob.set_status("online")
    config = "rate_limits: {presence: {per_second: 1, burst: 1}}"
    async with running_server(config=config) as server:
        bob = await server.register("bob")
        path = f"/presence/{bob.user_id}/status"
        answers = [await bob.request("PUT", path, {"presence": "online"}) for _ in range(2)]
        assert [it.status for it in answers] == [200, 429]


async def test_the_database_of_an_operator_is_left_alone(tmp_path: Path) -> None:
    """A server in memory, by a configuration with a database, does not connect to that database."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: demo\ndatabase: postgresql://lamplighter@127.0.0.1:1/real\n")
    async with configured_server(path) as server:
        assert (await server.register("alice")).user_id == "@alice:demo"
