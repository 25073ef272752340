"""Nodes of one cluster: events find their owners, and changes reach every node."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from lamplighter.clock import next_turn
from lamplighter.cluster.partitions import ALL_PARTITIONS, partition_of
from lamplighter.errors import ClusterUnavailable, LeaseLost, StorageUnavailable
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.ports import Requester
from lamplighter.presence.events import Syncing
from lamplighter.presence.state import Presence
from lamplighter.service.witness import Published
from tests.cluster.memory_log import Way
from tests.routing.callbacks import answering
from tests.routing.people import ALICE, BOB
from tests.service.nodes import Cluster
from tests.service.parts import PHONE


async def test_a_status_reaches_every_node(cluster: Cluster) -> None:
    """A status that is set at one node is in the outboxes of every node, and saved once."""
    a, b = cluster.nodes.values()
    a.core.feed.open(ALICE)
    b.core.feed.open(ALICE)
    for node, message in ((a, "at a"), (b, "at b")):
        saving = node.set(BOB, message)
        await cluster.passes(0)
        assert saving.done()
        assert saving.exception() is None
        assert [it.sees(ALICE, BOB) for it in (a, b)] == [("online", message)] * 2
    assert cluster.store.messages == [{BOB: "at a"}, {BOB: "at b"}]


@pytest.mark.parametrize("cycles", range(6))
async def test_a_poll_before_a_status(cluster: Cluster, cycles: int) -> None:
    """A status is kept, however soon it follows on a poll, while an earlier change is on its way.

    What the poll says differs in nothing that is announced, and is told before the status or not
    at all: no node goes back to how the user was before the status.
    """
    owner = cluster.owner_of(BOB)
    neighbour = next(it for number in range(200) if owner.owns(it := UserId(f"@user{number}:demo")))
    owner.poll(BOB)
    await cluster.passes(30)
    owner.set(neighbour, "on its way")
    for _ in range(cycles):
        await next_turn()
    owner.core.intake.accept(Syncing(BOB, DeviceId("LAPTOP"), Presence.ONLINE))
    for _ in range(cycles):
        await next_turn()
    owner.set(BOB, "kept")
    await cluster.passes(1)
    assert [it.knows(BOB) for it in cluster.nodes.values()] == [("online", "kept")] * 2


async def test_nobody_knows_what_was_told(cluster: Cluster) -> None:
    """Where every node dies, and the log loses its data, a token from before is answered in full:
    of a user who was online by a change that nobody had saved yet, the client hears `offline`.
    """
    cluster.store.works = False
    a = cluster.nodes["a"]
    a.poll(BOB)
    await cluster.passes(1)
    before = await a.core.reader.read_first(ALICE)
    for name in ("a", "b"):
        cluster.kill(name)
    cluster.server.lose_data()
    cluster.store.works = True
    c = await cluster.start("c")
    await cluster.passes(1)
    after = await c.core.reader.read_since(ALICE, before.position)
    told = [{it.state.user_id: it.state.state for it in seen.updates} for seen in (before, after)]
    assert told == [{ALICE: "offline", BOB: "online"}, {ALICE: "offline", BOB: "offline"}]


async def test_a_join_that_was_stored_and_not_told(cluster: Cluster) -> None:
    """Where every node dies, and the log loses its data, a viewer is told of a member whose join
    was stored before the viewer's token, and told to nobody.
    """
    cluster.people = (ALICE,)
    for name in ("a", "b"):
        cluster.kill(name)
    await cluster.passes(6)
    a = await cluster.start("a")
    await cluster.passes(1)
    a.poll(BOB)
    await cluster.passes(1)
    before = await a.core.reader.read_first(ALICE)
    cluster.kill("a")
    cluster.server.lose_data()
    cluster.people = (ALICE, BOB)
    c = await cluster.start("c")
    await cluster.passes(1)
    after = await c.core.reader.read_since(ALICE, before.position)
    told = [{it.state.user_id: it.state.state for it in seen.updates} for seen in (before, after)]
    assert told == [{ALICE: "offline"}, {ALICE: "offline", BOB: "online"}]


async def test_a_server_that_sends_a_request(cluster: Cluster) -> None:
    """The node that sends to a server learns that the server has sent a request to another one."""
    server = ServerName("two.example")
    a, b = cluster.nodes.values()
    sender = a if a.owners.owns_partition(partition_of(server)) else b
    for node in (a, b):
        node.owners.pass_on(server)
    await cluster.passes(1)
    heard = [it.outgoing.heard for it in (sender, cluster.other_than(sender))]
    assert heard == [[server], []]


async def test_every_user_has_one_owner(cluster: Cluster) -> None:
    """Both nodes own some users, no user has two owners, and a node that comes gets its share."""
    users = [UserId(f"@user{number}:demo") for number in range(200)]

    def owners() -> list[list[str]]:
        return [[name for name, it in cluster.nodes.items() if it.owns(user)] for user in users]

    assert {name for [name] in owners()} == {"a", "b"}
    await cluster.start("c")
    await cluster.passes(3)
    assert {name for [name] in owners()} == {"a", "b", "c"}


async def test_the_owner_dies(cluster: Cluster) -> None:
    """A killed owner's users have another owner within 5 s, who knows their statuses.

    A user whose client polls at a living node is never shown offline.
    """
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    other.core.feed.open(ALICE)
    other.poll(BOB)
    owner.set(BOB, "brb")
    await cluster.passes(1)
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    saving = other.set(BOB, "back")
    await cluster.passes(5)
    assert other.owns(BOB)
    assert saving.done()
    assert saving.exception() is None
    assert other.sees(ALICE, BOB) == ("online", "back")
    await cluster.passes(60)
    assert other.sees(ALICE, BOB) == ("online", "back")


async def test_clients_of_a_dead_node(cluster: Cluster) -> None:
    """Who polled at a node that died is offline once the grace is over, and not before."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    owner.core.feed.open(ALICE)
    other.poll(BOB)
    await cluster.passes(1)
    assert owner.sees(ALICE, BOB) == ("online", None)
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is other))
    await cluster.passes(25)
    assert owner.sees(ALICE, BOB) == ("online", None)
    await cluster.passes(15)
    assert owner.sees(ALICE, BOB) == ("offline", None)


