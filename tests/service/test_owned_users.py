"""The users whom one node owns: what it takes over, decides, remembers and hands over."""

import pytest
from msgspec.structs import replace

from lamplighter.cluster.log import Lease, NodeName
from lamplighter.cluster.partitions import ALL_PARTITIONS, partition_of
from lamplighter.config import PresenceMode
from lamplighter.ids import DeviceId, StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.events import DeviceGone, StatusSet, SyncEnded, Syncing
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.service.owned_users import OwnedUsers
from lamplighter.service.settings import CoreSettings
from lamplighter.service.witness import Published
from tests.routing.callbacks import Thinking, answering
from tests.routing.people import ALICE, BOB
from tests.service.nodes import Cluster, Node
from tests.service.parts import HERE, PHONE

#: Two nodes, as the owner of bob hears of them.
ONE, OTHER = Lease(NodeName("one"), 91), Lease(NodeName("other"), 92)
OF_BOB = frozenset({partition_of(BOB)})


def users_of(node: Node) -> OwnedUsers:
    """Return the users of a node."""
    return node.owners.users


def both(cluster: Cluster) -> tuple[Node, Node]:
    """Return the owner of bob, and the other node."""
    owner = cluster.owner_of(BOB)
    return owner, cluster.other_than(owner)


def polls(node: Node) -> bool:
    """Tell whether bob's phone polls, as the node has it."""
    device = node.core.tracker.device(BOB, PHONE)
    return device is not None and device.is_polling


def messages_at(node: Node) -> list[tuple[UserId, str | None]]:
    """Return the list of the status messages that the node is told of from now on."""
    told: list[tuple[UserId, str | None]] = []

    def note(published: Published) -> None:
        told.extend((UserId(it.user_id), it.status_msg) for it in published.states)

    node.core.witnesses.observe(note)
    return told


async def test_a_status_of_a_user_of_another_node(cluster: Cluster) -> None:
    """A status that comes here once the user has another owner goes on to that owner; what polls
    say is left to the nodes that say it.
    """
    owner, other = both(cluster)
    said = other.owners.waiting.said
    polling = users_of(other).decide(ONE, Syncing(BOB, PHONE, Presence.ONLINE))
    assert (polling.done(), other.owners.waiting.said) == (True, said)
    saving = users_of(other).decide(ONE, StatusSet(BOB, PHONE, Presence.ONLINE, "late"))
    await cluster.passes(1)
    assert (saving.done(), saving.exception()) == (True, None)
    assert owner.knows(BOB) == ("online", "late")


async def test_a_device_that_polls_at_two_nodes(cluster: Cluster) -> None:
    """A device polls until the last node that has said so says that it ended, or is dead."""
    owner, _ = both(cluster)
    users = users_of(owner)
    for node in (ONE, OTHER):
        users.decide(node, Syncing(BOB, PHONE, Presence.ONLINE))
    assert users.leases() == {ONE, OTHER}
    users.decide(ONE, SyncEnded(BOB, PHONE))
    await cluster.passes(0)
    assert polls(owner)
    users.died({OTHER})
    await cluster.passes(0)
    assert (polls(owner), users.leases()) == (False, set())


async def test_what_a_dead_owner_had_heard(cluster: Cluster) -> None:
    """What every node has heard of a user is decided once, by who takes the user over."""
    owner, other = both(cluster)
    owner.set(BOB, "here")
    await cluster.passes(1)
    users_of(other).hear(DeviceGone(BOB, PHONE))
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    await cluster.passes(6)
    assert other.knows(BOB) == ("offline", "here")
    other.set(BOB, "back")
    await cluster.passes(1)
    users_of(other).hand_over(OF_BOB)
    users_of(other).take(OF_BOB)
    await cluster.passes(1)
    assert other.knows(BOB) == ("online", "back")


@pytest.mark.parametrize(("later", "presence"), [(99, "offline"), (100, "online")])
async def test_an_owner_that_tells_nothing(cluster: Cluster, later: int, presence: str) -> None:
    """Of one user a hundred events are remembered, the last ones: somebody may log in and out for
    ever, and have no presence.
    """
    owner, other = both(cluster)
    owner.set(BOB, "here")
    await cluster.passes(1)
    for device_id in (PHONE, *(DeviceId(f"D{number}") for number in range(later))):
        users_of(other).hear(DeviceGone(BOB, device_id))
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    await cluster.passes(6)
    assert other.knows(BOB) == (presence, "here")


async def test_what_the_owner_has_decided(cluster: Cluster) -> None:
    """What every node has heard of a user is forgotten once the owner tells how the user is."""
    owner, other = both(cluster)
    owner.set(BOB, "here")
    await cluster.passes(1)
    users_of(other).hear(DeviceGone(BOB, PHONE))
    owner.set(BOB, "still here")
    await cluster.passes(1)
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    await cluster.passes(6)
    assert other.knows(BOB) == ("online", "still here")


def saved_of(cluster: Cluster, user_id: UserId) -> str | None:
    """Return the status message that was saved last of a user."""
    return [it[user_id] for it in cluster.store.messages if user_id in it][-1]


async def test_what_a_dead_owner_has_not_saved(cluster: Cluster) -> None:
    """What the last owner has told, and could not save, the next owner saves."""
    owner, other = both(cluster)
    owner.set(BOB, "saved")
    await cluster.passes(0.5)
    cluster.store.works = False
    owner.set(BOB, "told")
    await cluster.passes(0.5)
    assert (other.knows(BOB), saved_of(cluster, BOB)) == (("online", "told"), "saved")
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    cluster.store.works = True
    await cluster.passes(6)
    assert (other.owns(BOB), saved_of(cluster, BOB)) == (True, "told")


