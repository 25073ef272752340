"""Nodes in front of one homeserver: what each knows of what the others have found out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lamplighter.clock import Timestamp
from lamplighter.cluster.positions import RECORD, at_time
from lamplighter.config import Config, parse_config_text
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.homeserver.upstream.homeserver import UpstreamHomeserver
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import JoinedMember, MembershipChange, WayToNodes
from lamplighter.service.background import Background
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.contract.directories import Recorder
from tests.database.trouble import forbid_writing
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SmallHomeserver

LOBBY = RoomId("!lobby:demo")
ALICE, BOB, CAROL = UserId("@alice:demo"), UserId("@bob:demo"), UserId("@carol:demo")
BOB_LEAVES = MembershipChange(LOBBY, BOB, joined=False)
BOB_JOINS = MembershipChange(LOBBY, BOB, joined=True)


@dataclass
class Fronts:
    """The homeserver, the nodes before it, their database and their stream."""

    config: Config
    clock: FakeClock
    database: Database
    small: SmallHomeserver
    pipe: Pipe
    background: Background
    told: dict[StreamPosition, bytes] = field(default_factory=dict)
    nodes: list[UpstreamHomeserver] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)

    @property
    def end(self) -> StreamPosition:
        """The position of what was told last."""
        return max(self.told, default=at_time(Timestamp(1_000)))

    async def start(self) -> UpstreamHomeserver:
        """Start a node, which reads the database."""
        settings = self.config.homeserver
        assert settings is not None
        parts = (self.config, settings, self.clock, self.database, self.background)
        node, recorder = UpstreamHomeserver(*parts, self.pipe), Recorder()
        node.join_cluster(WayToNodes(self.spread, _caught_up, self.end))
        await node.start()
        node.listen(recorder)
        self.nodes.append(node)
        self.recorders.append(recorder)
        return node

    async def spread(self, news: bytes) -> None:
        """Let every node hear *news*."""
        position = StreamPosition(self.end + RECORD)
        self.told[position] = news
        for node in self.nodes:
            node.heard(position, news)

    async def change(self, node: UpstreamHomeserver, *changes: MembershipChange) -> None:
        """Let joins and leaves happen, and a node find them out."""
        for it in changes:
            (self.small.join if it.joined else self.small.leave)(it.user_id, it.room_id)
        await node.membership.hear([LOBBY])
        await turns_until_idle()


async def _caught_up() -> None:
    """Every node has heard everything."""


@pytest.fixture
async def fronts(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Fronts]:
    """One node, and a room with alice and bob, of whom it knows."""
    registration = f"{{id: lamplighter, as_token: {AS_TOKEN}, hs_token: {HS_TOKEN}}}"
    (tmp_path / "registration.yaml").write_text(registration)
    behind = "{url: 'http://127.0.0.1:8018', registration: registration.yaml}"
    config = parse_config_text(f"server_name: demo\nhomeserver: {behind}\n", tmp_path / "x.yaml")
    small = SmallHomeserver(clock)
    server = HttpServer(small, clock, MATRIX)
    database = open_memory()
    await migrate(database)
    background = Background(clock)
    fronts = Fronts(config, clock, database, small, Pipe(server), background)
    alice_joins = MembershipChange(LOBBY, ALICE, joined=True)
    await fronts.change(await fronts.start(), alice_joins, BOB_JOINS)
    yield fronts
    background.stop()
    for node in fronts.nodes:
        await node.stop()
    server.abort()
    await database.close()


async def test_what_was_told_and_is_not_stored(fronts: Fronts) -> None:
    """A node that starts believes what the stream has told shortly before, stored or not, as of
    when it was told.
    """
    [node] = fronts.nodes
    await forbid_writing(fronts.database)
    await fronts.change(node, BOB_LEAVES, MembershipChange(LOBBY, CAROL, joined=True))
    starting = await fronts.start()
    stored = [it.user_id for it in await starting.membership.members()]
    starting.told_before(fronts.told)
    joined = [JoinedMember(LOBBY, it, Timestamp(1_000)) for it in (ALICE, CAROL)]
    assert stored == [ALICE, BOB]
    assert await starting.membership.members() == joined
    assert await starting.membership.joined_rooms(BOB) == []
    assert [it.memberships for it in fronts.recorders[1:]] == [[]]


async def test_what_is_kept(fronts: Fronts) -> None:
    """What the database and the stream have of what was told is put together, in its order."""
    [node] = fronts.nodes
    await fronts.change(node, BOB_LEAVES)
    await forbid_writing(fronts.database)
    await fronts.change(node, BOB_JOINS)
    kept = [node.memberships_in(it) for it in await node.kept({})]
    assert kept[1:] == [[BOB_LEAVES]]
    last = max(fronts.told)
    kept = [node.memberships_in(it) for it in await node.kept({last: fronts.told[last]})]
    assert kept[1:] == [[BOB_LEAVES], [BOB_JOINS]]
    assert await node.kept(fronts.told) == list(fronts.told.values())


async def test_the_stream_has_lost_what_was_told(fronts: Fronts) -> None:
    """What a node had not heard before the stream lost it, it hears from the database: once, and
    though the homeserver does not answer.
    """
    a, b = *fronts.nodes, await fronts.start()
    fronts.nodes = [a]
    await fronts.change(a, BOB_LEAVES)
    fronts.pipe.cut()
    fronts.recorders[0].forget()
    for node in (a, b, b):
        await node.stream_lost()
    assert [it.memberships for it in fronts.recorders] == [[], [BOB_LEAVES]]
    assert await b.membership.joined_rooms(BOB) == []
    fronts.nodes = [a, b]