async def test_two_devices_on_two_nodes(cluster: Cluster) -> None:
    """The polls of one user at several nodes are one user's: the last to end counts."""
    a, b = cluster.nodes.values()
    a.core.feed.open(ALICE)
    polls = [it.core.connections.begin(Requester(BOB, PHONE), Presence.ONLINE) for it in (a, b)]
    await cluster.passes(1)
    a.core.connections.end(polls[0], cluster.clock.now())
    await cluster.passes(60)
    assert a.sees(ALICE, BOB) == ("online", None)
    b.core.connections.end(polls[1], cluster.clock.now())
    await cluster.passes(40)
    assert a.sees(ALICE, BOB) == ("offline", None)


async def test_a_node_leaves(cluster: Cluster) -> None:
    """A node that leaves hands its users over at once, and nobody is shown otherwise meanwhile."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    told: list[Published] = []
    other.core.witnesses.observe(told.append)
    other.core.feed.open(ALICE)
    other.poll(BOB)
    await cluster.passes(1)
    del told[:]
    leaving = asyncio.ensure_future(owner.node.leave())
    await cluster.passes(0)
    assert leaving.done()
    assert other.owns(BOB)
    del cluster.nodes[next(name for name, it in cluster.nodes.items() if it is owner)]
    await cluster.passes(60)
    assert {state.state for it in told for state in it.states} == {"online"}
    other.set(BOB, "still here")
    await cluster.passes(0)
    assert other.sees(ALICE, BOB) == ("online", "still here")


async def test_cut_off(cluster: Cluster) -> None:
    """A node that does not reach the log refuses writes and reads, and comes back by itself."""
    a, b = cluster.nodes.values()
    a.core.feed.open(ALICE)
    a.set(BOB, "before")
    await cluster.passes(1)
    b.log.way = Way.CLOSED
    saving, reading = b.set(BOB, "lost"), asyncio.ensure_future(b.core.reader.status(ALICE, BOB))
    await cluster.passes(6)
    assert isinstance(saving.exception(), ClusterUnavailable)
    assert isinstance(reading.exception(), ClusterUnavailable)
    assert a.owns(BOB)
    assert a.sees(ALICE, BOB) == ("online", "before")
    b.log.way = Way.OPEN
    await cluster.passes(4)
    saving = b.set(BOB, "again")
    await cluster.passes(0)
    assert saving.exception() is None
    assert [it.knows(BOB) for it in (a, b)] == [("online", "again")] * 2


async def test_a_new_lease(cluster: Cluster) -> None:
    """A node that gets another lease says again who polls there: nobody of them goes offline.

    It still knows who owns whom.
    """
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    owner.core.feed.open(ALICE)
    other.poll(BOB)
    await cluster.passes(1)
    other.holder.fail(LeaseLost("a record was not written"))
    saving = other.set(BOB, "still here")
    await cluster.passes(2)
    assert saving.exception() is None
    await cluster.passes(60)
    assert owner.sees(ALICE, BOB) == ("online", "still here")


async def test_a_device_that_a_late_node_names(cluster: Cluster) -> None:
    """A node that names a device after its log-out, and hears of that later, takes it back."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    owner.core.feed.open(ALICE)
    owner.heard_events.devices_gone(BOB, [PHONE])
    other.poll(BOB)
    await cluster.passes(1)
    assert owner.sees(ALICE, BOB) == ("online", None)
    other.heard_events.devices_gone(BOB, [PHONE])
    await cluster.passes(40)
    assert owner.sees(ALICE, BOB) == ("offline", None)


