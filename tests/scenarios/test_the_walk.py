"""How long the walk of a change is, by count: `walk.py` prints it."""

from collections import Counter

import pytest

from bench.clients import CLIENTS, NIO
from lamplighter.cluster.log import ToldToAll
from lamplighter.cluster.shared import SharedStream
from tests.database.statements import traced_statements
from tests.routing.people import ALICE, BOB, CHARLIE, DORA
from tests.scenarios.walk import Watched, calls_for_one_more, counted_calls, in_python, watched
from tests.scenarios.walk_in_front import watched_in_front
from tests.service.counting import counted_tasks
from tests.service.nodes import Cluster

#: What is done once for all who are told the same, and not for each.
ONCE = {
    "PresenceEncoder.encode",
    "PresenceEncoder._encode",
    "presence_event",
    "SyncBodies._write",
    "Heads.json",
    "Tokens.read",
    "Tokens.write",
    "RequestTarget.of",
    "Background.run",
    "PresenceTracker.feed",
}
#: Calls of functions in Python for a delivery and the poll that follows it.
BUDGET = 55
#: Of a client whose polls say `online`, it is seen each time whether that is news.
ONLINE_BUDGET = 57
#: What is added to each in front of a homeserver.
MORE_IN_FRONT = 2
#: The same for a poll whose time is over: its connection to the homeserver has a time limit.
MORE_WHILE_IDLE = 9
#: Calls for a change on a node that has no watcher for it.
NODE_BUDGET = 39


@pytest.mark.parametrize("name", CLIENTS)
async def test_one_more_watcher(name: str) -> None:
    """One more watcher of a change, with the poll that follows, takes few calls of functions; what
    is said to all alike is read and written once, and no task is started for it.
    """
    calls = await calls_for_one_more(CLIENTS[name], Watched.change_and_poll)
    assert in_python(calls) <= (ONLINE_BUDGET if CLIENTS[name] is NIO else BUDGET)
    assert ONCE.isdisjoint(calls)


@pytest.mark.parametrize("name", [name for name, kind in CLIENTS.items() if kind is not NIO])
async def test_one_more_idle_poll(name: str) -> None:
    """So does a poll whose time is over, with the poll that follows it. Polls that say `online` are
    never idle.
    """
    calls = await calls_for_one_more(CLIENTS[name], Watched.idle_turn)
    assert in_python(calls) <= BUDGET
    assert ONCE.isdisjoint(calls)


@pytest.mark.parametrize("name", CLIENTS)
async def test_one_more_watcher_in_front(name: str) -> None:
    """In front of a homeserver it takes hardly more: the poll is attached to a request there."""
    calls = await calls_for_one_more(CLIENTS[name], Watched.change_and_poll, watched_in_front)
    budget = ONLINE_BUDGET if CLIENTS[name] is NIO else BUDGET
    assert in_python(calls) <= budget + MORE_IN_FRONT
    assert ONCE.isdisjoint(calls)


@pytest.mark.parametrize("name", [name for name, kind in CLIENTS.items() if kind is not NIO])
async def test_one_more_idle_poll_in_front(name: str) -> None:
    """So does a poll whose time is over."""
    calls = await calls_for_one_more(CLIENTS[name], Watched.idle_turn, watched_in_front)
    assert in_python(calls) <= BUDGET + MORE_WHILE_IDLE
    assert ONCE.isdisjoint(calls)


async def test_tasks_and_statements() -> None:
    """However many watch: one change starts the same tasks, and runs one statement."""
    work = []
    for watchers in (1, 30):
        with traced_statements() as statements:
            async with watched(CLIENTS["element"], watchers) as world:
                statements.clear()
                with counted_tasks() as tasks:
                    await world.change_and_poll()
                work.append((tasks, [statement.split()[0] for statement in statements]))
    assert work[0] == work[1]
    assert work[0][1] == ["INSERT"]


async def test_a_change_on_a_node_without_watchers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that has no watcher for a change of another node's user calls few functions."""
    take_in, seen = SharedStream.take_in, list[Counter[str]]()

    def counting(stream: SharedStream, record: ToldToAll) -> None:
        with counted_calls() as calls:
            take_in(stream, record)
        if stream is other.core.stream:
            seen.append(calls)

    cluster = Cluster(ALICE, BOB)
    owner, other = await cluster.start("a"), await cluster.start("b")
    await cluster.passes(2)
    user_id = next(it for it in (ALICE, BOB, CHARLIE, DORA) if owner.owns(it))
    owner.set(user_id, "one")
    await cluster.passes(1)
    monkeypatch.setattr(SharedStream, "take_in", counting)
    owner.set(user_id, "two")
    await cluster.passes(1)
    assert other.knows(user_id) == ("online", "two")
    [calls] = (it for it in seen if it["Announcing.changed"])
    assert in_python(calls) <= NODE_BUDGET
    await cluster.stop()
