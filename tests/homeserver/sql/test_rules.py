"""Power levels: defaults, shapes, and who may change which."""

import pytest

from lamplighter.errors import BadJson, Forbidden
from lamplighter.homeserver.sql.rules import PowerLevels, check_change, check_levels
from lamplighter.ids import UserId
from lamplighter.ports import Json

ALICE = UserId("@alice:lamp.test")
BOB = UserId("@bob:lamp.test")
CHARLIE = UserId("@charlie:lamp.test")


def test_without_an_event() -> None:
    """Without power levels the creator has 100, other users have 0, and state needs 0."""
    levels = PowerLevels.of(None, ALICE)
    assert (levels.of_user(ALICE), levels.of_user(BOB)) == (100, 0)
    assert levels.to_send("m.room.name", is_state=True) == 0


def test_defaults_of_an_event() -> None:
    """A level that the event leaves out has the specification's default."""
    levels = PowerLevels.of({"notifications": {"room": 50}}, ALICE)
    assert levels == PowerLevels(
        users={}, events={}, users_default=0, events_default=0, state_default=50,
        invite=0, kick=50, ban=50,
    )  # fmt: skip
    assert levels.of_user(ALICE) == 0


def test_levels_by_type() -> None:
    """An event type's own level holds for messages and for state."""
    levels = PowerLevels.of({"events": {"a": 7}, "events_default": 1, "state_default": 2}, ALICE)
    assert [levels.to_send(t, is_state=s) for t in "ab" for s in (False, True)] == [7, 7, 1, 2]


@pytest.mark.parametrize(
    "content",
    [{"ban": "50"}, {"kick": 1.5}, {"invite": None}, {"redact": True}, {"users": {"@a:b": "1"}},
     {"events": [1]}, {"users_default": 2**53}],
)  # fmt: skip
def test_shapes(content: Json) -> None:
    """A level is an integer that JSON can carry."""
    with pytest.raises(BadJson):
        check_levels(content)


OLD: Json = {"users": {ALICE: 100, BOB: 50, CHARLIE: 50}, "ban": 50, "events": {"a": 60}}


@pytest.mark.parametrize(
    ("sender", "change", "allowed"),
    [
        (ALICE, {"ban": 100}, True),
        (ALICE, {"ban": 101}, False),
        (BOB, {"ban": 10}, True),
        (BOB, {"ban": 51}, False),
        (BOB, {"events": {}}, False),
        (BOB, {"events": {"a": 60, "b": 50}}, True),
        (BOB, {"events": {"a": 60, "b": 51}}, False),
        (BOB, {"users": {ALICE: 100, BOB: 10, CHARLIE: 50}}, True),
        (BOB, {"users": {ALICE: 100, BOB: 50, CHARLIE: 10}}, False),
        (BOB, {"users": {ALICE: 100, BOB: 50}}, False),
        (BOB, {"users": {BOB: 50, CHARLIE: 50}}, False),
        (BOB, {"users": {ALICE: 100, BOB: 51, CHARLIE: 50}}, False),
        (BOB, {"users": {**OLD["users"], "@dora:lamp.test": 50}}, True),
        (BOB, {"users_default": 51}, False),
    ],
)
def test_changes(sender: UserId, change: Json, allowed: bool) -> None:
    """Nobody gives or takes more than they have, nor changes the level of an equal."""
    if allowed:
        check_change(OLD, OLD | change, sender)
    else:
        with pytest.raises(Forbidden):
            check_change(OLD, OLD | change, sender)