async def test_the_log_loses_its_data(cluster: Cluster) -> None:
    """After a loss of the log's data all nodes join again, and go on with what they know."""
    a, b = cluster.nodes.values()
    a.core.feed.open(ALICE)
    a.poll(BOB)
    a.set(BOB, "before")
    await cluster.passes(1)
    position = a.core.feed.position
    cluster.server.lose_data()
    await cluster.passes(8)
    assert [it.knows(BOB) for it in (a, b)] == [("online", "before")] * 2
    assert sorted(cluster.told_of_loss) == ["a", "b"]
    b.set(BOB, "after")
    await cluster.passes(0)
    assert [it.knows(BOB) for it in (a, b)] == [("online", "after")] * 2
    assert a.core.feed.position > position
    assert [a.ended, b.ended] == [[], []]


async def test_what_a_node_has_missed_is_lost(cluster: Cluster) -> None:
    """A node that had not read what the log has lost knows it from the database, before it answers.

    What it knew before is told to nobody: a viewer may have seen what followed.
    """
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    owner.set(BOB, "before")
    await cluster.passes(1)
    for node in (owner, other):
        node.core.feed.open(ALICE)
    position = other.core.feed.position
    other.log.way = Way.CLOSED
    saving = owner.set(BOB, "acknowledged")
    await cluster.passes(1)
    assert saving.done()
    assert other.knows(BOB) == ("online", "before")
    cluster.server.lose_data()
    owner.log.way, other.log.way = Way.CLOSED, Way.OPEN
    while other.holder.standing.birth == owner.holder.standing.birth:
        await cluster.passes(0.25)
    reading = asyncio.ensure_future(other.core.reader.read_since(ALICE, position))
    await cluster.passes(1)
    answer = await reading
    assert [it.state.status_msg for it in answer.updates] == ["acknowledged"]
    owner.log.way = Way.OPEN
    for _ in range(20):
        await cluster.passes(0.25)
        told = {node.sees(ALICE, BOB) for node in (owner, other)}
        assert told <= {("nothing", None), ("online", "acknowledged")}


