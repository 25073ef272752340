"""The model of a cluster keeps its promises in every world that it can come to.

Each rule of the model is switched off once: then the promise is broken for which the rule is there.
"""

from dataclasses import replace
from typing import Final

import pytest

from tests.effort import EXAMPLES
from tests.models.cluster import Design
from tests.models.exploring import Scope, begun, explore
from tests.models.worlds import Way, World, last_told, owner

#: `make check` goes less far than `make test`, and EXAMPLES=1000 farther.
_FARTHER: Final = len(str(EXAMPLES)) - 3

_FROZEN_OWNER: Final = Scope(ways=(Way.FROZEN,), puts=1)
_TWO_PUTS: Final = Scope(ways=(Way.FROZEN,), puts=2)
_OWNER_CUT_OFF: Final = Scope(ways=(Way.CUT,), puts=1, gets=True)
_OTHER_CUT_OFF: Final = Scope(ways=(Way.CUT,), turned=(1,), puts=1, gets=True)
_OWNER_DIES: Final = Scope(killed=(0,), puts=1, gets=True)
_POLLS_CUT_OFF: Final = Scope(ways=(Way.CUT,), polls=True)
_POLLS_FROZEN: Final = Scope(ways=(Way.FROZEN,), polls=True)
_POLLS_DEATH: Final = Scope(killed=(0,), polls=True)
_TOKENS: Final = Scope(ways=(Way.CUT,), turned=(1,), puts=1, asks=True)
_ROOMS: Final = Scope(moves=True, asks=True, puts=1)

#: What may befall the cluster, and how many acts, so that all of it takes seconds.
EXPLORED: Final = {
    "the owner is frozen": (_FROZEN_OWNER, 6),
    "two PUTs and a frozen owner": (_TWO_PUTS, 3),
    "the owner is cut off": (_OWNER_CUT_OFF, 6),
    "another node is cut off": (_OTHER_CUT_OFF, 6),
    "the owner dies, and is started": (_OWNER_DIES, 6),
    "polls, and a node that is cut off": (_POLLS_CUT_OFF, 6),
    "polls, and a node that is frozen": (_POLLS_FROZEN, 6),
    "polls, and a node that dies": (_POLLS_DEATH, 6),
    "tokens at nodes of which one is behind": (_TOKENS, 5),
    "rooms that are left and joined": (_ROOMS, 3),
}

#: The rule that is switched off, where, and which promise is broken then.
SWITCHED_OFF: Final = {
    "appends_are_fenced": (_FROZEN_OWNER, 6, "written by another than the owner"),
    "behind_a_token_is_no_answer": (_TOKENS, 5, "told again"),
    "tokens_say_what_was_read": (_TOKENS, 5, "a gap"),
    "rooms_come_in_order": (_ROOMS, 3, "a sight that is forbidden"),
    "reads_ask_first": (_OTHER_CUT_OFF, 6, "a read misses what was acknowledged"),
    "saved_before_acknowledged": (_FROZEN_OWNER, 6, "acknowledged, and not kept"),
    "saves_never_go_back": (_TWO_PUTS, 3, "acknowledged, and not kept"),
    "take_over_begins_the_grace": (_POLLS_DEATH, 6, "offline, and the client polls"),
    "cut_off_counts_itself_out": (
        replace(_POLLS_CUT_OFF, polls_at=(0,)),
        6,
        "offline, and the client polls",
    ),
}


@pytest.mark.parametrize("name", EXPLORED)
def test_promises(name: str) -> None:
    """No world that so many acts can lead to breaks a promise, whatever nodes do first."""
    scope, acts = EXPLORED[name]
    found = explore(Design(), scope, acts + _FARTHER)
    assert (found.broken, found.trace) == ("", ())


@pytest.mark.parametrize("rule", SWITCHED_OFF)
def test_each_rule_is_needed(rule: str) -> None:
    """Without the rule a promise is broken, in as many acts as are gone through with it."""
    scope, acts, broken = SWITCHED_OFF[rule]
    assert explore(replace(Design(), **{rule: False}), scope, acts).broken == broken


def test_where_worlds_begin() -> None:
    """Each node runs, and owns its own partition."""
    world = begun(Design())
    assert [owner(world.log, user) for user in (0, 1)] == [1, 2]
    assert [it is not None and it.read == len(world.log) for it in world.nodes] == [True, True]


def _second_owner_answers(world: World) -> str:
    is_told = last_told(world.log, 0)[0] == world.acknowledged[0] > 0
    return "answered" if is_told and owner(world.log, 0) != 1 else ""


def _is_offline_again(world: World) -> str:
    place, (is_online, _) = last_told(world.log, 0)
    return "offline" if place and not is_online and world.heard[0] == place else ""


@pytest.mark.parametrize(
    ("scope", "look", "reached"),
    [
        (_FROZEN_OWNER, _second_owner_answers, "answered"),
        (replace(_POLLS_DEATH, asks=True), _is_offline_again, "offline"),
    ],
)
def test_something_happens(scope: Scope, look: object, reached: str) -> None:
    """A PUT is answered by the next owner, and a viewer is told that who has gone is offline."""
    assert callable(look)
    assert explore(Design(), scope, 6, look).broken == reached
