"""A client over HTTP, which knows a few nodes: it asks any of them, and keeps its token."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - seeded: clients choose alike each time
from typing import Any, Final, NoReturn

import aiohttp

from tests.chaos.passing import instant, pause

__all__ = ["PATIENCE", "Client", "Refusals", "Refused"]

#: A client waits so long for an answer. No fault lasts that long, so there is one, if only a 503.
PATIENCE: Final = aiohttp.ClientTimeout(total=15)
#: What a node has written and not told, other nodes tell within so many seconds.
_HEARD_AFTER: Final = 5.0
#: No fault keeps all nodes from doing what is asked for so many seconds.
_GIVES_UP: Final = 60.0
#: What any node may answer to anything while there are faults.
_ALWAYS: Final = frozenset({200, 503})


class Refused(Exception):
    """A node has given an answer that no fault explains: to ask again is of no use."""


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
        """Ask a node; 0 is the status where none answers. *may* are refusals that are right.

        Raises `Refused` for any other.
        """
        url, token = url or self.random.choice(self.urls), token or self.access_token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self.http.request(
                method, f"{url}/{path}", json=body, headers=headers
            ) as response:
                text, status = await response.text(), response.status
        except TimeoutError:
            self.refuse(f"{method} {path} at {url}: no answer in {PATIENCE.total} s")
        except (aiohttp.ClientError, OSError):
            return 0, None
        content = json.loads(text) if text.startswith("{") else {"errcode": text}
        if status not in _ALWAYS | may or (status == 503 and content["errcode"] != "M_UNKNOWN"):
            self.refuse(f"{method} {path} at {url}: {status} {content}")
        return status, content

    async def insist(self, method: str, path: str, body: Any = None) -> Any:
        """Ask until a node answers with 200; return the content. Raises `Refused`."""
        _, content = await self._try(method, path, body)
        return content

    async def carry_out(
        self, path: str, *, token: str = "", may: frozenset[int] = frozenset()
    ) -> None:
        """POST until it is done at every node; *may* are the refusals of what was done before.

        Where the first answer was none, it may have been done, and others hear of it a bit later.
        Raises `Refused`.
        """
        tries, _ = await self._try("POST", path, {}, token=token, may=may)
        if tries > 1:
            await pause(_HEARD_AFTER)

    async def _try(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        token: str = "",
        may: frozenset[int] = frozenset(),
    ) -> tuple[int, Any]:
        """Ask until it is done; return how often it was asked, and the last content."""
        tries, began = 0, instant()
        while True:
            tries += 1
            status, content = await self.ask(method, path, body, token=token, may=may)
            if status in {200, *may}:
                return tries, content
            if instant() - began > _GIVES_UP:
                self.refuse(f"{method} {path}: not done after {tries} tries: {status} {content}")
            await pause(self.random.uniform(0.1, 0.4))

    def refuse(self, what: str) -> NoReturn:
        """Note what no fault explains, and ask no more: raise `Refused`."""
        self.refusals.found.append(what)
        raise Refused(what)
