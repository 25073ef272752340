"""Which other servers are told, and of what."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeAlias

from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.ports import Outgoing
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Planner, Route, Routes
from lamplighter.routing.router import Inquiry

__all__ = ["RemoteUsers", "Remotes", "settled_routes"]


#: By server, the one state of each user that it is sent.
Sent: TypeAlias = Mapping[ServerName, Mapping[UserId, UserPresenceState]]


class Remotes:
    """Hands the states of our own users to the servers of those who are told of them.

    Nobody else's presence is ours to pass on.
    """

    def __init__(self, server_name: ServerName, planner: Planner, outgoing: Outgoing) -> None:
        self._server_name = server_name
        self._planner = planner
        self._outgoing = outgoing

    def tell(self, states: Iterable[UserPresenceState], routes: Routes) -> None:
        """Send *states*, and what *routes* send besides, to the servers of remote recipients."""
        self._send(self.sent(states, routes))

    def sent(self, states: Iterable[UserPresenceState], routes: Routes) -> Sent:
        """Return what `tell` sends."""
        remote = {
            viewer: self._own_routes(seen)
            for viewer, seen in routes.items()
            if not self._is_mine(viewer)
        }
        return self._sorted(self._own(states), remote, remote.keys()) if remote else {}

    def show(
        self, viewers: AbstractSet[UserId], states: Iterable[UserPresenceState], routes: Routes
    ) -> None:
        """Send each of the remote *viewers* what they may see of *states*, asked for or not."""
        servers = {server_of(viewer) for viewer in viewers}
        # With what is altered for others there: their server shows them what it knows.
        routed = {
            viewer: self._own_routes(seen)
            for viewer, seen in routes.items()
            if server_of(viewer) in servers
        }
        self._send(self._sorted(self._own(states), routed, viewers | routed.keys()))

    def take_back(self) -> AbstractSet[UserId]:
        """Let no server be told what it has not been sent yet; return about whom that was."""
        return self._outgoing.take_back()

    def _send(self, sent: Sent) -> None:
        for server_name, states in sent.items():
            if states:
                self._outgoing.send(server_name, list(states.values()))

    def _sorted(
        self, states: Sequence[UserPresenceState], routes: Routes, viewers: AbstractSet[UserId]
    ) -> Sent:
        """Return what *viewers* are told, sorted by server.

        A server gets one state per user, and shows it to all who may see the user there: so what
        is altered for one of them goes there, and what they should not see does not.
        """
        as_they_are = frozenset(states)
        withheld = _withheld(routes)
        by_server: dict[ServerName, dict[UserId, UserPresenceState]] = {}
        for telling in self._planner.plan(states, routes, viewers):
            user_id = telling.user_id
            for server_name in {server_of(viewer) for viewer in telling.recipients}:
                sent = by_server.setdefault(server_name, {})
                if user_id in withheld.get(server_name, ()):
                    continue
                if user_id not in sent or telling.state not in as_they_are:
                    sent[user_id] = telling.state
        return by_server

    def _own(self, states: Iterable[UserPresenceState]) -> Sequence[UserPresenceState]:
        return [state for state in states if self._is_mine(UserId(state.user_id))]

    def _own_routes(self, routes: Mapping[UserId, Route]) -> Mapping[UserId, Route]:
        return {user_id: route for user_id, route in routes.items() if self._is_mine(user_id)}

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self._server_name


def settled_routes(inquiry: Inquiry) -> Routes:
    """Return the routes to servers where no module that still thinks has altered states before.

    What one user of a server is told in an altered form, no other user there is told as it is.
    """
    routes = inquiry.routes()
    waiting = {server_of(viewer) for viewer in inquiry.awaited()}
    return {viewer: seen for viewer, seen in routes.items() if server_of(viewer) not in waiting}


def _withheld(routes: Routes) -> Mapping[ServerName, AbstractSet[UserId]]:
    """Return whom a server is not told of, since somebody there should see them altered."""
    withheld: dict[ServerName, set[UserId]] = {}
    for viewer, seen in routes.items():
        for user_id, route in seen.items():
            if route.state is None:
                withheld.setdefault(server_of(viewer), set()).add(user_id)
    return withheld


class RemoteUsers:
    """How many users other servers may make us remember: each so many, and all together."""

    def __init__(
        self, known: Iterable[UserId], *, of_one_server: int = 20_000, of_all: int = 500_000
    ) -> None:
        """*known* are remembered already."""
        self._of_one_server = of_one_server
        self._of_all = of_all
        self._total = 0
        self._by_server: dict[ServerName, int] = {}
        for user_id in known:
            self._count(server_of(user_id))

    def admit(self, user_id: UserId) -> bool:
        """Tell whether one more, a user who is not known yet, may be remembered; count them."""
        server_name = server_of(user_id)
        if self._total >= self._of_all:
            return False
        if self._by_server.get(server_name, 0) >= self._of_one_server:
            return False
        self._count(server_name)
        return True

    def _count(self, server_name: ServerName) -> None:
        self._total += 1
        self._by_server[server_name] = self._by_server.get(server_name, 0) + 1
