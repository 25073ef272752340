"""Granian, one per address to listen on, in our own event loop."""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp

from lamplighter.clock import Clock, within
from lamplighter.config import Address
from lamplighter.errors import ConfigError
from lamplighter.web.under_way import UnderWay

__all__ = ["Listener"]

#: Granian counts requests in flight against this, and a long poll is in flight all the time: with
#: its default of 128, the 129th client would wait for another's poll to end.
_MOST_IN_FLIGHT: Final = 200_000
_BACKLOG: Final = 4_096
#: How long a request that is under way may take when the server stops; polls are answered before.
_PATIENCE: Final = timedelta(seconds=5)
#: How long Granian may take for itself. It would wait for ever for a client that has opened a
#: connection and sent half of a request's head.
_GRACE: Final = timedelta(seconds=1)


class Listener:
    """Serves an ASGI application at one address, between `start` and `stop`."""

    def __init__(self, application: ASGIApp, address: Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._requests = UnderWay(application)
        self._server = _Server(
            self._requests,
            address=address.host,
            port=address.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=_MOST_IN_FLIGHT,
            log_enabled=False,
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once connections are taken; raise `ConfigError` if the address cannot be used."""
        _check_free(self._address)
        # It says at every start that to be embedded is experimental.
        logging.getLogger("_granian").setLevel(logging.ERROR)
        self._serving = asyncio.get_running_loop().create_task(self._server.serve())
        ready = asyncio.ensure_future(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            ended, self._serving = self._serving, None
            raise ConfigError(f"listen: {self._address}: {ended.exception()}")

    async def stop(self) -> None:
        """Take no more connections, and return once the requests under way are answered.

        Those that take too long, by their own fault or their client's, are told to come again.
        """
        if self._serving is None:
            return
        self._server.stop()  # type: ignore[no-untyped-call] # Granian's is not typed
        if await self._done_within(_GRACE, asyncio.shield(self._serving)):
            return
        if not await self._done_within(_PATIENCE, self._requests.ended()):
            logging.getLogger(__name__).warning("requests were cut off at %s", self._address)
            self._requests.cut_off()
        await self._done_within(_GRACE, self._serving)

    async def _done_within(self, limit: timedelta, work: Awaitable[None]) -> bool:
        try:
            await within(self._clock, limit, work)
        except TimeoutError:
            return False
        return True


class _Server(Server):
    """Granian's, which does not tell by itself when it listens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ready = asyncio.Event()

    def startup(self, spawn_target: Callable[..., Any], target_loader: Callable[..., Any]) -> None:
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call] # as above
        self.ready.set()


def _check_free(address: Address) -> None:
    """Raise `ConfigError` if somebody listens there: Granian would share the port with them."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise ConfigError(f"listen: {address} {what}") from None
