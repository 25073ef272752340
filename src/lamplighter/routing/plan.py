"""The one answer to "who is told, of what, and why".

Push, sync, GET, federation, explanations and tests all ask the `Planner`; they differ only in
the states they bring and the viewers they ask about. So no path can show more than another, and
the explanation cannot lie. `view` is `plan` for a single viewer: the same rules, gone through from
the viewer's side, because from the users' side they would be gone through once per user.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.reasons import Module, Reasons, Self, SharedRoom
from lamplighter.routing.visibility import ModuleInterests

__all__ = ["Planner", "Route", "Routes", "Sights", "Telling"]


class Route(msgspec.Struct, frozen=True):
    """A state that modules, by `get_users_for_states`, send to a viewer."""

    #: As the last module in config order gave it that has altered it, or as it is if none has.
    #: None is withheld: a module that usually alters this user for the viewer has not answered.
    state: UserPresenceState | None
    #: Those that send the viewer the user, altered or not, in config order.
    modules: tuple[Module, ...]
    #: Those by which the state is what it is, and not as it is; or by which it is withheld.
    altering: tuple[Module, ...] = ()
    #: Those that have altered it otherwise, and stand before the last one that has.
    overruled: tuple[Module, ...] = ()


#: Viewer to user to what modules send the viewer of that user.
Routes: TypeAlias = Mapping[UserId, Mapping[UserId, Route]]


@dataclass(frozen=True, slots=True)
class Sights:
    """What one viewer sees."""

    #: Of which users, and why.
    reasons: Mapping[UserId, Reasons]
    #: How each of them is, as the viewer sees it; of others it says nothing.
    states: Mapping[UserId, UserPresenceState]


@dataclass(slots=True)
class Telling:
    """One state, and everybody who is told it, each with the reasons."""

    state: UserPresenceState
    recipients: dict[UserId, Reasons] = field(default_factory=dict)

    @property
    def user_id(self) -> UserId:
        """Whose presence it is."""
        return UserId(self.state.user_id)


class Planner:
    """Decides who is told, from shared rooms and the modules' answers."""

    def __init__(self, rooms: SharedRooms, interests: ModuleInterests) -> None:
        self._rooms = rooms
        self._interests = interests

    def plan(
        self, states: Iterable[UserPresenceState], routes: Routes, viewers: AbstractSet[UserId]
    ) -> list[Telling]:
        """Return who of *viewers* is told of *states*, and what *routes* send them besides.

        A viewer to whom a route sends a state of a user is told that one instead of the user's
        own, or nothing where it is withheld; for one viewer, no user stands in two tellings.
        """
        tellings = [self._native(state, viewers) for state in states]
        routed = routes.keys() & viewers
        if not routed:
            return [telling for telling in tellings if telling.recipients]
        own = {telling.user_id: telling for telling in tellings}
        altered: dict[UserPresenceState, Telling] = {}
        for viewer in routed:
            for user_id, route in routes[viewer].items():
                told = own.get(user_id)
                reasons = told.recipients.pop(viewer, ()) if told else self.reasons(viewer, user_id)
                if route.state is None:  # withheld
                    continue
                if told is None or route.state != told.state:
                    told = altered.setdefault(route.state, Telling(route.state))
                told.recipients[viewer] = _merged(reasons, route.modules)
        return [telling for telling in (*tellings, *altered.values()) if telling.recipients]

    def view(
        self, viewer: UserId, states: Mapping[UserId, UserPresenceState], routes: Routes
    ) -> Sights:
        """Return what *viewer* is told of *states*, and what *routes* send them besides.

        It is what a plan for this viewer alone says.
        """
        sights = self._native_view(viewer, states.keys())
        routed = routes.get(viewer)
        if not routed:
            return Sights(sights, states)
        shown = dict(states)
        for user_id, route in routed.items():
            if user_id in states:
                reasons = sights.pop(user_id, ())
            else:
                reasons = self.reasons(viewer, user_id)
            if route.state is not None:  # else it is withheld
                sights[user_id] = _merged(reasons, route.modules)
                shown[user_id] = route.state
        return Sights(sights, shown)

    def reasons(self, viewer: UserId, user_id: UserId) -> Reasons:
        """Return why *viewer* may see *user_id*, routes aside; empty if they may not."""
        return self._native_view(viewer, {user_id}).get(user_id, ())

    def sees(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether `reasons` has any: a few look-ups, however many rooms each is in."""
        return (
            viewer == user_id
            or self._rooms.share(viewer, user_id)
            or user_id in self._interests.named_for(viewer)
            or self.sees_all(viewer)
        )

    def in_reach(self, viewer: UserId) -> int:
        """Return how many `candidates` there are at most, without looking at any."""
        rooms = (len(self._rooms.members(room_id)) for room_id in self._rooms.rooms_of(viewer))
        return 1 + len(self._interests.named_for(viewer)) + sum(rooms)

    def candidates(self, viewer: UserId) -> set[UserId]:
        """Return everybody the viewer may see by a room, a name or themselves.

        For a viewer of all users that is everybody known, which is not for the planner to say.
        """
        return {viewer, *self._rooms.neighbours(viewer), *self._interests.named_for(viewer)}

    def sees_all(self, viewer: UserId) -> bool:
        """Tell whether a module lets the viewer see everybody."""
        return viewer in self._interests.viewers_of_all()

    def visible_since(self, viewer: UserId, user_id: UserId) -> StreamPosition | None:
        """Return since which position the viewer may see the user, routes aside.

        None where they may not, and for oneself, who was never out of sight.
        """
        if viewer == user_id:
            return None
        positions = (
            self._rooms.shared_since(viewer, user_id),
            self._interests.named_since(viewer, user_id),
        )
        return min((position for position in positions if position is not None), default=None)

    def came_into_sight(self, viewer: UserId, position: StreamPosition) -> set[UserId]:
        """Return everybody whom the viewer may see since after *position*, and perhaps others.

        Not if it is everybody known, of which `sees_all_since` tells.
        """
        return {
            *self._rooms.met_after(viewer, position),
            *self._interests.named_after(viewer, position),
        }

    def sees_all_since(self, viewer: UserId) -> StreamPosition | None:
        """Return since when a module lets the viewer see everybody; None if none does."""
        return self._interests.all_since(viewer)

    def _native(self, state: UserPresenceState, viewers: AbstractSet[UserId]) -> Telling:
        """Return who sees the state as it is: themselves, room members, and by a module's word."""
        user_id = UserId(state.user_id)
        recipients: dict[UserId, Reasons] = {}
        for room_id in self._rooms.rooms_of(user_id):
            because: Reasons = (SharedRoom(room_id),)  # one tuple for all members of the room
            for viewer in self._rooms.members(room_id).keys() & viewers:
                known = recipients.get(viewer)
                recipients[viewer] = because if known is None else known + because
        for viewer in viewers & self._interests.viewers_of(user_id):
            named = self._interests.reasons(viewer, user_id)
            recipients[viewer] = recipients.get(viewer, ()) + named
        see_all = self._interests.viewers_of_all()
        for viewer in see_all.keys() & viewers if see_all else ():
            recipients[viewer] = (*recipients.get(viewer, ()), see_all[viewer])
        if user_id in viewers:
            recipients[user_id] = (Self(),)
        return Telling(state, recipients)

    def _native_view(self, viewer: UserId, users: AbstractSet[UserId]) -> dict[UserId, Reasons]:
        """Return whom of *users* the viewer sees as they are, and why: `_native`, turned round."""
        sights: dict[UserId, Reasons] = {}
        for room_id in self._rooms.rooms_of(viewer):
            because: Reasons = (SharedRoom(room_id),)
            members = self._rooms.members(room_id).keys() & users
            if not sights:  # the first room, and mostly the only one
                sights = dict.fromkeys(members, because)
                continue
            for user_id in members:
                known = sights.get(user_id)
                sights[user_id] = because if known is None else known + because
        for user_id in self._interests.named_for(viewer) & users:
            named = self._interests.reasons(viewer, user_id)
            sights[user_id] = sights.get(user_id, ()) + named
        sees_all = self._interests.viewers_of_all().get(viewer)
        if sees_all is not None:
            for user_id in users:
                sights[user_id] = (*sights.get(user_id, ()), sees_all)
        if viewer in users:
            sights[viewer] = (Self(),)
        return sights


def _merged(reasons: Reasons, modules: tuple[Module, ...]) -> Reasons:
    return (*reasons, *(module for module in modules if module not in reasons))
