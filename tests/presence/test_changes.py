"""Which changes are announced."""

from datetime import timedelta

import pytest

from lamplighter.presence.changes import Change, ChangeReason, reason_to_announce
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
        # what was told, what differs, why it is told
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


def test_the_first_reason_is_given() -> None:
    """If several reasons hold, the one that matters most to people is given."""
    everything: dict[str, object] = {
        "last_active_ts": START + 60_001,
        "currently_active": False,
        "state": UNAVAILABLE,
        "status_msg": None,
    }
    given = []
    told = TOLD
    for field in ("status_msg", "state", "last_active_ts"):
        given.append(reason(told, **everything))
        told = told.copy_and_replace(**{field: everything[field]})

    assert given == [ChangeReason.STATUS_MSG, ChangeReason.STATE, ChangeReason.LAST_ACTIVE]
    assert reason(TOLD, last_active_ts=START + 60_001, currently_active=False) is (
        ChangeReason.CURRENTLY_ACTIVE
    )


def test_a_change_says_from_what_to_what_and_why() -> None:
    """Changes are values with the old state, the new state and the reason."""
    assert Change(TOLD, AWAY, ChangeReason.STATE) == Change(
        old=TOLD, new=AWAY, reason=ChangeReason.STATE
    )
    assert len({Change(TOLD, AWAY, why) for why in ChangeReason}) == len(ChangeReason)
