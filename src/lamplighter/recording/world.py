"""How everything stands at one place in the log."""

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
    """Follows the events; what it then holds can be written down as events again."""

    def __init__(self, began: Began) -> None:
        self.began = began
        self.states: dict[UserId, UserPresenceState] = {}
        self.rooms: dict[RoomId, dict[UserId, None]] = {}
        self.accounts: dict[UserId, Account] = {}
        #: Who is told as things happen.
        self.looking: dict[UserId, None] = {}

    def apply(self, event: RecordedEvent) -> None:
        """Let *event*, of this same server, have happened."""
        match event:
            case Known(states=states) | RecordedBatch(states=states):
                self.states.update((UserId(state.user_id), state) for state in states)
            case Moved():
                self._move(event)
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
        """Yield events that lead from nothing to here."""
        yield Began(at, VERSION, self.began.server_name, self.began.module_timeout)
        yield KnownAccounts(at, list(self.accounts.values()))
        yield Known(at, list(self.states.values()))
        for room_id, members in self.rooms.items():
            for user_id in members:
                yield Moved(at, room_id, user_id, joined=True)
        yield Looking(at, list(self.looking))

    def is_mine(self, user_id: UserId) -> bool:
        """Tell whether the user is one of the server that was recorded."""
        return server_of(user_id) == self.began.server_name

    def mentions(self, user_id: UserId) -> bool:
        """Tell whether the user has been heard of in any way."""
        members = (user_id in members for members in self.rooms.values())
        return user_id in self.states or user_id in self.looking or any(members)

    def _move(self, moved: Moved) -> None:
        if moved.joined:
            self.rooms.setdefault(moved.room_id, {})[moved.user_id] = None
            return
        members = self.rooms.get(moved.room_id, {})
        members.pop(moved.user_id, None)
        if not members:
            self.rooms.pop(moved.room_id, None)
