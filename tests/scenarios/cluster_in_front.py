"""A random cluster in front of a homeserver: each node asks it, and tells the others.

The homeserver sends each transaction to some node, and again to another one if it has no answer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from lamplighter.clock import Clock, Timestamp, sleep, within
from lamplighter.cluster.entries import HomeserverNews
from lamplighter.cluster.positions import at_time
from lamplighter.cluster.shared import SharedStream
from lamplighter.config import Config, parse_config_text
from lamplighter.database.memory import open_memory
from lamplighter.futures import fail, finish
from lamplighter.homeserver.upstream.homeserver import UpstreamHomeserver
from lamplighter.ids import DeviceId, RoomId, StreamPosition, UserId
from lamplighter.ports import Hearing, JoinedMember, Spread, WayToNodes
from lamplighter.routing.interest import SharedRooms
from lamplighter.service.background import Background
from lamplighter.web.client.long_poll import News
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.cluster.memory_log import Way
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SmallHomeserver
from tests.scenarios.cluster_people import Door, Person
from tests.scenarios.cluster_world import PEOPLE, RandomCluster
from tests.service.nodes import Node

__all__ = ["ClusterInFront", "config_in"]

#: The homeserver waits so long for the answer to a transaction, and sends it again after a pause.
_WAITS: Final = timedelta(seconds=30)
_PAUSE: Final = timedelta(seconds=2)
_PATIENCE: Final = timedelta(seconds=4)
#: What has ended must be known so long after nothing has failed any more, in milliseconds.
_KNOWN_AFTER: Final = 5_000


class ClusterInFront(RandomCluster):
    """A `RandomCluster` whose rooms are those of a homeserver behind the nodes."""

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed)
        self._config = config
        self._small = SmallHomeserver(self.clock)
        self._server = HttpServer(self._small, self.clock, MATRIX)
        self._pipe = Pipe(self._server)
        self._database = open_memory()
        #: The homeserver at each node, and the work that ends with the node.
        self._fronts: dict[Node, tuple[UpstreamHomeserver, Background]] = {}
        self._starting_fronts: dict[str, tuple[UpstreamHomeserver, Background]] = {}
        self._stored: dict[str, Sequence[JoinedMember]] = {}
        self._work: list[asyncio.Future[None]] = []
        #: When a transaction had no answer, or somebody did not reach the log.
        self._unsettled_at = self.clock.now()
        #: Transactions without an answer.
        self._unanswered = 0
        for user_id in PEOPLE:
            self._small.log_in(user_id.removeprefix("@").removesuffix(":demo"))

    # --- what a cluster needs -------------------------------------------------------------

    async def hearing(
        self, name: str, clock: Clock, stream: SharedStream, background: Background
    ) -> Hearing:
        settings = self._config.homeserver
        assert settings is not None
        parts = (self._config, settings, clock, self._database, background, self._pipe)
        front = UpstreamHomeserver(*parts)
        front.join_cluster(WayToNodes(_spread(stream), stream.catch_up, stream.position))
        await front.start()
        self._starting_fronts[name] = front, background
        return front

    async def told_before(self, name: str, told: Mapping[StreamPosition, bytes]) -> None:
        front, _ = self._starting_fronts[name]
        front.told_before(told)
        self._stored[name] = await front.membership.members()

    def rooms(self, name: str) -> SharedRooms:
        rooms = SharedRooms(lambda _room_id: True, None)
        for it in self._stored[name]:
            rooms.joined(it.room_id, it.user_id, at_time(Timestamp(it.since + 1)))
        return rooms

    async def start(self, name: str) -> Node:
        node = await super().start(name)
        front, _ = self._fronts[node] = self._starting_fronts[name]
        front.listen(node.heard_events)
        front.membership.opened()
        return node

    async def admit(self, person: Person, door: Door) -> None:
        front, _ = self._fronts[door.node]

        async def wait() -> None:
            await door.node.core.stream.catch_up()
            await front.membership.appeared(person.user_id)

        await within(self.clock, _PATIENCE, wait())

    # --- what happens ---------------------------------------------------------------------

    def kill(self, name: str) -> None:
        if name in self.doors:
            _, background = self._fronts[self.nodes[name]]
            super().kill(name)
            background.stop()

    def leave(self, name: str) -> None:
        door = self.doors.get(name)
        super().leave(name)
        if door is not None and name not in self.doors:
            front, background = self._fronts[door.node]
            background.stop()
            self._work.append(asyncio.ensure_future(front.membership.stop()))

    def _write(
        self, user_id: UserId, room_id: RoomId | None, joined: bool, _device_id: DeviceId
    ) -> None:
        assert room_id is not None  # nobody logs out here
        (self._small.join if joined else self._small.leave)(user_id, room_id)
        self._work.append(asyncio.ensure_future(self._send(user_id, room_id)))

    async def _send(self, user_id: UserId, room_id: RoomId) -> None:
        """Send a transaction to some node until one has answered."""
        self._unanswered += 1
        while True:
            door = self.door(self._random)
            if door is not None and not door.is_frozen:
                front, _ = self._fronts[door.node]
                taking = front.membership.transaction([(room_id, user_id)])
                with suppress(TimeoutError):
                    await within(self.clock, _WAITS, taking)
                    if not door.is_frozen:  # it is alive
                        break
            await sleep(self.clock, _PAUSE)
        self._unanswered -= 1

    async def _pass_looking(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            await self.passes(0.25)
            ways = {self.server.way, *(it.log.way for it in self.nodes.values())}
            if self._unanswered or ways != {Way.OPEN}:
                self._unsettled_at = self.clock.now()
            self._look()

    def answered(self, person: Person, news: News) -> None:
        if self._unsettled_at < person.answered_at - _KNOWN_AFTER:
            super().answered(person, news)

    async def end(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        for front, background in self._fronts.values():
            background.stop()
            await front.stop()
        await super().end()
        self._server.abort()
        await self._database.close()


def _spread(stream: SharedStream) -> Spread:
    def spread(news: bytes, /) -> "asyncio.Future[None]":
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stream.append(
            HomeserverNews(news), lambda _position: finish(heard), lambda error: fail(heard, error)
        )
        return heard

    return spread


def config_in(folder: Path) -> Config:
    """Return the configuration of nodes in front of a homeserver; its files are in *folder*."""
    registration = f"{{id: lamplighter, as_token: {AS_TOKEN}, hs_token: {HS_TOKEN}}}"
    (folder / "registration.yaml").write_text(registration)
    behind = "{url: 'http://127.0.0.1:8018', registration: registration.yaml}"
    return parse_config_text(f"server_name: demo\nhomeserver: {behind}\n", folder / "x.yaml")
