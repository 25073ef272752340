"""The result of `sees`, in words."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from lamplighter.devtools.testing.sees_result import (
    SeesResult,
    Wanted,
    result_of,
    result_without_reasons,
)
from lamplighter.ids import RoomId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.reasons import Module, Reasons, SharedRoom

Shown: TypeAlias = Mapping[str, Any] | None
#: What is visible and why, and whether any modules are loaded.
Allowed: TypeAlias = tuple[tuple[UserPresenceState, Reasons] | None, bool]

REASONS = (SharedRoom(RoomId("!r:demo")), Module("OnCall"))
ALLOWED: Allowed = (UserPresenceState.default("@bob:demo"), REASONS), True
HIDDEN: Allowed = None, True
NO_MODULES: Allowed = None, False
ONLINE = {"presence": "online", "status_msg": "brb"}
OFFLINE = {"presence": "offline"}
BECAUSE = "(because: shared room !r:demo and module OnCall)"
NOT_YET = "(a module has not answered yet)"


@pytest.mark.parametrize(
    ("wanted", "shown", "holds"),
    [
        (Wanted(), ONLINE, True),
        (Wanted(), OFFLINE, False),
        (Wanted(), {}, False),
        (Wanted("online"), ONLINE, True),
        (Wanted("unavailable"), ONLINE, False),
        (Wanted("offline"), OFFLINE, True),
        (Wanted("offline"), {}, True),
        (Wanted("online", "brb"), ONLINE, True),
        (Wanted("online", "lunch"), ONLINE, False),
        (Wanted(status_msg="brb"), ONLINE, True),
    ],
)
def test_what_is_asked_for(wanted: Wanted, shown: Mapping[str, Any], holds: bool) -> None:
    """Without a presence, anything but offline is asked for; nothing shown counts as offline."""
    assert wanted.is_met_by(shown) is holds


@pytest.mark.parametrize(
    ("wanted", "shown", "allowed", "holds", "text"),
    [
        (Wanted("online"), ONLINE, ALLOWED, True, f"a sees b as online “brb” {BECAUSE}"),
        (
            *(Wanted("unavailable", "lunch"), ONLINE, ALLOWED, False),
            f"a sees b as online “brb”, not as unavailable “lunch” {BECAUSE}",
        ),
        (
            *(Wanted(), OFFLINE, ALLOWED, False),
            f"a sees b as offline, not as anything but offline {BECAUSE}",
        ),
        (
            *(Wanted(), None, ALLOWED, False),
            f"a has been shown nothing of b, who was never online {BECAUSE}",
        ),
        (
            *(Wanted(), None, HIDDEN, False),
            "a does not see b: no shared room, and no module names b",
        ),
        (
            *(Wanted(), ONLINE, NO_MODULES, True),
            "a still sees b as online “brb”, but: "
            "no shared room, and no module is loaded that could name b",
        ),
    ],
)
def test_results_explain_themselves(
    wanted: Wanted, shown: Shown, allowed: Allowed, holds: bool, text: str
) -> None:
    """Each result says what is shown and for which reasons, or what is missing."""
    visible, modules = allowed
    result = result_of("a", "b", wanted, shown, visible, modules=modules)
    assert result == SeesResult(holds, text)
    assert (bool(result), repr(result)) == (holds, text)


@pytest.mark.parametrize(
    ("shown", "holds", "text"),
    [
        (ONLINE, True, f"a sees b as online “brb” {NOT_YET}"),
        ({}, False, f"a does not see b {NOT_YET}"),
        (None, False, f"a does not see b {NOT_YET}"),
    ],
)
def test_before_modules_have_answered(shown: Shown, holds: bool, text: str) -> None:
    """While the reasons are unknown, the result still says what the client shows."""
    assert result_without_reasons("a", "b", Wanted(), shown) == SeesResult(holds, text)
