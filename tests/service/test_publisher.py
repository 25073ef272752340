"""How announced changes are published and saved."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.delivery.outbox import Update
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.ports import Requester
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.events import Syncing
from lamplighter.presence.state import Presence
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import Module, Self, SharedRoom
from lamplighter.service.witness import Published
from tests.routing.callbacks import Thinking, answering, raising, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, HALL
from tests.service.parts import PHONE, Parts

MODULE = Module("MyRouter")


@pytest.fixture
async def parts() -> Parts:
    """A server whose alice and bob share the hall; alice, charlie and bob poll."""
    parts = Parts()
    parts.room(HALL, ALICE, BOB)
    for viewer in (ALICE, BOB, CHARLIE):
        parts.feed.open(viewer)
    return parts


@pytest.fixture
def thinking(parts: Parts) -> Thinking:
    """A module of that server that answers when the test says so."""
    act = Thinking()
    parts.module(act)
    return act


async def test_one_batch_per_turn(parts: Parts) -> None:
    """The changes of one cycle of the loop are one batch: newest per user, one position."""
    before = parts.stream.position
    first, second = parts.set(BOB, "one"), parts.set(BOB, "two")
    alices = parts.set(ALICE, "hello")
    for changes in (first, second, alices):
        parts.publisher.publish(changes)
    await parts.publisher.published()
    (published,) = parts.told
    assert published.position == before + 1 == parts.feed.position
    assert published.changes == (*first, *second, *alices)
    assert published.states == [second[0].new, alices[0].new]
    assert published.deliveries == [
        Delivery(second[0].new, {ALICE: (SharedRoom(HALL),), BOB: (Self(),)}),
        Delivery(alices[0].new, {ALICE: (Self(),), BOB: (SharedRoom(HALL),)}),
    ]
    assert [parts.roster.last(user).changed for user in (ALICE, BOB)] == [published.position] * 2


async def test_a_poll_between_two_statuses(parts: Parts) -> None:
    """What a poll says between two statuses, all in one cycle, does not bring the first one back.

    A poll that comes after the statuses is handed on after them.
    """
    phone = Requester(BOB, PHONE)
    parts.intake.set_status(phone, Presence.ONLINE, "one")
    parts.connections.begin(phone, Presence.ONLINE)
    parts.intake.set_status(phone, Presence.ONLINE, "two")
    await parts.publisher.published()
    assert parts.roster.get(BOB) == parts.tracker.get(BOB)
    assert parts.roster.get(BOB).status_msg == "two"
    parts.clock.advance(seconds=20)
    parts.intake.set_status(phone, Presence.ONLINE, "three")
    parts.intake.accept(Syncing(BOB, DeviceId("LAPTOP"), Presence.ONLINE))
    await parts.publisher.published()
    assert parts.roster.get(BOB) == parts.tracker.get(BOB)
    assert parts.roster.get(BOB).last_user_sync_ts == parts.clock.now()


async def test_a_ping_before_a_change(parts: Parts) -> None:
    """A ping to other servers does not bring back the state before a change of the same cycle."""
    await parts.publish(BOB, "one")
    state = parts.roster.get(BOB)
    parts.publisher.publish([Change(state, state, ChangeReason.FEDERATION_PING)])
    await parts.publish(BOB, "two")
    assert parts.roster.get(BOB) == parts.tracker.get(BOB)


async def test_nothing_to_publish(parts: Parts) -> None:
    """No changes make no batch."""
    parts.publisher.publish([])
    await turns()
    await parts.publisher.published()
    await parts.publisher.saved()
    assert (parts.told, parts.store.saves) == ([], [])


async def test_two_turns_are_two_batches(parts: Parts) -> None:
    """A later change is in a later batch."""
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    one, two = parts.told
    assert one.position < two.position == parts.roster.last(BOB).changed
    assert parts.heard(ALICE) == [(BOB, "two")]


async def test_modules_are_asked_once_per_batch(parts: Parts) -> None:
    """The modules are asked once for a batch, with the newest state of each user."""
    asked: list[Any] = []

    async def routes(states: Any) -> object:
        asked.append([(it.user_id, it.status_msg) for it in states])
        return {CHARLIE: set(states)}

    parts.module(routes)
    for message in ("one", "two"):
        parts.publisher.publish(parts.set(BOB, message))
    parts.publisher.publish(parts.set(ALICE, "hello"))
    await parts.publisher.published()
    assert asked == [[(BOB, "two"), (ALICE, "hello")]]
    assert sorted(parts.heard(CHARLIE)) == [(ALICE, "hello"), (BOB, "two")]
    assert len(parts.told) == 1


async def test_a_ping_is_for_other_servers(parts: Parts) -> None:
    """A ping is saved, and sent to the servers that modules name; no local viewer gets it."""
    remote = UserId("@charlie:elsewhere.org")
    state = parts.set(BOB, "brb")[0].new
    parts.module(answering({CHARLIE: {state}, remote: {state}}))
    ping = Change(state, state, ChangeReason.FEDERATION_PING)
    parts.publisher.publish([ping])
    await parts.publisher.saved()
    assert parts.told == [Published(parts.stream.position, (ping,), [])]
    assert parts.roster.last(BOB).changed == 0
    await turns()
    assert parts.outgoing.sent == [(ServerName("elsewhere.org"), [state])]
    assert parts.heard(CHARLIE) == []
    assert parts.store.messages == [{BOB: "brb"}]


async def test_changes_are_counted(parts: Parts) -> None:
    """Each change is counted by its reason, and each update that is handed out."""
    await parts.publish(BOB, "brb")
    text = parts.metrics.exposition().decode()
    assert 'lamplighter_changes_total{reason="status_msg"} 1.0' in text
    assert "lamplighter_delivered_updates_total 2.0" in text


async def test_saved(parts: Parts) -> None:
    """`saved` returns once everything handed over is kept, with its position."""
    parts.publisher.publish(parts.set(BOB, "one"))
    parts.publisher.publish(parts.set(ALICE, "hello"))
    await parts.publisher.saved()
    assert parts.store.messages == [{BOB: "one", ALICE: "hello"}]
    assert {it.position for it in parts.store.saves[0]} == {parts.stream.position}


async def test_a_full_disk(parts: Parts) -> None:
    """If nothing can be saved, `saved` raises; the change is delivered nevertheless."""
    parts.store.works = False
    parts.publisher.publish(parts.set(BOB, "one"))
    with pytest.raises(StorageUnavailable):
        await parts.publisher.saved()
    assert parts.heard(ALICE) == [(BOB, "one")]
    with pytest.raises(StorageUnavailable):
        await parts.publisher.saved()


async def test_nobody_waits_for_a_module_that_thinks(parts: Parts) -> None:
    """A change is delivered to room members, and saved, before a module has answered."""
    parts.module(Thinking())
    parts.publisher.publish(parts.set(BOB, "one"))
    await parts.publisher.saved()
    assert (parts.heard(ALICE), parts.heard(CHARLIE)) == ([(BOB, "one")], [])
    await parts.publisher.close()


async def test_a_module_that_raises(parts: Parts) -> None:
    """A module that raises costs nobody else anything."""
    parts.module(raising(RuntimeError("no")), name="Bad")
    parts.module(answering({CHARLIE: {parts.set(BOB, "one")[0].new}}))
    with capture_logs():
        await parts.publish(BOB, "two")
    assert (parts.heard(ALICE), parts.heard(CHARLIE)) == ([(BOB, "two")], [(BOB, "one")])


async def test_a_late_answer(parts: Parts, thinking: Thinking) -> None:
    """A late answer is delivered at a position of its own, about the position of the batch."""
    await parts.publish(BOB, "one")
    about = parts.stream.position
    await parts.publish(ALICE, "hello")
    passed = parts.feed.position
    thinking.answer({CHARLIE: set(thinking.asked[0])})
    await turns()
    update = parts.last(CHARLIE, BOB)
    assert (update.state.status_msg, update.reasons, update.about) == ("one", (MODULE,), about)
    assert update.position > passed
    thinking.answer({})
    await turns()
    assert len(parts.told) == 3 + 1
    assert parts.told[-1].deliveries == []


async def test_late_but_nothing_new(parts: Parts, thinking: Thinking) -> None:
    """A late answer does not deliver again what a viewer has by a room. The module becomes another
    reason, because it outlasts a leave.
    """
    await parts.publish(BOB, "one")
    first = parts.last(ALICE, BOB)
    thinking.answer({ALICE: set(thinking.asked[0])})
    await turns()
    reasons = (SharedRoom(HALL), MODULE)
    assert parts.last(ALICE, BOB) == Update(first.state, reasons, first.position, first.about)


async def test_late_and_altered(parts: Parts, thinking: Thinking) -> None:
    """A module that alters late still replaces what the room told of the same change."""
    await parts.publish(BOB, "one")
    hidden = thinking.asked[0][0].copy_and_replace(status_msg=None)
    thinking.answer({ALICE: {hidden}})
    await turns()
    assert parts.heard(ALICE) == [(BOB, None)]


async def test_late_never_replaces_newer(parts: Parts, thinking: Thinking) -> None:
    """A late answer about an older change does not replace a newer change."""
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    old, new = (asked[0] for asked in thinking.asked)
    thinking.answer({ALICE: {old.copy_and_replace(status_msg="old")}, CHARLIE: {old}})
    await turns()
    assert parts.heard(ALICE) == [(BOB, "two")]
    thinking.answer({CHARLIE: {new}})
    await turns()
    assert parts.heard(CHARLIE) == [(BOB, "two")]


async def test_answers_in_the_wrong_order(parts: Parts) -> None:
    """The late answer about the newer change stands, whichever of two comes first."""
    thinking: list[Thinking] = [Thinking(), Thinking()]
    answers = iter(thinking)

    async def routes(states: Any) -> object:
        return await next(answers)(states)

    parts.module(routes)
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    for act in reversed(thinking):
        act.answer({CHARLIE: set(act.asked[0])})
        await turns()
    assert parts.heard(CHARLIE) == [(BOB, "two")]


async def test_late_for_who_came_later(parts: Parts, thinking: Thinking) -> None:
    """A late answer for a viewer without an outbox is dropped."""
    await parts.publish(BOB, "one")
    parts.feed.forget(CHARLIE)
    thinking.answer({CHARLIE: set(thinking.asked[0])})
    await turns()
    assert (parts.feed.outbox(CHARLIE), parts.told[-1].deliveries) == (None, [])


async def test_late_for_who_came_back(parts: Parts, thinking: Thinking) -> None:
    """A viewer who was answered from scratch since a newer change does not get the older one."""
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    parts.feed.forget(CHARLIE)
    parts.feed.open(CHARLIE)
    thinking.answer({CHARLIE: set(thinking.asked[0])})
    await turns()
    assert parts.heard(CHARLIE) == []


async def test_late_for_who_sees_by_a_room(parts: Parts, thinking: Thinking) -> None:
    """A viewer who sees a user by a room does not get an older change."""
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    parts.feed.open(ALICE).drop(BOB)
    thinking.answer({ALICE: set(thinking.asked[0])})
    await turns()
    assert parts.heard(ALICE) == []


async def test_late_answers_come_as_they_come(parts: Parts) -> None:
    """The late answer of each of several modules is delivered when it comes."""
    acts = [Thinking(), Thinking()]
    for act, name in zip(acts, ("One", "Other"), strict=True):
        parts.module(act, name=name)
    await parts.publish(BOB, "one")
    (bobs,) = acts[0].asked[0]
    acts[1].answer({CHARLIE: {bobs}})
    await turns()
    assert parts.last(CHARLIE, BOB).reasons == (Module("Other"),)
    parts.feed.open(DORA)
    acts[0].answer({DORA: {bobs}})
    await turns()
    assert parts.last(DORA, BOB).reasons == (Module("One"),)


async def test_what_a_module_hides_is_not_told_meanwhile(parts: Parts, thinking: Thinking) -> None:
    """A viewer for whom a module has altered states waits until the module answers."""
    await parts.publish(BOB, "one")
    thinking.answer({ALICE: {thinking.asked[0][0].copy_and_replace(status_msg=None)}})
    await turns()
    await parts.publish(BOB, "two")
    assert parts.heard(ALICE) == [(BOB, None)]
    assert parts.heard(BOB) == [(BOB, "two")]
    thinking.answer({})
    await turns()
    assert parts.heard(ALICE) == [(BOB, "two")]
    assert parts.last(ALICE, BOB).reasons == (SharedRoom(HALL),)


async def test_waiting_ends_with_the_time_out(parts: Parts, thinking: Thinking) -> None:
    """A viewer who waits for a module that never answers does not get the unaltered state."""
    await parts.publish(BOB, "one")
    thinking.answer({ALICE: {thinking.asked[0][0].copy_and_replace(status_msg=None)}})
    await turns()
    await parts.publish(BOB, "two")
    with capture_logs():
        parts.clock.advance(seconds=5)
        await turns()
    assert (BOB, "two") not in parts.heard(ALICE)


async def test_no_batch_overtakes_another(parts: Parts) -> None:
    """A batch of which no module is asked comes after one that modules were asked about."""
    parts.module(answering({}))
    changes = parts.set(BOB, "one")
    ping = Change(changes[0].new, changes[0].new, ChangeReason.FEDERATION_PING)
    parts.publisher.publish(changes)
    asyncio.get_running_loop().call_soon(parts.publisher.publish, [ping])
    await turns()
    assert [published.changes for published in parts.told] == [(*changes,), (ping,)]


async def test_closing(parts: Parts, thinking: Thinking) -> None:
    """Closing publishes and keeps what is at hand, and does not wait for modules.

    What they have not answered is news again for whoever comes back: so it is kept once more.
    """
    parts.publisher.publish(parts.set(BOB, "one"))
    await parts.publisher.close()
    assert (parts.heard(ALICE), parts.store.messages) == (
        [(BOB, "one")],
        [{BOB: "one"}, {BOB: "one"}],
    )
    thinking.answer({CHARLIE: set(thinking.asked[0])})
    await turns()
    assert parts.heard(CHARLIE) == []
