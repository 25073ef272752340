"""The batches from before the operator opened the page."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import Self
from lamplighter.service.witness import Published
from lamplighter.web.admin.changes import RecentBatches
from tests.web.admin.operator import ADMIN_CONFIG, Operator, by_room, online

ROUTER = "CustomPresenceRouter"
CONFIG = f"""
{ADMIN_CONFIG}
modules:
  - module: lamplighter_examples.custom_presence_router.{ROUTER}
    config: {{shows: {{"@alice:demo": ["@bob:demo"]}}}}
"""


@pytest.fixture
async def server() -> AsyncIterator[InMemoryServer]:
    """Alice, to whom a module shows bob, and who shares a room with carl; all have synced."""
    async with running_server(config=CONFIG) as server:
        alice, bob, carl = [await server.register(name) for name in ("alice", "bob", "carl")]
        await alice.join(await carl.create_room(name="The hall"))
        for client in (alice, bob, carl):
            await client.sync(set_presence="offline")
        await bob.set_status("online", "one")
        await carl.set_status("online", "two")
        await server.settled()
        yield server


def told(answer: Any) -> list[Any]:
    """Return the changed users, and the recipients of each user's state, of each batch."""
    return [
        (
            [(it["user_id"], it["presence"]["status_msg"]) for it in batch["changes"]],
            [
                (it["user_id"], sorted(to["viewer"] for to in it["recipients"]))
                for it in batch["tellings"]
            ],
        )
        for batch in answer["batches"]
    ]


BOB = ([("@bob:demo", "one")], [("@bob:demo", ["@alice:demo", "@bob:demo"])])
CARL = ([("@carl:demo", "two")], [("@carl:demo", ["@alice:demo", "@carl:demo"])])


async def test_the_last_batches(server: InMemoryServer, operator: Operator) -> None:
    """The newest batch comes first, with recipients and reasons as in the stream."""
    answer = await operator.get("/changes")
    carl, bob = answer["batches"][:2]
    assert told(answer)[:2] == [CARL, BOB]
    [telling] = bob["tellings"]
    reasons = {it["viewer"]: it["reasons"] for it in telling["recipients"]}
    assert reasons["@alice:demo"] == [
        {"kind": "module", "text": f"module {ROUTER}", "room": None, "module": ROUTER}
    ]
    [telling] = carl["tellings"]
    reasons = {it["viewer"]: it["reasons"] for it in telling["recipients"]}
    [reason] = reasons["@alice:demo"]
    assert reason == by_room(reason["room"]["room_id"], "The hall")
    assert bob["changes"][0]["presence"] == online(server.clock.now(), "one")
    assert len((await operator.get("/changes", limit="1"))["batches"]) == 1


async def test_of_one_user(operator: Operator) -> None:
    """`user`, which may be a localpart, selects the states of one user."""
    answer = await operator.get("/changes", user="bob")
    [(changes, tellings)] = told(answer)
    assert changes == BOB[0]
    assert {user_id for user_id, _ in tellings} == {"@bob:demo"}
    assert await operator.get("/changes", user="nobody") == {"batches": []}


async def test_by_one_module(operator: Operator) -> None:
    """`module` selects the states that one module has sent, with their recipients."""
    [(changes, tellings)] = told(await operator.get("/changes", module=ROUTER))
    assert (changes, tellings) == (BOB[0], [("@bob:demo", ["@alice:demo"])])
    assert await operator.get("/changes", module="Another") == {"batches": []}


async def test_bad_questions(operator: Operator) -> None:
    """A malformed user ID and a wrong limit are refused."""
    for query in ({"user": "b b"}, {"limit": "0"}, {"limit": "1001"}):
        response = await operator.request("GET", "/changes", query)
        assert (response.status, response.json["errcode"]) == (400, "M_INVALID_PARAM")


class Publishing:
    """Batches that are observed and remembered."""

    def __init__(self) -> None:
        self.recent = RecentBatches(self.observe)

    def observe(self, observer: Callable[[Published], None]) -> Callable[[], None]:
        self.observer = observer
        return lambda: None

    def publish(self, number: int, recipients: int) -> None:
        """Publish a batch with this number of recipients."""
        told = {UserId(f"@user{it}:demo"): (Self(),) for it in range(recipients)}
        delivery = Delivery(UserPresenceState.default("@bob:demo"), dict(told))
        self.observer(Published(StreamPosition(number), (), [delivery]))

    @property
    def positions(self) -> list[int]:
        """The positions of the batches that are remembered."""
        return [it.position for it in self.recent.newest_first()]


def test_the_newest_batches() -> None:
    """The last 200 batches are remembered, the newest first."""
    publishing = Publishing()
    for number in range(300):
        publishing.publish(number, recipients=1)
    assert publishing.positions == list(range(299, 99, -1))


def test_many_recipients() -> None:
    """Of batches with many recipients fewer are remembered, but always the newest one."""
    publishing = Publishing()
    for number in range(10):
        publishing.publish(number, recipients=5_000)
    assert publishing.positions == [9, 8, 7, 6]
    for number, recipients in ((10, 30_000), (11, 1)):
        publishing.publish(number, recipients)
        assert publishing.positions == [number]
