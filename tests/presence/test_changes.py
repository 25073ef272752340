"""Which changes are announced."""

from datetime import timedelta

import pytest

from lamplighter.presence.changes import ChangeReason, reason_to_announce
from lamplighter.presence.state import UserPresenceState
from tests.presence.people import ALICE, BUSY, OFFLINE, ONLINE, START, UNAVAILABLE

TOLD = UserPresenceState(ALICE, ONLINE, START, START, START, "at lunch", True)
AWAY = TOLD.copy_and_replace(state=UNAVAILABLE, currently_active=False)
WORDLESS = TOLD.copy_and_replace(status_msg=None)
GRANULARITY = timedelta(seconds=60)


def reason(told: UserPresenceState, **fields: object) -> ChangeReason | None:
    """Return why a state that differs from *told* in *fields* is announced."""
    return reason_to_announce(told, told.copy_and_replace(**fields), GRANULARITY)


@pytest.mark.parametrize(
    ("told", "fields", "expected"),
    [
        # the state announced last, what differs, the reason
        (TOLD, {}, None),
        (TOLD, {"status_msg": None}, ChangeReason.STATUS_MSG),
        (TOLD, {"status_msg": ""}, ChangeReason.STATUS_MSG),
        (AWAY, {"status_msg": "back"}, ChangeReason.STATUS_MSG),
        (WORDLESS, {"status_msg": ""}, ChangeReason.STATUS_MSG),
        (TOLD, {"state": BUSY}, ChangeReason.STATE),
        (TOLD, {"state": OFFLINE, "currently_active": False}, ChangeReason.STATE),
        (AWAY, {"state": ONLINE}, ChangeReason.STATE),
        (TOLD, {"currently_active": False}, ChangeReason.CURRENTLY_ACTIVE),
        (AWAY, {"currently_active": True}, None),
        (TOLD, {"last_active_ts": START + 60_000}, None),
        (TOLD, {"last_active_ts": START + 60_001}, ChangeReason.LAST_ACTIVE),
        (AWAY, {"last_active_ts": START + 60_001}, ChangeReason.LAST_ACTIVE),
        (TOLD, {"last_active_ts": START - 60_001}, None),
        (TOLD, {"last_user_sync_ts": START + 10**9}, None),
        (TOLD, {"last_federation_update_ts": START + 10**9}, None),
    ],
)
def test_reason(
    told: UserPresenceState, fields: dict[str, object], expected: ChangeReason | None
) -> None:
    """Message, state, currently_active while online, and a late activity are announced; no more."""
    assert reason(told, **fields) is expected