async def test_the_same_status_at_the_next_owner(cluster: Cluster) -> None:
    """A status that the last owner has told is acknowledged once it is saved, not before."""
    owner, other = both(cluster)
    owner.set(BOB, "told")
    await cluster.passes(0.5)
    cluster.kill(next(name for name, it in cluster.nodes.items() if it is owner))
    cluster.store.holds.add(BOB)
    await cluster.passes(6)
    other.set(ALICE, "the database works")
    await cluster.passes(0)
    again = other.set(BOB, "told")
    await cluster.passes(0)
    assert (other.owns(BOB), again.done()) == (True, False)
    cluster.store.release()
    await cluster.passes(0)
    assert (again.exception(), saved_of(cluster, BOB)) == (None, "told")


async def test_handing_over(cluster: Cluster) -> None:
    """A node that hands partitions over decides no more for their users, and forgets who says that
    their devices poll; the others stay.
    """
    owner, _ = both(cluster)
    users = users_of(owner)
    users.decide(ONE, Syncing(BOB, PHONE, Presence.ONLINE))
    users.hand_over(ALL_PARTITIONS - OF_BOB)
    assert (users.partitions, users.leases()) == (OF_BOB, {ONE})
    assert owner.core.tracker.decides_for(BOB)
    users.hand_over(OF_BOB)
    assert (users.partitions, users.leases()) == (set(), set())
    assert not owner.core.tracker.decides_for(BOB)


async def test_handing_all_over(cluster: Cluster) -> None:
    """A node without a lease decides for nobody."""
    owner, _ = both(cluster)
    users = users_of(owner)
    users.decide(ONE, Syncing(BOB, PHONE, Presence.ONLINE))
    users.hand_all_over()
    assert (users.partitions, users.leases()) == (set(), set())
    assert not owner.core.tracker.decides_for(BOB)


async def test_told_again_after_a_loss(cluster: Cluster) -> None:
    """Whoever takes users over after the log has lost its data tells again how those are who have
    changed within a minute before it, and not since; without a loss nobody is told anything.
    """
    owner, other = both(cluster)
    owner.set(BOB, "before")
    other.set(ALICE, "long before")
    await cluster.passes(121)
    owner.set(BOB, "just before")
    await cluster.passes(1)
    told = messages_at(owner)
    users_of(owner).hand_over(OF_BOB)
    users_of(owner).take(OF_BOB)
    await cluster.passes(1)
    assert told == []
    await users_of(owner).log_lost()
    await cluster.passes(1)
    for user_id in (ALICE, BOB):
        partitions = {partition_of(user_id)}
        users_of(owner).hand_over(partitions)
        users_of(owner).take(partitions)
    await cluster.passes(1)
    assert told == [(BOB, "just before")]
    users_of(owner).hand_over(OF_BOB)
    users_of(owner).take(OF_BOB)
    await cluster.passes(1)
    assert told == [(BOB, "just before")]


async def test_a_loss_while_presence_is_off(cluster: Cluster) -> None:
    """Where presence is off, a loss of the log's data tells nobody how users were before."""
    cluster.owner_of(BOB).set(BOB, "from before")
    await cluster.passes(1)
    off = Cluster(ALICE, BOB)
    off.store, off.settings = cluster.store, CoreSettings(HERE, PresenceMode.OFF)
    node = await off.start("a")
    await off.passes(3)
    off.server.lose_data()
    await off.passes(5)
    status = await node.core.reader.status(ALICE, BOB)
    assert (status, node.owns(BOB)) == (UserPresenceState.default(BOB), True)
    await off.stop()


async def test_what_was_saved_and_not_read(cluster: Cluster) -> None:
    """After a loss of the log's data a node takes from the database what it has not read; what
    polls say since holds.
    """
    owner, other = both(cluster)
    owner.set(BOB, "read")
    await cluster.passes(1)
    [saved] = await cluster.store.load()
    newer = saved.user.state.copy_and_replace(state="offline", status_msg="saved")
    user = replace(saved.user, state=newer)
    cluster.store.save([SavedPresence(user, StreamPosition(saved.position + 1))])
    owner.poll(BOB)
    cluster.server.lose_data()
    await cluster.passes(5)
    assert [it.knows(BOB) for it in (owner, other)] == [("online", "saved")] * 2


async def test_what_was_saved_earlier(cluster: Cluster) -> None:
    """After a loss of the log's data an owner takes nothing from the database that is older than
    what it has read.
    """
    owner, _ = both(cluster)
    owner.set(BOB, "read")
    await cluster.passes(1)
    [saved] = await cluster.store.load()
    older = replace(saved.user, state=saved.user.state.copy_and_replace(status_msg="old"))
    cluster.store.saves[:] = [[SavedPresence(older, StreamPosition(saved.position - 1))]]
    cluster.server.lose_data()
    await cluster.passes(5)
    assert owner.knows(BOB) == ("online", "read")


async def test_a_late_answer_that_does_not_come(cluster: Cluster) -> None:
    """Whoever takes users over gives up what modules were asked about them at the owner before."""
    owner, _ = both(cluster)
    registrations = owner.core.swap.prepare()
    registrations.register("Slow", Thinking(), answering(set()))
    owner.core.swap.adopt(registrations)
    owner.set(BOB, "here")
    await cluster.passes(1)
    announcing = owner.core.announcing
    assert len(announcing.unanswered(BOB.__eq__)) == 1
    users_of(owner).hand_over(OF_BOB)
    users_of(owner).take(OF_BOB)
    await cluster.passes(1)
    assert announcing.unanswered(BOB.__eq__) == []
