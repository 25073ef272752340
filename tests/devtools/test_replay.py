"""Replays of records that are written by hand."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lamplighter.clock import Timestamp
from lamplighter.config import parse_config_text
from lamplighter.devtools.replay import Replay, ReplayReport
from lamplighter.errors import ConfigError, RecordUnreadable
from lamplighter.ids import StreamPosition, UserId
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle
from lamplighter.ports import Account
from lamplighter.recording.events import (
    AS_THEY_ARE,
    KnownAccounts,
    Looking,
    Met,
    Moved,
    RecordedBatch,
    RecordedEvent,
    RecordedLate,
    Seen,
    Viewed,
    grouped,
    told_to,
)
from lamplighter.routing.reasons import Module, Self, SharedRoom
from tests.devtools import replayed_modules
from tests.recording.samples import BEGAN, at
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, DORA, HALL, state

BY_RULE: Seen = (AS_THEY_ARE, (Module("Rule"),))
BY_ROOM: Seen = (AS_THEY_ARE, (SharedRoom(HALL),))


async def replay(
    events: Iterable[RecordedEvent],
    shows: Mapping[str, Iterable[str]] | None = None,
    config: str = "",
    module: str = "Rule",
    patience: timedelta = timedelta(minutes=1),
    **more: Any,
) -> ReplayReport:
    """Replay *events*, after the beginning, with a rule that shows these people.

    *patience* is for what the rule asks of a thread: a rule that waits for the time needs none.
    """
    path = f"{replayed_modules.__name__}.{module}"
    entry = ConfiguredModule(
        path, {"shows": shows or {}, **more}, ModuleStyle.CALLBACKS, "modules[0]"
    )
    settings = parse_config_text(f"server_name: demo\n{config}", Path("new.yaml"))
    return await Replay(settings, [entry], patience).run([BEGAN, *events])


def found(report: ReplayReport) -> list[tuple[str, str, str]]:
    """Return what differs, for whom, about whom."""
    return [(it.kind.value, it.viewer, it.user_id) for it in report.differences]


def bob_is_told_to(told: Mapping[UserId, Seen], second: int = 1) -> RecordedBatch:
    """Return a change of bob's, and whom it was told; alice and charlie look."""
    return RecordedBatch(
        at(second), StreamPosition(second), [state(BOB, str(second))], told_to({BOB: told})
    )


LOOKING = Looking(at(0), [ALICE, CHARLIE])


async def test_gained_and_lost() -> None:
    """A recipient who would not be one is lost; a viewer who would be one is gained."""
    report = await replay([LOOKING, bob_is_told_to({ALICE: BY_RULE})], {CHARLIE: [BOB]})
    assert sorted(found(report)) == [("gained", CHARLIE, BOB), ("lost", ALICE, BOB)]
    assert (report.decisions, report.began, report.ended) == (1, at(0), at(1))


async def test_who_does_not_look() -> None:
    """A viewer who did not poll neither gains nor loses anything."""
    report = await replay([bob_is_told_to({})], {CHARLIE: [BOB]})
    assert found(report) == []


async def test_who_was_told_by_a_room_while_away() -> None:
    """A recipient by a room, whose modules' answer is unknown, gains nothing."""
    joins = [Moved(at(0), HALL, it, joined=True) for it in (ALICE, BOB)]
    events: list[RecordedEvent] = [*joins, bob_is_told_to({ALICE: BY_ROOM})]
    assert found(await replay(events, {})) == []


async def test_other_servers() -> None:
    """A user of another server can gain and lose local users, too."""
    gained = await replay([bob_is_told_to({})], {DORA: [BOB]})
    assert found(gained) == [("gained", DORA, BOB)]
    lost = await replay([bob_is_told_to({DORA: BY_RULE})])
    assert found(lost) == [("lost", DORA, BOB)]


async def test_altered() -> None:
    """A viewer who would get another state is a difference of its own kind."""
    report = await replay(
        [LOOKING, bob_is_told_to({ALICE: BY_RULE})], {ALICE: [BOB]}, say="nothing"
    )
    [difference] = report.differences
    assert difference.before == BY_RULE
    assert difference.after == ((("status_msg", "nothing"),), (Module("Rule"),))


async def test_rooms() -> None:
    """Rooms count as they did unless the configuration differs; a leave ends that."""
    joins: list[RecordedEvent] = [Moved(at(0), HALL, it, joined=True) for it in (ALICE, BOB)]
    events: list[RecordedEvent] = [LOOKING, *joins, bob_is_told_to({ALICE: BY_ROOM})]
    assert found(await replay(events)) == []
    excluded = f"routing: {{exclude_rooms: ['{HALL}']}}"
    assert found(await replay(events, config=excluded)) == [("lost", ALICE, BOB)]
    left: list[RecordedEvent] = [
        *events,
        Moved(at(2), HALL, BOB, joined=False),
        bob_is_told_to({}, 3),
    ]
    assert found(await replay(left)) == []


