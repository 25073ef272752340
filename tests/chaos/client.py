"""A client over HTTP, which knows a few nodes: it asks any of them, and keeps its token."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - seeded: clients choose alike each time
from typing import Any, Final

import aiohttp

from tests.chaos.passing import pause

__all__ = ["PATIENCE", "Client", "Refusals"]

#: A client waits so many seconds for an answer, then it goes elsewhere.
PATIENCE: Final = aiohttp.ClientTimeout(total=15)
#: What a node has written and not told, other nodes tell within so many seconds.
_HEARD_AFTER: Final = 5.0
#: What any node may answer to anything while there are faults.
_ALWAYS: Final = frozenset({200, 503})


@dataclass(frozen=True)
class Refusals:
    """The answers that no fault explains."""

    found: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Client:
    """Asks nodes as one device, or as nobody."""

    http: aiohttp.ClientSession
    urls: Sequence[str]
    refusals: Refusals
    random: Random
    access_token: str = ""

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        url: str = "",
        token: str = "",
        may: frozenset[int] = frozenset(),
    ) -> tuple[int, Any]:
        """Ask a node; 0 is the status where none answers. *may* are refusals that are right."""
        url, token = url or self.random.choice(self.urls), token or self.access_token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self.http.request(
                method, f"{url}/{path}", json=body, headers=headers
            ) as response:
                content = await response.json()
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0, None
        if status not in _ALWAYS | may or (status == 503 and content["errcode"] != "M_UNKNOWN"):
            self.refusals.found.append(f"{method} {path} at {url}: {status} {content}")
        return status, content

    async def insist(self, method: str, path: str, body: Any = None) -> Any:
        """Ask until a node answers with 200; return the content."""
        while True:
            status, content = await self.ask(method, path, body)
            if status == 200:
                return content
            await pause(self.random.uniform(0.1, 0.4))

    async def carry_out(
        self, path: str, *, token: str = "", may: frozenset[int] = frozenset()
    ) -> None:
        """POST until it is done at every node; *may* are the refusals of what was done before.

        Where the first answer was none, it may have been done, and others hear of it a bit later.
        """
        tries, status = 0, 0
        while status not in {200, *may}:
            if tries:
                await pause(self.random.uniform(0.1, 0.4))
            tries += 1
            status, _ = await self.ask("POST", path, {}, token=token, may=may)
        if tries > 1:
            await pause(_HEARD_AFTER)
