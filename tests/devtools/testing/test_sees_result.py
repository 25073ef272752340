"""The result of `sees`, in words."""

from collections.abc import Mapping
from typing import Any

import pytest

from lamplighter.devtools.testing.sees_result import (
    SeesResult,
    Wanted,
    result_of,
    result_without_reasons,
)
from lamplighter.ids import RoomId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.reasons import Module, SharedRoom

REASONS = (SharedRoom(RoomId("!r:demo")), Module("OnCall"))
ALLOWED = UserPresenceState.default("@bob:demo"), REASONS
ONLINE = {"presence": "online", "status_msg": "brb"}


@pytest.mark.parametrize(
    ("wanted", "shown", "holds"),
    [
        (Wanted(), ONLINE, True),
        (Wanted(), {"presence": "offline"}, False),
        (Wanted(), {}, False),
        (Wanted("online"), ONLINE, True),
        (Wanted("unavailable"), ONLINE, False),
        (Wanted("offline"), {"presence": "offline"}, True),
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
    ("wanted", "shown", "allowed", "modules", "sight"),
    [
        (
            Wanted("online"),
            ONLINE,
            ALLOWED,
            True,
            SeesResult(
                True, "a sees b as online “brb” (because: shared room !r:demo and module OnCall)"
            ),
        ),
        (
            Wanted("unavailable", "lunch"),
            ONLINE,
            ALLOWED,
            True,
            SeesResult(
                False,
                "a sees b as online “brb”, not as unavailable “lunch” "
                "(because: shared room !r:demo and module OnCall)",
            ),
        ),
        (
            Wanted(),
            {"presence": "offline"},
            ALLOWED,
            True,
            SeesResult(
                False,
                "a sees b as offline, not as anything but offline "
                "(because: shared room !r:demo and module OnCall)",
            ),
        ),
        (
            Wanted(),
            None,
            ALLOWED,
            True,
            SeesResult(
                False,
                "a has been shown nothing of b, who was never online "
                "(because: shared room !r:demo and module OnCall)",
            ),
        ),
        (
            Wanted(),
            None,
            None,
            True,
            SeesResult(False, "a does not see b: no shared room, and no module names b"),
        ),
        (
            Wanted(),
            ONLINE,
            None,
            False,
            SeesResult(
                True,
                "a still sees b as online “brb”, but: "
                "no shared room, and no module is loaded that could name b",
            ),
        ),
    ],
)
def test_sights_explain_themselves(
    wanted: Wanted,
    shown: Mapping[str, Any] | None,
    allowed: tuple[UserPresenceState, tuple[SharedRoom | Module, ...]] | None,
    modules: bool,
    sight: SeesResult,
) -> None:
    """Each result says what is shown and for which reasons, or what is missing."""
    assert result_of("a", "b", wanted, shown, allowed, modules=modules) == sight
    assert (bool(sight), repr(sight)) == (sight.holds, sight.explanation)


@pytest.mark.parametrize(
    ("shown", "sight"),
    [
        (ONLINE, SeesResult(True, "a sees b as online “brb” (a module has not answered yet)")),
        ({}, SeesResult(False, "a does not see b (a module has not answered yet)")),
        (None, SeesResult(False, "a does not see b (a module has not answered yet)")),
    ],
)
def test_before_modules_have_answered(shown: Mapping[str, Any] | None, sight: SeesResult) -> None:
    """While the reasons are unknown, the result still says what the client shows."""
    assert result_without_reasons("a", "b", Wanted(), shown) == sight
