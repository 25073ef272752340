"""The updates for one viewer since the outbox was opened: the newest of each user."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from msgspec.structs import replace

from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.reasons import Module, Reasons

__all__ = ["Outbox", "Update"]

#: Beyond this many users the oldest updates are dropped; older tokens are answered from scratch.
MOST_UPDATES: Final = 20_000


class Update(msgspec.Struct, frozen=True, gc=False):
    """One state for one viewer. A Struct, because one is made for each user in a first sync."""

    state: UserPresenceState
    #: Why the viewer gets it. Without any, the user is not visible to the viewer any more: then the
    #: state is the default one, and says nothing of the user.
    reasons: Reasons
    #: Tokens before this position have not seen it.
    position: StreamPosition
    #: The position of the change that it is about. It differs where a module answered late.
    about: StreamPosition


class Outbox:
    """Updates for one viewer, in the order of their positions.

    It only makes answers fast: a token from before `since` is answered from scratch instead.
    """

    __slots__ = ("_updates", "since")

    def __init__(self, since: StreamPosition) -> None:
        #: Tokens from here on can be answered from this outbox.
        self.since = since
        self._updates: dict[UserId, Update] = {}

    def put(self, user_id: UserId, update: Update) -> bool:
        """Add *update*, unless the one there is about a newer change; tell whether it was added."""
        before = self._updates.get(user_id)
        if before is not None:
            if before.about > update.about:
                return False
            del self._updates[user_id]  # so that the new one stands at the end
        self._updates[user_id] = update
        if len(self._updates) > MOST_UPDATES:
            self._drop_oldest()
        return True

    def explain(self, user_id: UserId, about: StreamPosition, reasons: Reasons) -> None:
        """Give the update of *user_id* about that change, if it is there, other *reasons*.

        It is no news; but an update for which a module is a reason outlasts the end of a shared
        room.
        """
        update = self._updates.get(user_id)
        if update is not None and update.about == about:
            self._updates[user_id] = replace(update, reasons=reasons)

    def end(self, ending: Update) -> None:
        """Put *ending* in the place of the user's update, for tokens that have not passed it.

        A token that has passed the update gets nothing more.
        """
        user_id = UserId(ending.state.user_id)
        update = self._updates.get(user_id)
        if update is not None:
            self._updates[user_id] = replace(update, state=ending.state, reasons=ending.reasons)

    def drop(self, user_id: UserId) -> None:
        """Drop the update of *user_id*."""
        self._updates.pop(user_id, None)

    def last(self, user_id: UserId) -> Update | None:
        """Return the newest update of *user_id*, whether or not a client has got it."""
        return self._updates.get(user_id)

    def last_of(self, users: AbstractSet[UserId]) -> Sequence[tuple[UserId, Update]]:
        """Return the newest update of each of *users* of whom there is one."""
        return [(it, self._updates[it]) for it in self._updates.keys() & users]

    def sent_by_modules(self) -> list[UserId]:
        """Return the users for whose update a module is a reason."""
        told = self._updates.items()
        return [it for it, update in told if any(isinstance(why, Module) for why in update.reasons)]

    def after(self, position: StreamPosition) -> list[Update]:
        """Return the updates after *position*, newest first: work in proportion to the news."""
        news = []
        for update in reversed(self._updates.values()):
            if update.position <= position:
                break
            news.append(update)
        return news

    def _drop_oldest(self) -> None:
        user_id = next(iter(self._updates))
        self.since = max(self.since, self._updates.pop(user_id).position)
