"""Which other servers are told, and of what."""

from collections.abc import Iterable, Mapping, Sequence

from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.ports import Outgoing
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Planner, Route, Routes
from lamplighter.routing.router import PresenceRouter

__all__ = ["Remotes"]


class Remotes:
    """Hands the states of our own users to the servers of those who are told of them.

    Nobody else's presence is ours to pass on.
    """

    def __init__(
        self,
        server_name: ServerName,
        planner: Planner,
        router: PresenceRouter,
        outgoing: Outgoing,
    ) -> None:
        self._server_name = server_name
        self._planner = planner
        self._router = router
        self._outgoing = outgoing

    def tell(self, states: Iterable[UserPresenceState], routes: Routes) -> None:
        """Send *states*, and what *routes* send besides, to the servers of remote recipients."""
        remote = {
            viewer: self._own_routes(routes[viewer])
            for viewer in routes
            if not self._is_mine(viewer)
        }
        own = [state for state in states if self._is_mine(UserId(state.user_id))]
        by_server: dict[ServerName, dict[str, UserPresenceState]] = {}
        # Altered states come last, and win: a server gets one state per user, and shows it to
        # all who may see the user there. What one of them should not see does not go there.
        for telling in self._planner.plan(own, remote, remote.keys()):
            for viewer in telling.recipients:
                by_server.setdefault(server_of(viewer), {})[telling.user_id] = telling.state
        for server_name, sent in by_server.items():
            self._outgoing.send(server_name, list(sent.values()))

    async def remind(self, states: Sequence[UserPresenceState]) -> None:
        """Send unchanged *states* again to whoever is told of them now."""
        if self._router.modules and states:
            self.tell(states, await self._router.inquire(states).complete())

    def _own_routes(self, routes: Mapping[UserId, Route]) -> Mapping[UserId, Route]:
        return {user_id: route for user_id, route in routes.items() if self._is_mine(user_id)}

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self._server_name
