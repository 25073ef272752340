"""A server with modules, and three users who share no room."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamplighter.devtools.client import Client, SyncQuery
from lamplighter.devtools.server import InMemoryServer, ModuleToLoad, running_server
from lamplighter.routing.reasons import Reasons
from lamplighter.service import Published

SERVER = "example.com"
ALICE, BOB, CHARLIE = (f"@{name}:{SERVER}" for name in ("alice", "bob", "charlie"))

#: Alice looks on, and is not seen by it.
UNSEEN: Final[SyncQuery] = {"set_presence": "offline"}


@dataclass(frozen=True)
class World:
    """The server and the three clients."""

    server: InMemoryServer
    alice: Client
    bob: Client
    charlie: Client

    def listen(self) -> list[tuple[str, str, Reasons]]:
        """Return a list that gets each recipient, user and reasons from now on."""
        told: list[tuple[str, str, Reasons]] = []

        def look(published: Published) -> None:
            told.extend(
                (viewer, delivery.user_id, reasons)
                for delivery in published.deliveries
                for viewer, reasons in delivery.recipients.items()
            )

        self.server.lamplighter.core.witnesses.observe(look)
        return told


@asynccontextmanager
async def world(
    *modules: ModuleToLoad, config: str = "", data_dir: Path | None = None
) -> AsyncIterator[World]:
    """Run a server with *modules* until the block ends."""
    async with running_server(
        modules, server_name=SERVER, config=config, data_dir=data_dir
    ) as server:
        people = [await server.register(name) for name in ("alice", "bob", "charlie")]
        yield World(server, *people)