async def test_what_a_node_has_missed_is_altered(cluster: Cluster) -> None:
    """What a node reads from the database after a loss is told only as modules alter it."""

    async def hide_message(states: Any) -> object:
        return {ALICE: {it.copy_and_replace(status_msg=None) for it in states}}

    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    for node in (owner, other):
        registrations = node.core.swap.prepare()
        registrations.register("Hides", hide_message, answering(set()))
        node.core.swap.adopt(registrations)
        node.core.feed.open(ALICE)
    told: list[str | None] = []

    def note(published: Published) -> None:
        told.extend(it.state.status_msg for it in published.deliveries if ALICE in it.recipients)

    other.core.witnesses.observe(note)
    position = other.core.feed.position
    other.log.way = Way.CLOSED
    saving = owner.set(BOB, "hidden")
    await cluster.passes(1)
    assert saving.done()
    cluster.server.lose_data()
    other.log.way = Way.OPEN
    await cluster.passes(5)
    assert other.knows(BOB) == ("online", "hidden")
    assert set(told) <= {None}
    reading = asyncio.ensure_future(other.core.reader.read_since(ALICE, position))
    await cluster.passes(1)
    assert [it.state.status_msg for it in (await reading).updates] == [None]


async def test_the_database_is_away_when_the_log_is_lost(cluster: Cluster) -> None:
    """A node gets no lease in a log that has lost its data before the database has answered."""
    a, b = cluster.nodes.values()
    cluster.store.answers = False
    cluster.server.lose_data()
    await cluster.passes(5)
    assert [it.holder.lease for it in (a, b)] == [None, None]
    cluster.store.answers = True
    await cluster.passes(5)
    assert None not in [it.holder.lease for it in (a, b)]
    assert cluster.owner_of(BOB) in (a, b)


async def test_a_status_while_the_log_loses_its_data(cluster: Cluster) -> None:
    """A status that is decided right when the log loses its data is told after the loss, although
    what was told last before it is told again.
    """
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    owner.core.feed.open(ALICE)
    owner.set(BOB, "before")
    await cluster.passes(1)
    cluster.server.lose_data()
    owner.set(BOB, "meanwhile")
    await cluster.passes(3)
    assert [it.knows(BOB) for it in (owner, other)] == [("online", "meanwhile")] * 2
    assert owner.sees(ALICE, BOB) == ("online", "meanwhile")


@pytest.mark.parametrize("set_back", [0, 60], ids=["same millisecond", "clock set back"])
async def test_a_fresh_node_begins_a_lost_log(cluster: Cluster, set_back: int) -> None:
    """If a node that starts begins the lost log again, and does not know how far the others have
    read, the others go on with it all the same.
    """
    a, b = cluster.nodes.values()
    a.core.feed.open(ALICE)
    a.poll(BOB)
    a.set(BOB, "before")
    await cluster.passes(0)
    position = a.core.feed.position
    cluster.server.lose_data()
    cluster.server.set_clock_back(timedelta(seconds=set_back))
    c = await cluster.start("c")
    c.set(BOB, "first")
    await cluster.passes(8)
    nodes = (a, b, c)
    for message, node in zip("abc", nodes, strict=True):
        saving = node.set(BOB, message)
        await cluster.passes(1)
        assert saving.done()
        assert saving.exception() is None
        assert [it.knows(BOB) for it in nodes] == [("online", message)] * 3
        assert a.core.feed.position > position
        position = a.core.feed.position
    assert [it.ended for it in nodes] == [[], [], []]
    assert len({it.owns(BOB) for it in nodes}) == 2
    users = [UserId(f"@user{number}:demo") for number in range(200)]
    for user in users:
        assert [it.owns(user) for it in nodes].count(True) == 1
    savings = [a.set(user, "x") for user in users]
    await cluster.passes(2)
    assert [it.exception() for it in savings] == [None] * 200