async def test_large_rooms() -> None:
    """A room with too many members, by the configuration, does not count until it has shrunk."""
    joins = [Moved(at(0), HALL, it, joined=True) for it in (ALICE, BOB, CHARLIE)]
    both = {ALICE: BY_ROOM, CHARLIE: BY_ROOM}
    grown: list[RecordedEvent] = [LOOKING, *joins, bob_is_told_to(both)]
    assert found(await replay(grown, config="routing: {largest_room: 3}")) == []
    direct = "routing: {rooms: direct}"
    lost = [("lost", ALICE, BOB), ("lost", CHARLIE, BOB)]
    assert found(await replay(grown, config=direct)) == lost
    shrunk: list[RecordedEvent] = [
        LOOKING,
        *joins,
        Moved(at(0), HALL, CHARLIE, joined=False),
        bob_is_told_to({ALICE: BY_ROOM}),
    ]
    assert found(await replay(shrunk, config=direct)) == []


async def test_what_came_late() -> None:
    """A late answer counts as delivered with its batch."""
    late = RecordedLate(at(3), StreamPosition(1), told_to({BOB: {ALICE: BY_RULE}}))
    later = bob_is_told_to({ALICE: BY_RULE}, 60)
    events: list[RecordedEvent] = [LOOKING, bob_is_told_to({}), late, later]
    assert found(await replay(events, {ALICE: [BOB]})) == []


async def test_views() -> None:
    """A recorded view is compared for everybody, or for the users whom it was about."""
    known = bob_is_told_to({})
    whole = Viewed(at(2), ALICE, looks=True, users=None, seen=[])
    one = Viewed(at(2), ALICE, looks=False, users=[CHARLIE], seen=[])
    assert found(await replay([known, whole], {ALICE: [BOB]})) == [("gained", ALICE, BOB)]
    assert found(await replay([known, one], {ALICE: [BOB]})) == []
    seen = Viewed(at(2), ALICE, looks=True, users=None, seen=grouped({BOB: BY_RULE}))
    assert found(await replay([known, seen])) == [("lost", ALICE, BOB)]


async def test_people_who_meet() -> None:
    """New members of a room see each other by any rules."""
    joins: list[RecordedEvent] = [Moved(at(2), HALL, it, joined=True) for it in (ALICE, BOB)]
    met = Met(at(2), told_to({BOB: {ALICE: BY_ROOM}}))
    events: list[RecordedEvent] = [bob_is_told_to({}), *joins, met]
    assert found(await replay(events)) == []
    assert found(await replay(events, {ALICE: [BOB]}, say="x")) == [("altered", ALICE, BOB)]


async def test_the_clock_is_the_records() -> None:
    """Modules use the clock of the record, and their looping calls run by it."""
    days = [bob_is_told_to({}), bob_is_told_to({}, 3600)]
    report = await replay([LOOKING, *days], {}, module="Ticking")
    assert replayed_modules.Ticking.ticks == [at(10 * number) for number in range(1, 361)]
    assert report.unanswered == {"set_presence_for_users": 360}


async def test_presence_as_it_was() -> None:
    """A module that reads presence, or subscribes, gets the presence of that time."""
    events = [bob_is_told_to({}), bob_is_told_to({}, 5)]
    await replay(events, {}, module="Listening")
    assert replayed_modules.Listening.heard == [["1", "1"], ["5", "5"]]


async def test_who_exists() -> None:
    """An account exists if it is recorded, or if its user is mentioned; nothing else is known."""
    account = Account(CHARLIE, Timestamp(7), is_admin=True, is_deactivated=False)
    events: list[RecordedEvent] = [
        KnownAccounts(at(0), [account]),
        Moved(at(0), ATTIC, ALICE, joined=True),
    ]
    report = await replay([*events, bob_is_told_to({})], {}, module="Asking")
    assert replayed_modules.Asking.answers == [ALICE, BOB, CHARLIE, None, None, None]
    assert report.unanswered == {"account_data": 1, "room_state": 1}


async def test_a_module_that_fails() -> None:
    """A module that fails shows nobody to anybody, and the report says how it failed."""
    report = await replay([LOOKING, bob_is_told_to({ALICE: BY_RULE})], {}, module="Raising")
    assert found(report) == [("lost", ALICE, BOB)]
    assert "RuntimeError('no data')" in str(report.modules["Raising"])


async def test_a_module_that_sleeps() -> None:
    """A module that waits for time gets it."""
    changed = bob_is_told_to({ALICE: BY_RULE})
    report = await replay([LOOKING, changed], {ALICE: [BOB]}, sleeps=1, patience=timedelta(0))
    assert found(report) == []


async def test_a_module_that_never_answers() -> None:
    """A module that answers too late has not answered."""
    changed = bob_is_told_to({})
    report = await replay([LOOKING, changed], {ALICE: [BOB]}, sleeps=60, patience=timedelta(0))
    assert found(report) == []
    assert "no answer within" in str(report.modules["Rule"])


async def test_oneself() -> None:
    """One's own presence is seen by any rules."""
    batch = bob_is_told_to({BOB: (AS_THEY_ARE, (Self(),))})
    assert found(await replay([batch])) == []


async def test_another_server() -> None:
    """A record of another server is refused."""
    settings = parse_config_text("server_name: other.example", Path("new.yaml"))
    with pytest.raises(ConfigError, match="server_name: the record is of demo"):
        await Replay(settings).run([BEGAN])


async def test_nothing_recorded() -> None:
    """A record without anything in it is refused, and so is one without a beginning."""
    settings = parse_config_text("server_name: demo", Path("new.yaml"))
    cases: list[tuple[list[RecordedEvent], str]] = [
        ([], "nothing is recorded"),
        ([LOOKING], "does not begin"),
    ]
    for events, problem in cases:
        with pytest.raises(RecordUnreadable, match=problem):
            await Replay(settings).run(events)
