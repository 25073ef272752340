"""Which changes of a user's presence are announced, and why."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

import msgspec

from lamplighter.clock import milliseconds
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["Change", "ChangeReason", "announced", "reason_to_announce"]


class ChangeReason(StrEnum):
    """Why a change is announced; the value is for people."""

    STATUS_MSG = "the status message differs"
    STATE = "the state differs"
    CURRENTLY_ACTIVE = "currently_active differs"
    LAST_ACTIVE = "the last activity is much later"
    FORCED = "a module set it"
    #: Nothing differs: the server repeats the state to other servers, and not to local viewers.
    FEDERATION_PING = "other servers are reminded"


class Change(msgspec.Struct, frozen=True):
    """One announced change of one user's presence."""

    old: UserPresenceState
    new: UserPresenceState
    reason: ChangeReason


def reason_to_announce(
    told: UserPresenceState, new: UserPresenceState, granularity: timedelta
) -> ChangeReason | None:
    """Return why *new* is announced after *told*, the state announced last; None if it is not.

    A later `last_active_ts` is announced only if it is later by more than *granularity*. A later
    sync is never announced.
    """
    if told.status_msg != new.status_msg:
        return ChangeReason.STATUS_MSG
    if told.state != new.state:
        return ChangeReason.STATE
    if new.state == Presence.ONLINE and told.currently_active != new.currently_active:
        return ChangeReason.CURRENTLY_ACTIVE
    if new.last_active_ts - told.last_active_ts > milliseconds(granularity):
        return ChangeReason.LAST_ACTIVE
    return None


def announced(changes: Sequence[Change]) -> list[UserPresenceState]:
    """Return the newest state of each user that local viewers get."""
    newest = {
        change.new.user_id: change.new
        for change in changes
        if change.reason is not ChangeReason.FEDERATION_PING
    }
    return list(newest.values())
