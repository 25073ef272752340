"""What a node says to other nodes."""

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from lamplighter.cluster.log import Lease, NodeName
from lamplighter.cluster.wire import EventTaken, Outcome, decode_message
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import LogUnreachable
from lamplighter.service.background import Background
from lamplighter.service.node_messages import NodeMessages
from tests.cluster.memory_log import LogServer, MemoryLog

A, A_AGAIN = Lease(NodeName("a"), 1), Lease(NodeName("a"), 2)
B, C = Lease(NodeName("b"), 3), Lease(NodeName("c"), 4)


class SlowLog(MemoryLog):
    """A log that answers when a test says so, and notes what is said."""

    def __init__(self) -> None:
        super().__init__(LogServer(FakeClock()))
        self.said: list[tuple[Lease, Lease, list[int]]] = []
        self.answers: list[asyncio.Future[bool]] = []

    async def say(self, lease: Lease, to: Lease, payloads: Sequence[bytes]) -> bool:
        read = [decode_message(it) for it in payloads]
        numbers = [it.number for it in read if isinstance(it, EventTaken)]
        self.said.append((lease, to, numbers))
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


class World:
    """The messages of node a."""

    def __init__(self) -> None:
        self.log = SlowLog()
        self.messages = NodeMessages(self.log, Background(FakeClock()))
        self.unheard: list[Lease] = []
        self.messages.unheard = self.unheard.append
        self.messages.begin(A)

    async def send(self, to: Lease, *numbers: int) -> None:
        """Send messages with these numbers."""
        for number in numbers:
            self.messages.send(to, EventTaken(number, Outcome.DONE))
        await turns_until_idle()

    async def answer(self, answer: bool | Exception) -> None:
        """Let the log answer the last question."""
        if isinstance(answer, Exception):
            self.log.answers[-1].set_exception(answer)
        else:
            self.log.answers[-1].set_result(answer)
        await turns_until_idle()

    def said(self) -> list[tuple[Lease, Lease, list[int]]]:
        """Return who has said which numbers to whom, since the last time."""
        said, self.log.said = self.log.said, []
        return said


@pytest.fixture
async def world() -> World:
    """A node with a lease."""
    return World()


async def test_many_at_once(world: World) -> None:
    """What is sent to a node in one cycle is said together; what is sent meanwhile comes next."""
    await world.send(B, 1, 2)
    await world.send(C, 3)
    await world.send(B, 4, 5)
    assert world.said() == [(A, B, [1, 2]), (A, C, [3])]
    world.log.answers[0].set_result(True)
    await turns_until_idle()
    assert world.said() == [(A, B, [4, 5])]
    await world.answer(True)
    await world.send(B, 6)
    assert (world.said(), world.unheard) == ([(A, B, [6])], [])


@pytest.mark.parametrize("answer", [False, LogUnreachable("no answer")])
async def test_a_node_that_does_not_hear(world: World, answer: bool | Exception) -> None:
    """If a node is dead or cannot be reached, whoever has sent learns so. What was sent meanwhile
    is lost, and what is sent later is said.
    """
    await world.send(B, 1)
    await world.send(B, 2)
    await world.answer(answer)
    assert world.unheard == [B]
    await world.send(B, 3)
    assert world.said() == [(A, B, [1]), (A, B, [3])]


async def test_without_a_lease(world: World) -> None:
    """A node without a lease says nothing, also not what it was about to say."""
    await world.send(B, 1)
    await world.send(B, 2)
    world.messages.end()
    await world.answer(True)
    await world.send(B, 3)
    assert (world.said(), world.unheard) == ([(A, B, [1])], [])


async def test_the_next_lease(world: World) -> None:
    """What is sent with the next lease is said with that one; what becomes of a message that was
    said with the last one is nothing to it.
    """
    await world.send(B, 1)
    first = world.log.answers[-1]
    world.messages.end()
    world.messages.begin(A_AGAIN)
    await world.send(B, 2)
    await world.send(B, 3)
    first.set_exception(LogUnreachable("no answer"))
    await turns_until_idle()
    assert world.said() == [(A, B, [1]), (A_AGAIN, B, [2])]
    await world.answer(True)
    assert (world.said(), world.unheard) == ([(A_AGAIN, B, [3])], [])


async def test_a_lease_that_ends_at_once(world: World) -> None:
    """What was sent and not said when a lease ends is not said with the next one."""
    world.messages.send(B, EventTaken(1, Outcome.DONE))
    world.messages.end()
    world.messages.begin(A_AGAIN)
    await world.send(B, 2)
    assert world.said() == [(A_AGAIN, B, [2])]


async def test_a_failure(world: World) -> None:
    """Whatever fails, later messages are said."""
    await world.send(B, 1)
    with capture_logs() as logs:
        await world.answer(ZeroDivisionError())
    assert [it["event"] for it in logs] == ["background work failed"]
    await world.send(B, 2)
    assert world.said() == [(A, B, [1]), (A, B, [2])]
