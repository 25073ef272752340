"""Who may see whom, and when, as far as it is known: by rooms, and by the rule of the module."""

from collections.abc import Iterable, Sequence
from enum import Enum
from math import inf

from lamplighter.ids import RoomId, UserId
from tests.chaos.history import History
from tests.chaos.rules import Rule

__all__ = ["Sight", "SightOf"]


class SightOf(Enum):
    """How a viewer sees a user."""

    NOTHING = "not"
    #: Without the status message, because the module hides it.
    VEILED = "without the message"
    PLAIN = "as the user is"


class Sight:
    """The memberships and the rule over time."""

    def __init__(self, users: Iterable[UserId], rule: Rule) -> None:
        self._users = tuple(users)
        self.rule = History(rule)
        self._joined: dict[RoomId, dict[UserId, History[bool]]] = {}

    def add_room(self, room_id: RoomId) -> None:
        """Know a room, which nobody has joined."""
        self._joined[room_id] = {it: History(False) for it in self._users}

    def joining(self, room_id: RoomId, user_id: UserId, at: float) -> None:
        """Learn that the user asks to join or to leave: both is possible from then on."""
        self._joined[room_id][user_id].may_be(at, {True, False})

    def joined(self, room_id: RoomId, user_id: UserId, at: float, *, is_in: bool) -> None:
        """Learn that the user has joined, or left."""
        self._joined[room_id][user_id].may_be(at, {is_in})

    def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """Return the rooms that the user may have joined."""
        return [it for it, members in self._joined.items() if True in members[user_id].now]

    def between(
        self, viewer: UserId, user_id: UserId, start: float, end: float
    ) -> frozenset[SightOf]:
        """Return how the viewer may have seen the user at any time from *start* to *end*."""
        if viewer == user_id:
            return frozenset({SightOf.PLAIN})
        by_rooms = self._by_rooms(viewer, user_id, start, end)
        found: set[SightOf] = set()
        for rule in self.rule.between(start, end):
            if rule.veils(viewer, user_id):
                found.add(SightOf.VEILED)
            elif rule.shows(viewer, user_id):
                found.add(SightOf.PLAIN)
            else:
                found |= by_rooms
        return frozenset(found)

    def shown_by_rules(self, viewer: UserId, user_id: UserId) -> str:
        """Return which rules have shown the user to the viewer, to be told with a problem."""
        rules = self.rule.between(0.0, inf)
        shown = [it.version for it in rules if it.shows(viewer, user_id)]
        veiled = [it.version for it in rules if it.veils(viewer, user_id)]
        return f"rules that show {user_id} to {viewer}: {sorted(shown)}; veiled: {sorted(veiled)}"

    def was_by_rule(self, viewer: UserId, user_id: UserId, since: float) -> bool:
        """Tell whether a rule since *since* lets the viewer see the user."""
        rules = self.rule.between(since, inf)
        return any(it.veils(viewer, user_id) or it.shows(viewer, user_id) for it in rules)

    def _by_rooms(
        self, viewer: UserId, user_id: UserId, start: float, end: float
    ) -> frozenset[SightOf]:
        """Return how; whoever leaves one room, and is in another all the time, loses nothing."""
        possible = set()
        for members in self._joined.values():
            both = [members[it].between(start, end) for it in (viewer, user_id)]
            if both == [{True}, {True}]:
                return frozenset({SightOf.PLAIN})
            possible.add(all(True in it for it in both))
        return frozenset({SightOf.NOTHING, *([SightOf.PLAIN] if True in possible else [])})
