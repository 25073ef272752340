"""The only answer to the question of which viewers receive which states, and why.

Push, sync, GET, federation, explanations and tests all ask the `Planner`. They differ only in the
states and in the viewers that they ask about, so no path reveals more than another, and an
explanation tells what really happens.

`view` has the same result as `plan` for a single viewer. `plan` starts from the users and `view`
from the viewer, because `plan` would go through the viewer's rooms once per user.
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

__all__ = ["Delivery", "Planner", "Route", "Routes", "VisibleStates"]


class Route(msgspec.Struct, frozen=True):
    """The state of a user that modules send to a viewer by `get_users_for_states`."""

    #: The real state, or the one of the last module in config order that has altered it. None is
    #: withheld: a module that usually alters this user for the viewer has not answered.
    state: UserPresenceState | None
    #: All modules that send the user to the viewer, altered or not, in config order.
    modules: tuple[Module, ...]
    #: The modules that have altered the state into this one, or because of which it is withheld.
    altering: tuple[Module, ...] = ()
    #: The earlier modules that have altered the state in another way.
    overruled: tuple[Module, ...] = ()


#: Viewer to user to the state that modules send to the viewer.
Routes: TypeAlias = Mapping[UserId, Mapping[UserId, Route]]


@dataclass(frozen=True, slots=True)
class VisibleStates:
    """The users that one viewer may see."""

    #: Each visible user, with the reasons.
    reasons: Mapping[UserId, Reasons]
    #: The states of these users as the viewer sees them; states of other users mean nothing.
    states: Mapping[UserId, UserPresenceState]


@dataclass(slots=True)
class Delivery:
    """One state with its recipients, each with the reasons."""

    state: UserPresenceState
    recipients: dict[UserId, Reasons] = field(default_factory=dict)

    @property
    def user_id(self) -> UserId:
        """The user whose presence it is."""
        return UserId(self.state.user_id)


class Planner:
    """Decides who receives what, from the shared rooms and the modules' answers."""

    def __init__(self, rooms: SharedRooms, interests: ModuleInterests) -> None:
        self._rooms = rooms
        self._interests = interests

    def plan(
        self, states: Iterable[UserPresenceState], routes: Routes, viewers: AbstractSet[UserId]
    ) -> list[Delivery]:
        """Return *states*, and the states in *routes*, with the recipients among *viewers*.

        A viewer with a route for a user gets the state of the route instead of the real one, or
        nothing if the route withholds it. No viewer gets two states of one user.
        """
        deliveries = [self._native(state, viewers) for state in states]
        routed = routes.keys() & viewers
        if not routed:
            return [delivery for delivery in deliveries if delivery.recipients]
        own = {delivery.user_id: delivery for delivery in deliveries}
        altered: dict[UserPresenceState, Delivery] = {}
        for viewer in routed:
            for user_id, route in routes[viewer].items():
                told = own.get(user_id)
                reasons = told.recipients.pop(viewer, ()) if told else self.reasons(viewer, user_id)
                if route.state is None:  # withheld
                    continue
                if told is None or route.state != told.state:
                    told = altered.setdefault(route.state, Delivery(route.state))
                told.recipients[viewer] = _merged(reasons, route.modules)
        return [delivery for delivery in (*deliveries, *altered.values()) if delivery.recipients]

    def view(
        self, viewer: UserId, states: Mapping[UserId, UserPresenceState], routes: Routes
    ) -> VisibleStates:
        """Return the users of *states* and *routes* that *viewer* may see, as `plan` would."""
        visible = self._native_view(viewer, states.keys())
        routed = routes.get(viewer)
        if not routed:
            return VisibleStates(visible, states)
        shown = dict(states)
        for user_id, route in routed.items():
            if user_id in states:
                reasons = visible.pop(user_id, ())
            else:
                reasons = self.reasons(viewer, user_id)
            if route.state is not None:  # else it is withheld
                visible[user_id] = _merged(reasons, route.modules)
                shown[user_id] = route.state
        return VisibleStates(visible, shown)

    def reasons(self, viewer: UserId, user_id: UserId) -> Reasons:
        """Return why *viewer* may see *user_id*, apart from routes; empty if not."""
        return self._native_view(viewer, {user_id}).get(user_id, ())

    def sees(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether `reasons` has any, in a few look-ups, however many rooms there are."""
        return (
            viewer == user_id
            or self._rooms.share(viewer, user_id)
            or user_id in self._interests.named_for(viewer)
            or viewer in self._interests.viewers_of_all()
        )

    def max_candidates(self, viewer: UserId) -> int:
        """Return an upper bound of the number of `candidates`, without looking at them."""
        rooms = (len(self._rooms.members(room_id)) for room_id in self._rooms.rooms_of(viewer))
        return 1 + len(self._interests.named_for(viewer)) + sum(rooms)

    def candidates(self, viewer: UserId) -> set[UserId]:
        """Return the viewer, and all users whom rooms and modules' names let the viewer see.

        Users whom the viewer sees only because a module shows all users are not included.
        """
        return {viewer, *self._rooms.neighbours(viewer), *self._interests.named_for(viewer)}

    def visible_since(self, viewer: UserId, user_id: UserId) -> StreamPosition | None:
        """Return since which position the viewer may see the user, apart from routes.

        None if not, and for the viewers themselves, who always see their own presence.
        """
        if viewer == user_id:
            return None
        positions = (
            self._rooms.shared_since(viewer, user_id),
            self._interests.named_since(viewer, user_id),
        )
        return min((position for position in positions if position is not None), default=None)

    def became_visible(self, viewer: UserId, position: StreamPosition) -> set[UserId]:
        """Return the users visible to the viewer since after *position*, and perhaps others.

        Users who became visible because a module shows all users are not included; see
        `sees_all_since`.
        """
        return {
            *self._rooms.met_after(viewer, position),
            *self._interests.named_after(viewer, position),
        }

    def sees_all_since(self, viewer: UserId) -> StreamPosition | None:
        """Return since which position a module lets the viewer see all users; None if none does."""
        return self._interests.all_since(viewer)

    def _native(self, state: UserPresenceState, viewers: AbstractSet[UserId]) -> Delivery:
        """Return the recipients by rooms and names: the user, room members, viewers by modules."""
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
        return Delivery(state, recipients)

    def _native_view(self, viewer: UserId, users: AbstractSet[UserId]) -> dict[UserId, Reasons]:
        """Return those of *users* whom the viewer sees by rooms and names, with the reasons."""
        visible: dict[UserId, Reasons] = {}
        for room_id in self._rooms.rooms_of(viewer):
            because: Reasons = (SharedRoom(room_id),)
            members = self._rooms.members(room_id).keys() & users
            if not visible:  # the first room, and mostly the only one
                visible = dict.fromkeys(members, because)
                continue
            for user_id in members:
                known = visible.get(user_id)
                visible[user_id] = because if known is None else known + because
        for user_id in self._interests.named_for(viewer) & users:
            named = self._interests.reasons(viewer, user_id)
            visible[user_id] = visible.get(user_id, ()) + named
        sees_all = self._interests.viewers_of_all().get(viewer)
        if sees_all is not None:
            for user_id in users:
                visible[user_id] = (*visible.get(user_id, ()), sees_all)
        if viewer in users:
            visible[viewer] = (Self(),)
        return visible


def _merged(reasons: Reasons, modules: tuple[Module, ...]) -> Reasons:
    return (*reasons, *(module for module in modules if module not in reasons))