async def test_the_database_is_away(cluster: Cluster) -> None:
    """While nothing can be saved, a status is refused before anybody is told, at any node: the
    first one, too. Only a status that comes right after a save is told before the owner knows.
    """
    a, b = cluster.nodes.values()
    a.core.feed.open(ALICE)
    a.set(BOB, "before")
    await cluster.passes(2)
    cluster.store.works = False
    for node in (a, b):
        saving = node.set(BOB, "refused")
        await cluster.passes(0)
        assert isinstance(saving.exception(), StorageUnavailable)
    assert a.sees(ALICE, BOB) == ("online", "before")
    cluster.store.works = True
    saving = b.set(BOB, "after")
    await cluster.passes(1)
    assert saving.exception() is None
    assert a.sees(ALICE, BOB) == ("online", "after")
    cluster.store.works = False
    for message in ("told", "refused"):
        saving = a.set(BOB, message)
        await cluster.passes(0)
        assert isinstance(saving.exception(), StorageUnavailable)
    assert a.sees(ALICE, BOB) == ("online", "told")


async def test_a_lost_lease_is_soon_replaced(cluster: Cluster) -> None:
    """A node that has lost its lease only gets another: a read waits for that, and no poll ends."""
    a, b = cluster.nodes.values()
    a.core.feed.open(ALICE)
    a.set(BOB, "before")
    await cluster.passes(1)
    b.holder.fail(LeaseLost("a record could not be written"))
    reading = asyncio.ensure_future(b.core.reader.status(ALICE, BOB))
    await cluster.passes(0)
    assert not reading.done()
    await cluster.passes(1)
    assert reading.result().status_msg == "before"
    saving = b.set(BOB, "after")
    await cluster.passes(1)
    assert saving.exception() is None
    assert [it.knows(BOB) for it in (a, b)] == [("online", "after")] * 2


async def test_an_answer_older_than_a_lease(cluster: Cluster) -> None:
    """An answer of the log that does not know a lease yet ends no polls that the lease vouches for.

    Once two answers in a row do not know it, the lease is dead.
    """
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    other.poll(BOB)
    await cluster.passes(1)
    lease = owner.holder.lease
    assert lease is not None
    owner.owners.living({lease})
    owner.owners.living({lease, *(it.lease for it in owner.holder.standing.nodes)})
    await cluster.passes(60)
    assert owner.knows(BOB) == ("online", None)
    owner.owners.living({lease})
    owner.owners.living({lease})
    await cluster.passes(40)
    assert owner.knows(BOB) == ("offline", None)


async def test_what_a_poll_says_is_not_lost(cluster: Cluster) -> None:
    """If the owner takes in nothing for longer than an event waits, it hears later who polls."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    owner.owners.hold(ALL_PARTITIONS)
    other.poll(BOB)
    await cluster.passes(7)
    assert owner.knows(BOB) == ("offline", None)
    owner.owners.release(ALL_PARTITIONS)
    await cluster.passes(6)
    assert owner.knows(BOB) == ("online", None)


@pytest.mark.parametrize("is_deactivated", [False, True], ids=["log-out", "deactivation"])
async def test_an_end_while_nobody_owns_the_user(cluster: Cluster, is_deactivated: bool) -> None:
    """A log-out, or the end of an account, that is heard while the owner is dead holds as soon as
    there is another owner: the device gets no grace.
    """
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    other.poll(BOB)
    other.set(BOB, "brb")
    await cluster.passes(1)
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    other.heard_events.devices_gone(BOB, [PHONE])
    if is_deactivated:
        other.heard_events.user_deactivated(BOB)
    await cluster.passes(6)
    assert other.owns(BOB)
    assert other.knows(BOB) == ("offline", None if is_deactivated else "brb")


async def test_an_end_that_the_owner_has_decided(cluster: Cluster) -> None:
    """A log-out that the owner has decided ends nothing at the next owner: the device is back."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    told: list[Published] = []
    other.core.witnesses.observe(told.append)
    other.poll(BOB)
    await cluster.passes(1)
    for node in (other, owner):
        node.heard_events.devices_gone(BOB, [PHONE])
    await cluster.passes(1)
    other.poll(BOB)
    await cluster.passes(1)
    del told[:]
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    await cluster.passes(6)
    assert other.owns(BOB)
    assert other.knows(BOB) == ("online", None)
    assert {state.state for it in told for state in it.states} <= {"online"}
