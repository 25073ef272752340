"""Asking a module about fewer people at a time, where it fails for all of them: pure.

One person whose data a module cannot take must not cost all others their answer. So those that a
failed call was about are asked about in two halves, and again in halves, until it is known whom
the module fails for: among thousands that takes some two dozen calls. The number of calls is
bounded; who failed last time is asked about alone from the start, so that the next question, as
a rule, takes two.
"""

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from lamplighter.ids import UserId

__all__ = ["Part", "Parts", "Suspects"]

#: The people that one call is about.
Part: TypeAlias = tuple[UserId, ...]

#: One question takes at most so many calls.
MOST_CALLS: Final = 100
#: So many of those who failed last time are asked about alone; the rest of them together.
MOST_ALONE: Final = 15
#: So many are remembered.
MOST_SUSPECTS: Final = 1_000


class Suspects:
    """Whom a module has failed for when it was asked about nobody else, and has not answered of."""

    def __init__(self) -> None:
        self._users: dict[UserId, None] = {}

    def __bool__(self) -> bool:
        return bool(self._users)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._users

    def failed(self, part: Part) -> None:
        """The module has failed for these people."""
        if len(part) == 1:
            self._users[part[0]] = None
        if len(self._users) > MOST_SUSPECTS:
            del self._users[next(iter(self._users))]

    def answered(self, part: Part) -> None:
        """The module has answered about these people."""
        if self._users:
            for user_id in part:
                self._users.pop(user_id, None)


class Parts:
    """The parts of one question that are still to be asked."""

    def __init__(self, users: Collection[UserId], suspects: Suspects) -> None:
        failing = [it for it in users if it in suspects] if suspects else []
        others = tuple(it for it in users if it not in suspects) if failing else tuple(users)
        alone, rest = failing[:MOST_ALONE], tuple(failing[MOST_ALONE:])
        parts: Sequence[Part] = [others, *((user_id,) for user_id in alone), rest]
        self._waiting = deque(part for part in parts if part)
        #: How many calls were made.
        self.calls = 0

    def take(self) -> Part | None:
        """Return whom to ask about next; None while, or where, nobody is left to ask about."""
        if not self._waiting or self.calls >= MOST_CALLS:
            return None
        self.calls += 1
        return self._waiting.popleft()

    def split(self, part: Part) -> bool:
        """Ask about these people in halves; return whether that can be."""
        if len(part) == 1 or self.calls + len(self._waiting) + 2 > MOST_CALLS:
            return False
        half = len(part) // 2
        # Next of all, so that somebody is found while calls are left: who is found is remembered.
        self._waiting.extendleft((part[half:], part[:half]))
        return True

    def give_up(self) -> Part:
        """Return everybody who is left; ask about none of them."""
        left = tuple(user_id for part in self._waiting for user_id in part)
        self._waiting.clear()
        return left
