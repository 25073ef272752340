"""What first syncs start from: a user's rooms and account data, kept while nothing happens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.directory.sql.kept import Kept
from lamplighter.directory.sql.sections import AccountDataByRoom, RoomOfUser
from lamplighter.directory.sql.stream import Stream
from lamplighter.ids import UserId

__all__ = ["Home", "Homes"]

#: So many rooms and pieces of account data are kept, of all users together.
_MOST: Final = 50_000


@dataclass(frozen=True, slots=True)
class Home:
    """What there was of a user at some place in the stream."""

    position: int
    #: The rooms that the user is in or invited to.
    rooms: Sequence[RoomOfUser]
    account_data: AccountDataByRoom


class Homes:
    """The homes of those who synced lately."""

    def __init__(self) -> None:
        self._kept: Kept[UserId, Home] = Kept(_MOST)

    def at_hand(self, user_id: UserId, stream: Stream) -> Home | None:
        """Return the user's home if it is kept, and nothing has happened to the user since."""
        home = self._kept.get(user_id)
        if home is None or stream.may_have_news(user_id, home.position):
            return None
        return home

    def keep(self, user_id: UserId, home: Home) -> None:
        """Keep what was just read."""
        data = sum(map(len, home.account_data.values()))
        self._kept.put(user_id, home, 1 + len(home.rooms) + data)
