"""How a server is wired together, and what it finds when it starts."""

from pathlib import Path
from sqlite3 import ProgrammingError
from typing import Any

import pytest

from lamplighter.app import Storage, build
from lamplighter.config import parse_config_text
from lamplighter.database.adapter import Statement
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import running_server
from lamplighter.errors import ModuleError, StorageUnavailable
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle


class First:
    """A module that routes nothing."""

    def __init__(self, config: Any, api: Any) -> None:
        async def routes(states: object) -> dict[str, set[object]]:
            return {}

        async def interested(user_id: str) -> set[str]:
            return set()

        self.api = api
        api.register_presence_router_callbacks(
            get_users_for_states=routes, get_interested_users=interested
        )


class Second(First):
    pass


class Router:
    """A module of the older style."""

    def __init__(self, *, config: Any, module_api: Any) -> None:
        self.config = config

    async def get_users_for_states(self, states: object) -> dict[str, set[object]]:
        return {}

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set()


class Broken:
    def __init__(self, config: Any, api: Any) -> None:
        raise RuntimeError("not today")


class Serving:
    """A module with a web resource."""

    def __init__(self, config: Any, api: Any) -> None:
        async def hello(request: object) -> dict[str, str]:
            return {"hello": "world"}

        api.register_web_resource("/_serving", hello)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A damaged database is said to be one, and the server is not built."""
    (tmp_path / "lamplighter.db").write_bytes(b"no database" * 100)
    config = parse_config_text("server_name: demo\n", tmp_path / "lamplighter.yaml")
    with pytest.raises(StorageUnavailable, match="The file is not a database"):
        await build(config, FakeClock(), Storage.in_directory(tmp_path))


async def test_modules_in_config_order() -> None:
    """Modules are loaded in the order of the list; the older kind of router comes last."""
    config = f"""
modules: [{{module: {__name__}.Second}}, {{module: {__name__}.First}}]
presence: {{presence_router: {{module: {__name__}.Router, config: {{a: 1}}}}}}
"""
    async with running_server(config=config) as server:
        names = [module.name for module in server.lamplighter.modules.loaded]
        assert names == ["Second", "First", "Router"]
        assert server.module(Router).config == {"a": 1}


async def test_modules_that_stand_in(tmp_path: Path) -> None:
    """Modules that are given to `build` stand in for those of the config."""
    config = f"server_name: demo\nmodules: [{{module: {__name__}.Broken}}]\n"
    entry = ConfiguredModule(f"{__name__}.First", {}, ModuleStyle.CALLBACKS, "modules[0]")
    server = await build(
        parse_config_text(config, tmp_path / "x.yaml"), FakeClock(), Storage.in_memory(), [entry]
    )
    assert [module.name for module in server.modules.loaded] == ["First"]
    await server.stop()


async def test_a_module_that_cannot_be_built(tmp_path: Path) -> None:
    """If a module cannot be built, `build` raises, and closes the database."""
    modules = f"[{{module: {__name__}.First}}, {{module: {__name__}.Broken}}]"
    config = parse_config_text(f"server_name: demo\nmodules: {modules}\n", tmp_path / "x.yaml")
    storage = Storage.in_memory()
    await storage.database.commit(Statement("CREATE TABLE mark (x INT)"))
    with pytest.raises(ModuleError, match=r"module Broken .* cannot be started: .*not today"):
        await build(config, FakeClock(), storage)
    with pytest.raises(ProgrammingError, match="closed database"):
        await storage.database.fetch(Statement("SELECT x FROM mark"))


@pytest.mark.parametrize(
    ("config", "base"),
    [
        ("", "http://127.0.0.1:8008/"),
        ("listen: [10.0.0.1:80, 127.0.0.1:81]", "http://10.0.0.1:80/"),
        ("public_baseurl: https://example.org/", "https://example.org/"),
    ],
)
async def test_what_modules_know_of_the_server(config: str, base: str) -> None:
    """Modules know the server's name, and the address at which clients reach it."""
    async with running_server([First], server_name="example.org", config=config) as server:
        api = server.module(First).api
        assert (api.server_name, api.public_baseurl) == ("example.org", base)


@pytest.mark.parametrize("is_on", [True, False])
async def test_busy(is_on: bool) -> None:
    """If busy is off nobody can set it, modules included; `/versions` tells clients."""
    async with running_server(config=f"presence: {{busy: {str(is_on).lower()}}}") as server:
        bob = await server.register("bob")
        versions = await server.http.request("GET", "/_matrix/client/versions")
        features = versions.json["unstable_features"]
        assert features["org.matrix.msc3026.busy_presence"] is is_on
        busy: Any = {bob.user_id: ("org.matrix.msc3026.busy", None)}
        if is_on:
            await server.api.set_presence_for_users(busy)
        else:
            with pytest.raises(ValueError, match="is not a presence state"):
                await server.api.set_presence_for_users(busy)


async def test_two_servers_in_one_process() -> None:
    """Servers in one process have nothing in common: people, presence, or counters."""
    async with running_server() as one, running_server() as other:
        bob = await one.register("bob")
        await bob.sync()
        counts = [
            "lamplighter_syncs_total 1.0" in server.lamplighter.metrics.exposition().decode()
            for server in (one, other)
        ]
        assert counts == [True, False]
        assert other.presence_of(bob).state == "offline"


async def test_web_resources_of_modules() -> None:
    """Web resources of modules are served beside the server's own endpoints."""
    async with running_server([Serving]) as server:
        answer = await server.http.request("GET", "/_serving/hello")
        health = await server.http.request("GET", "/health")
        nobody = await server.http.request("GET", "/_other")
    assert (answer.status, answer.json, health.status) == (200, {"hello": "world"}, 200)
    assert (nobody.status, nobody.json["errcode"]) == (404, "M_UNRECOGNIZED")
