"""The visibility of users of other servers: a server is sent one state of each user, for all."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import chain

from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Route, Routes, VisibleStates
from lamplighter.routing.reasons import Module, Reasons, SharedRoom
from lamplighter.service.remotes import Remotes
from lamplighter.service.roster import Roster
from lamplighter.service.views import ExplainedView, Views

__all__ = ["ServerVisibility"]


@dataclass(eq=False)
class ServerVisibility:
    """Turns what a viewer elsewhere could see into what their server is sent, and so can show.

    A server is sent what modules send its users, and, where rooms tell servers, the users who share
    a room with one of its users.
    """

    server_name: ServerName
    roster: Roster
    views: Views
    remotes: Remotes

    async def shown(
        self, explained: Mapping[UserId, ExplainedView], users: AbstractSet[UserId]
    ) -> Mapping[UserId, ExplainedView]:
        """Return *explained* at *users*, those of other servers' viewers as their server has it.

        What is altered, or withheld, for one of its users is so for all who are sent that user.
        """
        elsewhere = {it for it in explained if server_of(it) != self.server_name}
        if not elsewhere:
            return explained
        routes = await self.views.routes_of(users)
        sent = self.remotes.sent(self.roster.known_of(users).values(), routes)
        shown = dict(explained)
        for viewer in elsewhere:
            server = server_of(viewer)
            there = {it: seen for it, seen in routes.items() if server_of(it) == server}
            view = self._as_told(explained[viewer], server)
            shown[viewer] = _as_sent(view, sent.get(server, {}), there)
        return shown

    def viewers_by_rooms(self, user_id: UserId) -> AbstractSet[UserId]:
        """Return the users of other servers who share a room with a user, if rooms tell servers."""
        servers = self.remotes.rooms.servers_of(user_id)
        neighbours = self.remotes.rooms.neighbours(user_id) if servers else ()
        return {it for it in neighbours if server_of(it) in servers}

    def _as_told(self, view: ExplainedView, server_name: ServerName) -> ExplainedView:
        """Return *view* with the reasons for which that server is told anything."""
        reasons = {
            user_id: self._told(why, user_id, server_name, is_routed=user_id in view.routes)
            for user_id, why in view.visible.reasons.items()
            if server_of(user_id) == self.server_name
        }
        told = {user_id: why for user_id, why in reasons.items() if why}
        return replace(view, visible=replace(view.visible, reasons=told))

    def _told(
        self, reasons: Reasons, user_id: UserId, server_name: ServerName, *, is_routed: bool
    ) -> Reasons:
        by_rooms = server_name in self.remotes.rooms.servers_of(user_id)
        return tuple(
            it for it in reasons if (by_rooms if isinstance(it, SharedRoom) else is_routed)
        )


def _as_sent(
    view: ExplainedView, sent: Mapping[UserId, UserPresenceState], routes: Routes
) -> ExplainedView:
    """Return *view* with what the viewer's server is *sent*; *routes* are those to its users."""
    told = {user_id: sent.get(user_id) for user_id in view.routes.keys() | view.visible.reasons}
    otherwise = {it: state for it, state in told.items() if state != _state(view, it)}
    if not otherwise:
        return view
    routed = set[UserId]().union(*routes.values())
    changed = {it: _by(routes, it, state) for it, state in otherwise.items() if it in routed}
    hidden = {user_id for user_id, state in otherwise.items() if state is None}
    seen = {user_id: state for user_id, state in otherwise.items() if state is not None}
    reasons = {it: why for it, why in view.visible.reasons.items() if it not in hidden}
    return replace(
        view,
        routes={**view.routes, **changed},
        visible=VisibleStates(reasons, {**view.visible.states, **seen}),
    )


def _state(view: ExplainedView, user_id: UserId) -> UserPresenceState | None:
    """Return what the viewer would see of a user."""
    route = view.routes.get(user_id)
    return view.visible.states.get(user_id) if route is None else route.state


def _by(routes: Routes, user_id: UserId, state: UserPresenceState | None) -> Route:
    """Return the route by which *state* is what is sent of the user, or by which nothing is."""
    sending = [
        seen[user_id]
        for seen in routes.values()
        if user_id in seen and seen[user_id].state == state
    ]
    return Route(
        state,
        _each(route.modules for route in sending),
        _each(route.altering for route in sending),
        _each(route.overruled for route in sending),
    )


def _each(modules: Iterable[tuple[Module, ...]]) -> tuple[Module, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(modules)))
