"""A viewer who goes from one node of a cluster to another misses nothing that modules decide."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest

from lamplighter.cluster.entries import HomeserverNews
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import MembershipChange, Requester, SyncRequest
from lamplighter.presence.state import Presence
from lamplighter.routing.registrations import Registrations
from lamplighter.web.client.long_poll import SyncQuestion
from tests.routing.people import ALICE, BOB, HALL
from tests.scenarios.cluster_people import Door
from tests.service.nodes import Cluster, Node
from tests.service.parts import PHONE

LAPTOP: Final = DeviceId("LAPTOP")


class Rule:
    """A module of one node: it shows alice some users, and thinks while it is told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        #: Whom it names for alice, and whose states it sends her.
        self.names: set[UserId] = set()
        self.sends: set[UserId] = set()
        #: How often it was asked whom alice may see.
        self.asked = 0

    async def users_for_states(self, states: Any) -> object:
        await self.may_answer.wait()
        return {ALICE: {it for it in states if it.user_id in self.sends}}

    async def interested_users(self, viewer: str) -> object:
        self.asked += viewer == ALICE
        return self.names if viewer == ALICE else set()

    def registered(self, node: Node) -> Registrations:
        """Return the module as it is registered at a node."""
        registrations = node.core.swap.prepare()
        registrations.register("Rule", self.users_for_states, self.interested_users)
        return registrations


