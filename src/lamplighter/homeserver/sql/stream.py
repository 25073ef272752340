"""The stream of rooms and account data: its tokens, and the users who have news in it.

A user has *news* if the user's next `/sync` has something to say. Example: alice syncs at position
7, and gets the token `c0ffee_7`. Bob writes a message at position 8, so `tell` notes 8 for alice
and bob. `is_quiet` is false for alice's token, and true again for `c0ffee_8`.

This is the memory of one process, of what it has heard of writes (`news.py`). What a command such
as `register-user` writes beside a server is news for nobody there.

On many nodes, the database may be ahead of what a node has heard. A token is of a moment of the
database, so its client knows everything up to its position, heard of here or not. For a token after
which this node has heard of nothing, `is_quiet` is true: what comes is heard soon, and wakes the
client's poll. Its write has not been acknowledged, if the node has heard all that the log holds.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.ids import UserId

__all__ = ["RoomStream"]

_TOKEN: Final = re.compile(
    r"(?P<incarnation>[0-9a-f]{1,32})_(?P<position>[0-9]{1,18})(?:_(?P<typing>[0-9]{1,18}))?",
    re.ASCII,
)

_NEVER: Final = Timestamp(0)


class RoomStream:
    """The position of the stream, as far as this process has heard of it or read it.

    A token is a position with the mark of the database that gave it out. The stream so recognises
    a token of another database, or of a time that a backup has undone. Typing notices are in memory
    only, and have serial numbers of their own: a token has one if its user ever got such a notice.
    Many nodes number them alike, by where they stand in the stream of all nodes.
    """

    def __init__(self, incarnation: str, position: int, now: Timestamp = _NEVER) -> None:
        self._incarnation = incarnation
        #: The last position that is stored.
        self.position = position
        #: A user who is not in `_news` has had no news since the process started here.
        self._start = position
        self._news: dict[UserId, int] = {}
        #: Serial numbers go on from the time, so that those of an earlier process are smaller.
        self._typing_start = self._typing = int(now)
        self._typing_news: dict[UserId, int] = {}
        self._typing_is_shared = False

    def open(self, incarnation: str, position: int, now: Timestamp) -> None:
        """Go on from what is stored, before anything is noted."""
        self._incarnation = incarnation
        self.position = self._start = position
        self._typing_start = self._typing = int(now)

    def advance(self, position: int) -> None:
        """Learn that everything up to *position* is stored."""
        self.position = max(self.position, position)

    def tell(self, position: int, user_ids: Iterable[UserId]) -> None:
        """Note what is stored at *position*, and that these users have news there."""
        self.advance(position)
        for user_id in user_ids:
            self._news[user_id] = position

    def share_typing(self, begun: int) -> None:
        """Take serial numbers from what all nodes hear: everything after *begun* is heard here."""
        self._typing_start = self._typing = begun
        self._typing_is_shared = True

    def count_typing(self, at: int) -> int:
        """Return the serial number of a change of typing: *at*, or the next after the last."""
        self._typing = max(self._typing + 1, at)
        return self._typing

    def tell_typing(self, serial: int, user_ids: Iterable[UserId]) -> None:
        """Note that these users have news of typing, with that serial number."""
        for user_id in user_ids:
            self._typing_news[user_id] = max(serial, self._typing_news.get(user_id, serial))

    def typing_told(self, user_id: UserId) -> int | None:
        """Return the typing number for the user's next token; None if it needs none."""
        return self._typing if user_id in self._typing_news else None

    def typing_since(self, token: str | None) -> int:
        """Return the serial number up to which a token's user knows of typing.

        It is -1 for a token with a number from before the start, or of a process that counts
        otherwise. A number that all nodes share may be of news that are not heard here yet.
        """
        parts = _parts(token)
        if parts is None or parts[2] is None:
            return self._typing_start
        is_known = parts[2] <= self._typing or self._typing_is_shared
        return parts[2] if self._typing_start <= parts[2] and is_known else -1

    def is_quiet(self, user_id: UserId, token: str | None) -> bool:
        """Tell whether it is certain that nothing has happened to the user since *token*.

        It is not certain for a token from before the start, or for a malformed one.
        """
        parts = _parts(token)
        if parts is None or parts[0] != self._incarnation:
            return False
        if user_id in self._typing_news or parts[2] is not None:
            knows = self.typing_since(token)
            if self._typing_news.get(user_id, self._typing_start) > knows:
                return False
        return self._news.get(user_id, self._start) <= parts[1] <= self.position

    def token(self, position: int, typing: int | None = None) -> str:
        """Return the token for *position*, and for typing notices up to the number *typing*."""
        known = "" if typing is None else f"_{typing}"
        return f"{self._incarnation}_{position}{known}"

    def is_ahead(self, token: str | None) -> bool:
        """Tell whether a token of this database is of a later position than this process knows."""
        parts = _parts(token)
        return parts is not None and parts[0] == self._incarnation and parts[1] > self.position

    def parse(self, token: str | None) -> int | None:
        """Return a token's position; None for one that this database cannot have given out."""
        parts = _parts(token)
        if parts is None or parts[0] != self._incarnation:
            return None
        return parts[1] if parts[1] <= self.position else None


@lru_cache(1_000)  # many users get the same token
def _parts(token: str | None) -> tuple[str, int, int | None] | None:
    match = _TOKEN.fullmatch(token or "")
    if match is None:
        return None
    typing = match["typing"]
    return match["incarnation"], int(match["position"]), None if typing is None else int(typing)
