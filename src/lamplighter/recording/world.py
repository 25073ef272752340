"""Everything as it is at one place in a record."""

from collections.abc import Iterator

from lamplighter.clock import Timestamp
from lamplighter.ids import RoomId, UserId, server_of
from lamplighter.ports import Account
from lamplighter.presence.state import UserPresenceState
from lamplighter.recording.events import (
    VERSION,
    Away,
    Began,
    Known,
    KnownAccounts,
    Looking,
    Moved,
    RecordedBatch,
    RecordedEvent,
    Viewed,
)

__all__ = ["RecordedWorld"]


class RecordedWorld:
    """Follows the events of a record; `snapshot` returns events that lead to the same world."""

    def __init__(self, began: Began) -> None:
        self.began = began
        self.states: dict[UserId, UserPresenceState] = {}
        self.rooms: dict[RoomId, dict[UserId, None]] = {}
        self.accounts: dict[UserId, Account] = {}
        #: The viewers who get changes at once.
        self.looking: dict[UserId, None] = {}

    def apply(self, event: RecordedEvent) -> None:
        """Change the world as *event* says."""
        match event:
            case Known(states=states) | RecordedBatch(states=states):
                self.states.update((UserId(state.user_id), state) for state in states)
            case Moved(joined=True):
                self.rooms.setdefault(event.room_id, {})[event.user_id] = None
            case Moved():
                members = self.rooms.get(event.room_id, {})
                members.pop(event.user_id, None)
                if not members:
                    self.rooms.pop(event.room_id, None)
            case Looking(viewers=viewers):
                self.looking.update(dict.fromkeys(viewers))
            case Viewed(viewer=viewer, looks=True):
                self.looking[viewer] = None
            case Away(viewers=viewers):
                for viewer in viewers:
                    self.looking.pop(viewer, None)
            case KnownAccounts(accounts=accounts):
                self.accounts.update((account.user_id, account) for account in accounts)
            case _:
                pass

    def snapshot(self, at: Timestamp) -> Iterator[RecordedEvent]:
        """Yield the events that lead from nothing to this world."""
        yield Began(at, VERSION, self.began.server_name, self.began.module_timeout)
        yield KnownAccounts(at, list(self.accounts.values()))
        yield Known(at, list(self.states.values()))
        for room_id, members in self.rooms.items():
            for user_id in members:
                yield Moved(at, room_id, user_id, joined=True)
        yield Looking(at, list(self.looking))

    def is_mine(self, user_id: UserId) -> bool:
        """Tell whether the user is a user of the recorded server."""
        return server_of(user_id) == self.began.server_name

    def mentions(self, user_id: UserId) -> bool:
        """Tell whether any event was about the user."""
        members = (user_id in members for members in self.rooms.values())
        return user_id in self.states or user_id in self.looking or any(members)
