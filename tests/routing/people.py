"""Users, rooms and states for the tests of routing, delivery and the service."""

from typing import Final

from lamplighter.ids import RoomId, UserId
from lamplighter.presence.state import Presence, UserPresenceState

ALICE: Final = UserId("@alice:demo")
BOB: Final = UserId("@bob:demo")
CHARLIE: Final = UserId("@charlie:demo")
DORA: Final = UserId("@dora:elsewhere.org")
HALL: Final = RoomId("!hall:demo")
ATTIC: Final = RoomId("!attic:demo")


def state(
    user_id: str, status_msg: str | None = None, presence: str = Presence.ONLINE, active: int = 1000
) -> UserPresenceState:
    """Return a state: online, and last active at the instant 1000."""
    return UserPresenceState(user_id, presence, active, 0, 0, status_msg, True)


def crowd(count: int) -> list[UserId]:
    """Return so many users of this server."""
    return [UserId(f"@u{number}:demo") for number in range(count)]
