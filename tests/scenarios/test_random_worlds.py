"""Random worlds: whatever happens, nobody is told what they may not know, and all hear the rest."""

import asyncio
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from structlog.testing import capture_logs

from lamplighter.devtools.server import running_server
from tests.scenarios import world_modules
from tests.scenarios.world_player import Player
from tests.scenarios.world_steps import NAMES_OF_USERS, ROOMS, World, worlds
from tests.scenarios.worlds import Oracle, Rules

#: Who made the rooms, and is never seen.
HOST = "host"

EXAMPLES = int(os.environ.get("EXAMPLES", "100"))


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A data directory with users and rooms, and the rooms' IDs."""
    data_dir = tmp_path_factory.mktemp("land")

    async def settle() -> dict[str, str]:
        async with running_server(data_dir=data_dir) as server:
            host = await server.register(HOST)
            for name in NAMES_OF_USERS:
                await server.register(name)
            return {name: await host.create_room() for name in ROOMS}

    return data_dir, asyncio.run(settle())


@pytest.mark.timeout(900)  # a hundred worlds, and their shrinking if one is wrong
@settings(max_examples=EXAMPLES)
@given(world=worlds())
def test_everybody_believes_what_the_oracle_says(
    land: tuple[Path, dict[str, str]], world: World
) -> None:
    """What each client believes in the end is what a brute-force oracle says, and no answer on the
    way, to a sync, a poll or a GET, holds a presence that the oracle forbids; and an explanation of
    who sees whom says what GET then shows.
    """
    data_dir, rooms = land
    with TemporaryDirectory() as copy, capture_logs() as logs:
        shutil.copytree(data_dir, copy, dirs_exist_ok=True)
        asyncio.run(_play(world, rooms, Path(copy)))
    problems = [log for log in logs if log["log_level"] in ("warning", "error", "critical")]
    unexpected = [log for log in problems if log.get("module") != "Raising"]
    assert unexpected == []


async def _play(world: World, rooms: dict[str, str], data_dir: Path) -> None:
    thinks = dict(zip(world.modules, world.thinks, strict=True))
    rules = Rules(world.modules, thinks, world.gated, early=world.early)
    modules = [(getattr(world_modules, name), {"rules": rules}) for name in world.modules]
    config = (
        f"routing: {{shared_rooms: {str(world.shared_rooms).lower()}, "
        f"exclude_rooms: ['{rooms['excluded']}']}}\n"
    )
    counting = [rooms[name] for name in ROOMS if name != "excluded" and world.shared_rooms]
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, it: complaints.append(it))
    async with running_server(modules, config=config, data_dir=data_dir) as server:
        users = [f"@{name}:{server.server_name}" for name in (*NAMES_OF_USERS, HOST)]
        oracle = Oracle(users, counting, rules)
        for room in rooms.values():
            oracle.joined(room, users[-1])
        server.clock.advance(seconds=1)
        await Player(server, oracle, rooms).play(world)
    assert complaints == []
