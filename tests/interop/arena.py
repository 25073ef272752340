"""One server under test, one correct peer, and many hostile peers."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.federation_interop.certificates import Authority, Certificate
from tests.federation_interop.peer import Peer, presence_edu, running_peer
from tests.federation_interop.people import news_of
from tests.interop.clients import Person, register
from tests.interop.federated import federated
from tests.interop.hostile_peer import HostilePeer, open_hostile_peer
from tests.interop.processes import ServerProcess, reserved_port

__all__ = ["Arena", "open_arena", "said"]


def said(user_id: str, status: str, **more: Any) -> dict[str, Any]:
    """Return an EDU by which a user says *status*, with *more* fields."""
    return presence_edu(user_id, "online", **{"status_msg": status, "last_active_ago": 1, **more})


@dataclass
class Arena:
    """The server under test, with its users by name."""

    server: ServerProcess
    #: The name of the server, to others.
    name: str
    http: aiohttp.ClientSession
    authority: Authority
    certificate: Certificate
    #: A correct server; carol is one of its users.
    healthy: Peer
    #: A hostile server; mallory is one of its users.
    hostile: HostilePeer
    #: More hostile servers, each with a mallory who is shown a user here, by that user's name.
    answering: dict[str, HostilePeer]
    people: dict[str, Person]
    stack: AsyncExitStack
    numbers: "count[int]" = field(default_factory=count)

    async def another(self) -> HostilePeer:
        """Return one more server like `hostile`, with a name of its own."""
        peer = open_hostile_peer(self.certificate, self.authority)
        return await self.stack.enter_async_context(peer)

    def fresh(self) -> str:
        """Return a status message that was never used before."""
        return f"number {next(self.numbers)}"

    async def exchanges(self) -> None:
        """Assert that the healthy server and this one tell each other of their users."""
        alice, status = self.people["alice"], self.fresh()
        await self.hears(self.healthy.user("carol"), self.healthy, status)
        assert (await alice.put_status("online", status)).status == 200
        while status not in str((await self.healthy.transaction()).content):
            pass

    async def hears(self, user_id: str, by: Peer | HostilePeer, status: str) -> None:
        """Let a user of another server say *status*; assert that alice's next news of them is it.

        So she was not told of anything else before.
        """
        edu = said(user_id, status)
        answer = await by.send(self.name, status.replace(" ", "-"), edu)
        assert answer.status == 200
        assert (await news_of(user_id, self.people["alice"]))["status_msg"] == status

    async def status_of(self, user_id: str) -> str:
        """Return the status message that alice gets for a user."""
        path = f"/presence/{quote(user_id, safe='')}/status"
        status: str = (await self.people["alice"].ask("GET", path)).json["status_msg"]
        return status

    async def open_files(self) -> int:
        """Return how many files and connections the server has open, as it says itself."""
        async with self.http.get(f"{self.server.url}/metrics") as answer:
            found = re.search(r"\nprocess_open_fds (\d+)", await answer.text())
        assert found is not None
        return int(found[1])


@asynccontextmanager
async def open_arena(folder: Path, *watched: str) -> AsyncIterator[Arena]:
    """Run all these servers; *watched* are the users who are shown to hostile servers.

    At the end the server under test must stop in good order, without warnings in its log.
    """
    authority = Authority(folder / "authority.pem")
    certificate = authority.certificate(folder / "hostile")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        healthy = await stack.enter_async_context(running_peer(folder / "healthy", authority))
        hostile, *others = [
            await stack.enter_async_context(open_hostile_peer(certificate, authority))
            for _ in range(len(watched) + 1)
        ]
        answering = dict(zip(watched, others, strict=True))
        port, client_port = (stack.enter_context(reserved_port()) for _ in range(2))
        name = f"127.0.0.1:{port}"
        shows = {
            f"@alice:{name}": [healthy.user("carol"), hostile.user("mallory")],
            healthy.user("carol"): [f"@alice:{name}"],
        } | {peer.user("mallory"): [f"@{case}:{name}"] for case, peer in answering.items()}
        server = federated(
            folder / "server",
            name,
            client_port,
            authority,
            shows | {f"@mallory:127.0.0.2:{client_port}": [f"@walter:{name}"]},
            allow_addresses=["127.0.0.1/32"],
        )
        stack.callback(server.kill_if_running)
        await asyncio.to_thread(server.start)
        people = {
            name: await register(http, server.url, name) for name in ("alice", "walter", *watched)
        }
        await people["alice"].sync()
        yield Arena(
            server=server,
            name=name,
            http=http,
            authority=authority,
            certificate=certificate,
            healthy=healthy,
            hostile=hostile,
            answering=answering,
            people=people,
            stack=stack,
        )
        ended = await asyncio.to_thread(server.stop)
        assert ended.code == 0
        assert [it for it in ended.events if it["level"] not in {"info", "debug"}] == []
        assert "Traceback" not in ended.log
