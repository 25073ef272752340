"""The place of random worlds: users and rooms are made once, and copied for each world."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from structlog.testing import capture_logs

from lamplighter.devtools.server import running_server
from tests.scenarios import world_modules
from tests.scenarios.world_player import Player
from tests.scenarios.world_steps import NAMES_OF_USERS, ROOMS, World
from tests.scenarios.worlds import Oracle, Rules

__all__ = ["Land", "play", "settle"]

#: Who made the rooms, and is never seen.
HOST: Final = "host"


@dataclass(frozen=True)
class Land:
    """A data directory with users and rooms, and the rooms' IDs."""

    data_dir: Path
    rooms: Mapping[str, str]


def settle(data_dir: Path) -> Land:
    """Return a land that is kept in *data_dir*."""

    async def settled() -> Land:
        async with running_server(data_dir=data_dir) as server:
            host = await server.register(HOST)
            for name in NAMES_OF_USERS:
                await server.register(name)
            return Land(data_dir, {name: await host.create_room() for name in ROOMS})

    return asyncio.run(settled())


def play(land: Land, world: World) -> None:
    """Play *world*, and raise `AssertionError` for what is not right."""
    with TemporaryDirectory() as copy, capture_logs() as logs:
        shutil.copytree(land.data_dir, copy, dirs_exist_ok=True)
        asyncio.run(_play(world, land.rooms, Path(copy)))
    problems = [log for log in logs if log["log_level"] in ("warning", "error", "critical")]
    unexpected = [log for log in problems if log.get("module") != "Raising"]
    assert unexpected == [], unexpected


async def _play(world: World, rooms: Mapping[str, str], data_dir: Path) -> None:
    thinks = dict(zip(world.modules, world.thinks, strict=True))
    rules = Rules(world.modules, thinks, world.gated, early=world.early)
    modules = [(getattr(world_modules, name), {"rules": rules}) for name in world.modules]
    config = (
        f"routing: {{shared_rooms: {str(world.shared_rooms).lower()}, "
        f"largest_room: {world.largest_room or 'null'}, exclude_rooms: ['{rooms['excluded']}']}}\n"
    )
    counting = [rooms[name] for name in ROOMS if name != "excluded" and world.shared_rooms]
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, it: complaints.append(it))
    async with running_server(modules, config=config, data_dir=data_dir) as server:
        users = [f"@{name}:{server.server_name}" for name in (*NAMES_OF_USERS, HOST)]
        oracle = Oracle(users, counting, rules, world.largest_room)
        for room in rooms.values():
            oracle.joined(room, users[-1])
        server.clock.advance(seconds=1)
        await Player(server, oracle, rooms).play(world)
    assert complaints == [], complaints
