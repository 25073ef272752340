"""What the users of other servers see: a server is sent one state of each user, for all of them."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain

from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Route, Routes, VisibleStates
from lamplighter.routing.reasons import Module
from lamplighter.service.remotes import Remotes
from lamplighter.service.roster import Roster
from lamplighter.service.views import Glance, Views

__all__ = ["ServerSights"]


class ServerSights:
    """Turns what modules send a viewer elsewhere into what their server can show them."""

    def __init__(
        self, server_name: ServerName, roster: Roster, views: Views, remotes: Remotes
    ) -> None:
        self._server_name = server_name
        self._roster = roster
        self._views = views
        self._remotes = remotes

    async def shown(
        self, glances: Mapping[UserId, Glance], users: AbstractSet[UserId]
    ) -> Mapping[UserId, Glance]:
        """Return *glances* at *users*, those of other servers' viewers as their server has it.

        What is altered, or withheld, for one of its users is so for all who are sent that user.
        """
        elsewhere = {it for it in glances if server_of(it) != self._server_name}
        if not elsewhere:
            return glances
        routes = await self._views.routes_of(users)
        sent = self._remotes.sent(self._roster.known_of(users).values(), routes)
        shown = dict(glances)
        for viewer in elsewhere:
            server = server_of(viewer)
            there = {it: seen for it, seen in routes.items() if server_of(it) == server}
            shown[viewer] = _as_sent(glances[viewer], sent.get(server, {}), there)
        return shown


def _as_sent(glance: Glance, sent: Mapping[UserId, UserPresenceState], routes: Routes) -> Glance:
    """Return *glance* with what the viewer's server is *sent*; *routes* are those to its users."""
    told = {user_id: sent.get(user_id) for user_id in glance.routes}
    otherwise = {it: state for it, state in told.items() if state != glance.routes[it].state}
    if not otherwise:
        return glance
    changed = {it: _by(routes, it, state) for it, state in otherwise.items()}
    hidden = {user_id for user_id, state in otherwise.items() if state is None}
    seen = {user_id: state for user_id, state in otherwise.items() if state is not None}
    reasons = {it: why for it, why in glance.sights.reasons.items() if it not in hidden}
    return replace(
        glance,
        routes={**glance.routes, **changed},
        sights=VisibleStates(reasons, {**glance.sights.states, **seen}),
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
