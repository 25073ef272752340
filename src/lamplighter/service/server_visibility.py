"""The visibility of users of other servers: a server is sent one state of each user, for all."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import chain

from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Route, Routes, VisibleStates
from lamplighter.routing.reasons import Module
from lamplighter.service.remotes import Remotes
from lamplighter.service.roster import Roster
from lamplighter.service.views import ExplainedView, Views

__all__ = ["ServerVisibility"]


@dataclass(eq=False)
class ServerVisibility:
    """Turns what modules send a viewer elsewhere into what their server can show them."""

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
            shown[viewer] = _as_sent(explained[viewer], sent.get(server, {}), there)
        return shown


def _as_sent(
    view: ExplainedView, sent: Mapping[UserId, UserPresenceState], routes: Routes
) -> ExplainedView:
    """Return *view* with what the viewer's server is *sent*; *routes* are those to its users."""
    told = {user_id: sent.get(user_id) for user_id in view.routes}
    otherwise = {it: state for it, state in told.items() if state != view.routes[it].state}
    if not otherwise:
        return view
    changed = {it: _by(routes, it, state) for it, state in otherwise.items()}
    hidden = {user_id for user_id, state in otherwise.items() if state is None}
    seen = {user_id: state for user_id, state in otherwise.items() if state is not None}
    reasons = {it: why for it, why in view.visible.reasons.items() if it not in hidden}
    return replace(
        view,
        routes={**view.routes, **changed},
        visible=VisibleStates(reasons, {**view.visible.states, **seen}),
    )


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
