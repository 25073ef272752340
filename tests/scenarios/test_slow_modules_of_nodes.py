"""Modules that think for longer at one node of a cluster than at the other."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest

from lamplighter.cluster.entries import HomeserverNews
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import MembershipChange, Requester, SyncRequest
from lamplighter.presence.state import Presence
from lamplighter.web.client.long_poll import SyncQuestion
from tests.routing.callbacks import answering
from tests.routing.people import ALICE, BOB, HALL
from tests.scenarios.cluster_people import Door
from tests.service.nodes import Cluster

LAPTOP: Final = DeviceId("LAPTOP")


class Slow:
    """A callback of a module that sends nothing to anybody, and thinks while it is told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, _states: object) -> object:
        await self.may_answer.wait()
        return {}


class Land(Cluster):
    """Two nodes with a slow module each, whose homeserver lets bob join and leave the hall."""

    def __init__(self) -> None:
        super().__init__(ALICE)
        self.doors: dict[str, Door] = {}
        self.modules: dict[str, Slow] = {}
        #: The token and the beliefs of alice's client.
        self.token: str | None = None
        self.believes: dict[UserId, tuple[str, str | None]] = {}

    def hear(self, name: str, news: bytes) -> None:
        change = MembershipChange(HALL, BOB, joined=news == b"joins")
        self.nodes[name].heard_events.memberships_changed([change])

    async def begin(self) -> None:
        """Start the nodes, and let bob be online."""
        for name in "ab":
            node = await self.start(name)
            self.doors[name], self.modules[name] = Door(name, node), Slow()
            registrations = node.core.swap.prepare()
            registrations.register("Slow", self.modules[name], answering(set()))
            node.core.swap.adopt(registrations)
        await self.passes(3)
        self.nodes["b"].poll(BOB)
        await self.passes(1)

    async def bob(self, does: str) -> None:
        """Let bob join or leave the hall."""
        self.nodes["a"].core.stream.append(HomeserverNews(does.encode()))
        await self.passes(0)

    async def alice_polls(self, name: str) -> None:
        """Let alice's client poll once at a node, without waiting for news."""
        door = self.doors[name]
        since = None if self.token is None else door.tokens.read(self.token)
        question = SyncQuestion(
            since, SyncRequest(timeout=timedelta(0)), set_presence=Presence.OFFLINE
        )
        answered = door.begin(Requester(ALICE, LAPTOP), question)
        await self.passes(1)
        news = answered.result()
        self.token = door.tokens.write("1", news.position, news.told_until)
        for state in news.states:
            self.believes[UserId(state.user_id)] = (state.state, state.status_msg)

    async def alice_sets(self, message: str) -> None:
        """Let alice set a status, which is news to her own client."""
        self.nodes["b"].set(ALICE, message)
        await self.passes(0)


@pytest.fixture
async def land() -> AsyncIterator[Land]:
    """Two nodes."""
    land = Land()
    await land.begin()
    yield land
    await land.stop()


async def test_a_join_that_one_node_has_not_shown(land: Land) -> None:
    """A client that was told of something later than a join, and not yet of the member because
    modules were thinking, is told of the member at another node.
    """
    await land.alice_polls("a")
    land.modules["a"].may_answer.clear()
    await land.bob("joins")
    await land.alice_sets("later")
    await land.alice_polls("a")
    assert land.believes == {ALICE: ("online", "later")}
    await land.alice_polls("b")
    assert land.believes == {ALICE: ("online", "later"), BOB: ("online", None)}


async def test_a_leave_that_one_node_has_not_told(land: Land) -> None:
    """A client that was told of something later than a leave, and not yet of the end of visibility
    because modules were thinking, is told of the end at another node.
    """
    await land.bob("joins")
    await land.alice_polls("a")
    assert land.believes[BOB] == ("online", None)
    land.modules["a"].may_answer.clear()
    await land.bob("leaves")
    await land.alice_sets("later")
    await land.alice_polls("a")
    assert land.believes == {ALICE: ("online", "later"), BOB: ("online", None)}
    await land.alice_polls("b")
    assert land.believes == {ALICE: ("online", "later"), BOB: ("offline", None)}