class Land(Cluster):
    """Two nodes with a module each, whose homeserver lets bob join, leave and log out."""

    def __init__(self) -> None:
        super().__init__(ALICE)
        self.doors: dict[str, Door] = {}
        self.modules: dict[str, Rule] = {}
        #: The token and the beliefs of alice's client.
        self.token: str | None = None
        self.believes: dict[UserId, tuple[str, str | None]] = {}

    def hear(self, name: str, news: bytes) -> None:
        events = self.nodes[name].heard_events
        if news == b"logs out":
            events.devices_gone(BOB, [PHONE])
        else:
            change = MembershipChange(HALL, BOB, joined=news == b"joins")
            events.memberships_changed([change])

    async def begin(self) -> None:
        """Start the nodes, and let bob be online."""
        for name in "ab":
            await self.begin_one(name)
        await self.passes(3)
        self.nodes["b"].poll(BOB)
        await self.passes(1)

    async def begin_one(self, name: str) -> None:
        """Start a node with its module."""
        node = await self.start(name)
        self.doors[name], self.modules[name] = Door(name, node), Rule()
        node.core.swap.adopt(self.modules[name].registered(node))

    async def swaps(self, node: Node, module: Rule) -> None:
        """Let a node use another module; entries about it are told to all nodes."""
        swapping = asyncio.ensure_future(node.core.swap.swap(module.registered(node), lambda: None))
        await self.passes(0)
        await swapping

    async def bob(self, does: str) -> None:
        """Let bob join or leave the hall, or log out."""
        self.nodes["a"].core.stream.append(HomeserverNews(does.encode()))
        await self.passes(0)

    async def alice_polls(self, name: str, *, full_state: bool = False) -> None:
        """Let alice's client poll once at a node, without waiting for news."""
        door = self.doors[name]
        since = None if self.token is None else door.tokens.read(self.token)
        question = SyncQuestion(
            since,
            SyncRequest(timeout=timedelta(0), full_state=full_state),
            set_presence=Presence.OFFLINE,
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


async def test_somebody_who_is_named_no_more(land: Land) -> None:
    """A user whom modules named for a viewer at one node, and name no more, is hidden although the
    viewer has gone to another node.
    """
    for module in land.modules.values():
        module.names = {BOB}
    await land.alice_polls("a")
    assert land.believes[BOB] == ("online", None)
    for module in land.modules.values():
        module.names = set()
    await land.alice_polls("b")
    assert land.believes[BOB] == ("online", None)
    await land.passes(60)
    await land.alice_polls("b")
    assert land.believes[BOB] == ("offline", None)


async def test_a_viewer_who_was_away_for_long(land: Land) -> None:
    """A user whom modules ceased to name while the viewer was away is hidden, whichever node the
    viewer returns to.
    """
    land.modules["a"].names = {BOB}
    await land.alice_polls("a")
    await land.passes(180)
    land.modules["a"].names = set()
    await land.alice_polls("b")
    assert land.believes[BOB] == ("offline", None)


async def test_a_token_that_says_nothing(land: Land) -> None:
    """A client with a token that means nothing, at a node where it has not been, is told of users
    whom modules ceased to name while it was away, as with any other token.
    """
    land.modules["a"].names = {BOB}
    await land.alice_polls("a")
    await land.passes(180)
    land.modules["a"].names = set()
    land.token = "1~of another server"
    await land.alice_polls("b")
    assert land.believes[BOB] == ("offline", None)


async def test_everything_once_more(land: Land) -> None:
    """So is a client that asks for everything once more."""
    land.modules["a"].names = {BOB}
    await land.alice_polls("a")
    await land.passes(180)
    land.modules["a"].names = set()
    await land.alice_polls("b", full_state=True)
    assert land.believes[BOB] == ("offline", None)


async def test_how_often_modules_are_asked(land: Land) -> None:
    """At the node that a viewer has left the modules are asked for the viewer once more."""
    await land.alice_polls("a")
    await land.passes(180)
    assert (land.modules["a"].asked, land.modules["b"].asked) == (2, 0)


@pytest.mark.parametrize("why", ["a room", "a module"])
async def test_somebody_who_is_visible_elsewhere(land: Land, why: str) -> None:
    """A user whom modules name no more at one node, and who is visible at another, stays visible
    there.
    """
    land.modules["a"].names = {BOB}
    await land.alice_polls("a")
    land.modules["a"].names = set()
    if why == "a room":
        await land.bob("joins")
    else:
        land.modules["b"].names = {BOB}
    await land.alice_polls("b")
    await land.passes(60)
    await land.alice_polls("b")
    assert land.believes[BOB] == ("online", None)


async def test_somebody_who_went_offline_meanwhile(land: Land) -> None:
    """A user who goes offline while a node shows them to a viewer who has gone to another node is
    hidden there, too, once modules name the user no more.
    """
    land.modules["a"].names = {BOB}
    await land.alice_polls("a")
    await land.alice_polls("b")
    await land.bob("logs out")
    land.modules["a"].names = set()
    await land.passes(60)
    await land.alice_polls("b")
    assert land.believes[BOB] == ("offline", None)


@pytest.mark.parametrize("way", ["names", "sends"])
async def test_other_modules(land: Land, way: str) -> None:
    """After a reload, a user whom only the old modules showed to a viewer is hidden although the
    viewer has gone to another node.
    """
    for module in land.modules.values():
        setattr(module, way, {BOB})
    await land.alice_polls("a")
    land.nodes["b"].set(BOB, "brb")
    await land.passes(1)
    await land.alice_polls("a")
    assert land.believes[BOB] == ("online", "brb")
    for node in land.nodes.values():
        await land.swaps(node, Rule())
    await land.alice_polls("b")
    await land.passes(1)
    await land.alice_polls("b")
    assert land.believes[BOB] == ("offline", None)


async def test_a_node_that_starts_afterwards(land: Land) -> None:
    """A node that starts a moment after modules have ceased to name a user hides that user, too."""
    land.visibility.works = False  # nothing is saved yet
    land.modules["a"].names = {BOB}
    await land.alice_polls("a")
    land.modules["a"].names = set()
    await land.passes(60)
    await land.begin_one("c")
    await land.passes(1)
    await land.alice_polls("c")
    assert land.believes[BOB] == ("offline", None)


@pytest.mark.parametrize("is_there_at_once", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("way", ["names", "answers otherwise"])
async def test_a_node_that_has_died(land: Land, is_there_at_once: bool, way: str) -> None:
    """A user whom modules named for a viewer at a node that has died since, and do not name at
    another, is hidden there, whether the viewer comes before that node has noticed the death or
    after it; so it is if the viewer was at both nodes at the same time.
    """
    land.modules["a"].names = {BOB}
    if way == "answers otherwise":
        await land.alice_polls("b")
    await land.alice_polls("a")
    assert land.believes[BOB] == ("online", None)
    await land.passes(2)
    land.kill("a")
    if is_there_at_once:
        await land.alice_polls("b")
    await land.passes(7)
    await land.alice_polls("b")
    assert land.believes[BOB] == ("offline", None)


async def test_a_node_that_has_died_while_the_database_was_away(land: Land) -> None:
    """So it is once the database is there again, if it is away when the node dies."""
    land.modules["a"].names = {BOB}
    await land.alice_polls("a")
    await land.passes(2)
    land.visibility.answers = False
    land.kill("a")
    await land.passes(7)
    await land.alice_polls("b")
    assert land.believes[BOB] == ("online", None)
    land.visibility.answers = True
    await land.passes(3)
    await land.alice_polls("b")
    assert land.believes[BOB] == ("offline", None)
