"""The built-in homeserver as one: its directory, its endpoints, and what operators do to it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, sleep
from lamplighter.config import Config, Rate
from lamplighter.database.engine import Database
from lamplighter.delivery.tokens import Tokens
from lamplighter.errors import ClusterUnavailable, StorageUnavailable
from lamplighter.homeserver.admin import AdminAccounts
from lamplighter.homeserver.client import client_endpoints
from lamplighter.homeserver.client.events import Events
from lamplighter.homeserver.rooms_half import SqlRoomsHalf
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.news import Written, decode_news
from lamplighter.ids import StreamEpoch, StreamPosition
from lamplighter.ports import DirectoryListener, MembershipChange, WayToNodes
from lamplighter.service.background import Background
from lamplighter.web.address import ClientAddress
from lamplighter.web.admin.operations import Operation
from lamplighter.web.client.parts import ClientParts
from lamplighter.web.limits import limiter
from lamplighter.web.routes import Route

__all__ = ["BuiltInHomeserver"]

#: News that were stored and not heard for so long are told by whoever sees them.
_LOOKS_EVERY: Final = timedelta(seconds=1)
#: How long what was left undone waits for the database.
_TRIES_EVERY: Final = timedelta(seconds=5)


class BuiltInHomeserver:
    """Accounts and plain rooms in *database*, which has been migrated before.

    On many nodes, `join_cluster` is called before `start`. Then nothing that a node writes has an
    effect before it is heard: `heard` learns of every write, forgets access tokens, and calls the
    listener on every node. So what must happen once in the cluster, the owner of the user does.
    """

    def __init__(
        self, config: Config, clock: Clock, database: Database, background: Background
    ) -> None:
        self._config = config
        self._clock = clock
        self.directory = SqlDirectory(database, config.server_name, clock)
        self.identity = self.membership = self.lookups = self.directory
        self.rooms_half = SqlRoomsHalf(self.directory, background)
        self._background = background
        #: Tells what other nodes have written and not told.
        self._looking: asyncio.Task[None] | None = None
        self.everything_else = None
        self.problem = None

    async def start(self) -> None:
        await self.directory.start()

    def opened(self) -> None:
        """Do what this process or others have left undone, and go on to look on many nodes."""
        self._background.run(self._finish_deactivations())
        if self.directory.is_one_of_many():
            self._background.every(_LOOKS_EVERY, self._look)

    async def _finish_deactivations(self) -> None:
        """Make deactivated users leave their rooms, once the database and the log can be used."""
        while True:
            try:
                await self.directory.finish_deactivations()
            except (StorageUnavailable, ClusterUnavailable):
                await sleep(self._clock, _TRIES_EVERY)
            else:
                return

    def _look(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = self._background.run(self.directory.tell_untold())

    def listen(self, listener: DirectoryListener) -> None:
        self.directory.listen(listener)

    def join_cluster(self, way: WayToNodes) -> None:
        self.directory.join_cluster(way)

    def heard(self, position: StreamPosition, news: bytes) -> None:
        """Hear what a node, perhaps this one, has given to `Spread`, and that stands at *position*.

        The listener is called before it returns. The record's version says that this node can read
        the news.
        """
        self.directory.heard(position, news)

    def told_before(self, _told: Mapping[StreamPosition, bytes]) -> None:
        """All of it was stored before it was told."""

    async def kept(self, _told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        return await self.directory.kept_news()

    async def stream_lost(self) -> Sequence[bytes]:
        return await self.directory.hear_stored()

    def memberships_in(self, news: bytes) -> Sequence[MembershipChange]:
        read = decode_news(news)
        return read.memberships if isinstance(read, Written) else ()

    def tokens(self, epoch: StreamEpoch, node: str) -> Tokens:
        return Tokens(epoch, node)

    def routes(self, parts: ClientParts) -> Sequence[Route]:
        config, clock = self._config, self._clock
        rates = config.rate_limits
        # Where an operator limits nothing, nothing here is limited either.
        is_off = rates.presence is rates.login is rates.registration is None
        return client_endpoints(
            directory=self.directory,
            registration_open=config.registration == "open",
            client_address=ClientAddress(config.trusted_proxies),
            login_limiter=limiter(rates.login, clock),
            registration_limiter=limiter(rates.registration, clock),
            fan_out_limiter=limiter(None if is_off else Rate(per_second=10, burst=50), clock),
            rooms_limiter=limiter(rates.rooms, clock),
            places=parts.places,
            tokens=parts.tokens,
            acted=parts.core.intake.acted,
            unstable_features={"org.matrix.msc3026.busy_presence": config.presence.busy},
            access_log=parts.access_log,
            more=Events(self.directory, parts).routes(),
        )

    def operations(self) -> list[Operation]:
        return AdminAccounts(self.directory).operations()

    def refuse_writes(self) -> None:
        self.directory.refuse_writes()

    async def stop(self) -> None:
        """Leave the database open: others close it."""
