"""Which users an answer contains."""

import pytest

from lamplighter.ids import StreamPosition
from lamplighter.presence.state import Presence
from lamplighter.service.scopes import Scope, everything, first_sync, online_or_since, since
from tests.routing.people import ALICE, BOB, state

OFFLINE = state(BOB, presence=Presence.OFFLINE)
AWAY = state(BOB, "on holiday", presence=Presence.OFFLINE)


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (everything(), "online offline away own"),
        (first_sync(ALICE), "online away own"),
        (since(StreamPosition(5)), ""),
        (online_or_since(StreamPosition(5)), "online"),
    ],
)
def test_scopes_by_state(scope: Scope, told: str) -> None:
    """Each scope has the users whose state alone brings them into the answer."""
    states = {
        "online": state(BOB),
        "offline": OFFLINE,
        "away": AWAY,
        "own": state(ALICE, presence=Presence.OFFLINE),
    }
    assert not scope.admits_news(StreamPosition(5))
    assert [name for name, it in states.items() if scope.admits_state(it)] == told.split()


@pytest.mark.parametrize(("position", "is_new"), [(5, False), (6, True), (None, False)])
def test_since(position: int | None, is_new: bool) -> None:
    """New is what comes after the position; nothing is to an answer that does not go on."""
    happened = None if position is None else StreamPosition(position)
    for scope in (since(StreamPosition(5)), online_or_since(StreamPosition(5))):
        assert scope.admits_news(happened) is is_new
    assert not everything().admits_news(happened)
