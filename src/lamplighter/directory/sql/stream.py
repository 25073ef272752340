"""The one stream of everything that clients have to be told: its tokens, and who has news in it."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from lamplighter.ids import UserId

__all__ = ["Stream"]

_TOKEN: Final = re.compile(r"(?P<incarnation>[0-9a-f]{1,32})_(?P<position>[0-9]{1,18})", re.ASCII)


class Stream:
    """How far the stream has come, as far as this process knows.

    A token is a position with the mark of the database that gave it out, so that one from
    another database, or from a time that a backup has undone, is recognised.
    """

    def __init__(self, incarnation: str, position: int) -> None:
        self._incarnation = incarnation
        self._position = position
        #: Who is not in `_news` had none since the process started here.
        self._start = position
        self._news: dict[UserId, int] = {}

    @property
    def position(self) -> int:
        """The last position that is stored."""
        return self._position

    def advance(self, position: int) -> None:
        """Learn that everything up to *position* is stored."""
        self._position = max(self._position, position)

    def tell(self, user_ids: Iterable[UserId]) -> None:
        """Note that these users have news at the present position."""
        for user_id in user_ids:
            self._news[user_id] = self._position

    def is_quiet(self, user_id: UserId, token: str | None) -> bool:
        """Tell whether it is certain that nothing has happened to the user since *token*.

        It is not for a token from before the start, or one that says nothing.
        """
        parts = None if token is None else _parts(token)
        if parts is None or parts[0] != self._incarnation:
            return False
        return self._news.get(user_id, self._start) <= parts[1] <= self._position

    def token(self, position: int) -> str:
        """Return the token that stands for *position*."""
        return f"{self._incarnation}_{position}"

    def parse(self, token: str | None) -> int | None:
        """Return a token's position; None for one that this database cannot have given out."""
        parts = None if token is None else _parts(token)
        if parts is None or parts[0] != self._incarnation:
            return None
        return parts[1] if parts[1] <= self._position else None


@lru_cache(1_000)  # everybody who is told the same comes back with the same token
def _parts(token: str) -> tuple[str, int] | None:
    match = _TOKEN.fullmatch(token)
    return None if match is None else (match["incarnation"], int(match["position"]))
