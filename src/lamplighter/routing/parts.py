"""Asking a module about fewer users at a time, where a call about all of them fails. Pure.

A module may fail because of one user's data. The other users of the batch must still get their
answers. So the users of a failed call are split into two halves, each half gets a call of its own,
and so on, until it is known for which users the module fails. The users for whom it fails are
remembered as *suspects*: the next question asks about each of them alone from the start.

For example, a module has no team for one of 5,000 users. The first question takes 27 calls: one
about all users, and then two for each halving. The next question takes two calls: one about the
suspect, and one about the other 4,999.

A question takes at most `MOST_CALLS` calls; the users that are left then get no answer.
"""

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from lamplighter.ids import UserId
from lamplighter.recent import Recent

__all__ = ["Part", "Parts", "Suspects"]

#: The users that one call is about.
Part: TypeAlias = tuple[UserId, ...]

#: The most calls for one question.
MOST_CALLS: Final = 100
#: The most suspects with a call of their own; the other suspects get a call together.
MOST_ALONE: Final = 15
#: The most suspects that are remembered.
MOST_SUSPECTS: Final = 1_000


class Suspects:
    """The users for whom a module failed in a call about them alone, and has not answered since."""

    def __init__(self) -> None:
        self._users: Recent[UserId, None] = Recent(MOST_SUSPECTS)

    def __bool__(self) -> bool:
        return bool(self._users)

    def __contains__(self, user_id: UserId) -> bool:
        return user_id in self._users

    def failed(self, part: Part) -> None:
        """A call about these users has failed."""
        if len(part) == 1:
            self._users.put(part[0], None)

    def answered(self, part: Part) -> None:
        """The module has answered about these users."""
        if self._users:
            for user_id in part:
                self._users.drop(user_id)


class Parts:
    """The parts of one question that the module is still to be asked about."""

    def __init__(self, users: Collection[UserId], suspects: Suspects) -> None:
        failing = [it for it in users if it in suspects] if suspects else []
        others = tuple(it for it in users if it not in suspects) if failing else tuple(users)
        alone, rest = failing[:MOST_ALONE], tuple(failing[MOST_ALONE:])
        parts: Sequence[Part] = [others, *((user_id,) for user_id in alone), rest]
        self._waiting = deque(part for part in parts if part)
        #: How many calls the question has taken.
        self.calls = 0

    def take(self) -> Part | None:
        """Return the users for the next call; None if there are none, or no calls are left."""
        if not self._waiting or self.calls >= MOST_CALLS:
            return None
        self.calls += 1
        return self._waiting.popleft()

    def split(self, part: Part) -> bool:
        """Split *part* into two; return False if it cannot be split, or no calls are left."""
        if len(part) == 1 or self.calls + len(self._waiting) + 2 > MOST_CALLS:
            return False
        half = len(part) // 2
        # The halves come next, so that at least one user is found before the calls run out.
        self._waiting.extendleft((part[half:], part[:half]))
        return True

    def give_up(self) -> Part:
        """Return all users that are left; the module is not asked about them."""
        left = tuple(user_id for part in self._waiting for user_id in part)
        self._waiting.clear()
        return left
