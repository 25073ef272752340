"""The states for other servers, and the remembered users of other servers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeAlias

from lamplighter.cluster.entries import Awaited, Reminded, ShownElsewhere
from lamplighter.domains import registrable_domain
from lamplighter.ids import ServerName, StreamPosition, UserId, server_of
from lamplighter.ports import Outgoing
from lamplighter.presence.state import UserPresenceState
from lamplighter.recent import Recent
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Delivery, Planner, Route, Routes
from lamplighter.routing.reasons import Module, Reasons
from lamplighter.service.roster import Roster

__all__ = ["RemoteUsers", "Remotes", "held_servers", "settled_routes"]


#: By server, the one state of each user that it is sent.
Sent: TypeAlias = Mapping[ServerName, Mapping[UserId, UserPresenceState]]


@dataclass(eq=False)
class Remotes:
    """Sends the states of our own users to the servers of their remote recipients.

    Nobody else's presence is ours to pass on. Recipients are named by modules and, if *rooms*
    finds servers, in rooms. A server waits for a late answer of a module that has altered a state
    for one of its users before: such a server is *held*.
    """

    server_name: ServerName
    planner: Planner
    roster: Roster
    rooms: SharedRooms
    outgoing: Outgoing
    #: Users whose states were held for a server, for an answer that does not come any more.
    _abandoned: set[UserId] = field(init=False, default_factory=set)

    def send(
        self,
        states: Iterable[UserPresenceState],
        routes: Routes,
        held: AbstractSet[ServerName] = frozenset(),
    ) -> None:
        """Send *states*, and what *routes* send besides, to the servers of remote recipients."""
        self._send(self.sent(states, routes, lambda server_name: server_name not in held))

    def sent(
        self,
        states: Iterable[UserPresenceState],
        routes: Routes,
        by_rooms: Callable[[ServerName], bool] = lambda _server_name: True,
    ) -> Sent:
        """Return what `send` sends; *by_rooms* tells which servers are sent anything by rooms."""
        remote = self._remote(routes)
        if not remote and not self.rooms.knows_servers:
            return {}
        own = self._own(states)
        sent = self._sorted(own, remote, remote.keys()) if remote else {}
        withheld = _withheld(remote)
        for state in own:
            user_id = UserId(state.user_id)
            for server_name in filter(by_rooms, self.rooms.servers_of(user_id)):
                if user_id not in withheld.get(server_name, ()):
                    sent.setdefault(server_name, {}).setdefault(user_id, state)
        return sent

    def send_late(
        self,
        states: Iterable[UserPresenceState],
        routes: Routes,
        about: StreamPosition,
        told: Routes,
        released: AbstractSet[ServerName] = frozenset(),
    ) -> None:
        """Send what was true at *about*, but for users who have changed: that was sent since.

        If the routes of one user of a server differ from *told*, the server is sent all anew: what
        is altered for that user counts for the others there, too. Servers that are *released* were
        held until now.
        """
        servers = {server_of(viewer) for viewer in routes if routes[viewer] != told.get(viewer)}
        news = {viewer: seen for viewer, seen in routes.items() if server_of(viewer) in servers}
        changed_since = self.roster.has_changed_since
        still_true = [it for it in states if not changed_since(UserId(it.user_id), about)]
        by_rooms = servers | released
        self._send(self.sent(still_true, self._still_true(news, about), by_rooms.__contains__))

    def abandon(self, states: Iterable[UserPresenceState]) -> None:
        """Learn that held servers get nothing of *states*: no answer comes any more."""
        self._abandoned.update(UserId(state.user_id) for state in states)

    def reminded(self, _position: StreamPosition, entry: Reminded) -> None:
        """Send states once more."""
        self.send_again(entry.states, entry.routes, entry.about)

    def send_again(
        self,
        states: Iterable[UserPresenceState],
        routes: Routes,
        about: StreamPosition,
        to: Callable[[ServerName], bool] = lambda _server_name: True,
    ) -> None:
        """Send such servers what was true at *about*, but for users who have changed since."""
        changed_since = self.roster.has_changed_since
        still_true = [it for it in states if not changed_since(UserId(it.user_id), about)]
        sent = self.sent(still_true, self._still_true(routes, about))
        self._send({server_name: it for server_name, it in sent.items() if to(server_name)})

    def shown(self, _position: StreamPosition, entry: ShownElsewhere) -> None:
        """Send each of the remote viewers what they may see of some states, asked for or not."""
        routes, viewers = self._still_true(entry.routes, entry.about), entry.viewers
        servers = {server_of(viewer) for viewer in viewers}
        # With what is altered for others there: their server shows them what it knows.
        routed = {
            viewer: self._own_routes(seen)
            for viewer, seen in routes.items()
            if server_of(viewer) in servers
        }
        self._send(self._sorted(self._own(entry.states), routed, viewers | routed.keys()))

    def take_back(self) -> AbstractSet[UserId]:
        """Take back all that was not sent yet; return the users it was about."""
        abandoned, self._abandoned = self._abandoned, set()
        return self.outgoing.take_back() | abandoned

    def _still_true(self, routes: Routes, about: StreamPosition) -> Routes:
        """Return *routes* without the users who have changed since *about*."""
        changed_since = self.roster.has_changed_since
        current = {
            viewer: {it: route for it, route in seen.items() if not changed_since(it, about)}
            for viewer, seen in routes.items()
        }
        return {viewer: seen for viewer, seen in current.items() if seen}

    def _send(self, sent: Sent) -> None:
        for server_name, states in sent.items():
            if states:
                self.outgoing.send(server_name, list(states.values()))

    def _sorted(
        self, states: Sequence[UserPresenceState], routes: Routes, viewers: AbstractSet[UserId]
    ) -> dict[ServerName, dict[UserId, UserPresenceState]]:
        """Return what is sent for *viewers*, sorted by server.

        A server gets one state per user, and shows it to all who may see the user there: so what
        is altered for one of them goes there, and what they should not see does not.
        """
        as_they_are = frozenset(states)
        withheld = _withheld(routes)
        by_server: dict[ServerName, dict[UserId, UserPresenceState]] = {}
        for delivery in self.planner.plan(states, routes, viewers):
            user_id = delivery.user_id
            for server_name in self._servers(delivery):
                sent = by_server.setdefault(server_name, {})
                if user_id in withheld.get(server_name, ()):
                    continue
                if user_id not in sent or delivery.state not in as_they_are:
                    sent[user_id] = delivery.state
        return by_server

    def _servers(self, delivery: Delivery) -> set[ServerName]:
        """Return the servers of a delivery, whose recipients are users of other servers."""
        servers = {server_of(it) for it, why in delivery.recipients.items() if _by_modules(why)}
        return servers | (
            {server_of(it) for it in delivery.recipients} & self.rooms.servers_of(delivery.user_id)
        )

    def _remote(self, routes: Routes) -> Routes:
        return {
            viewer: self._own_routes(seen)
            for viewer, seen in routes.items()
            if not self._is_mine(viewer)
        }

    def _own(self, states: Iterable[UserPresenceState]) -> Sequence[UserPresenceState]:
        return [state for state in states if self._is_mine(UserId(state.user_id))]

    def _own_routes(self, routes: Mapping[UserId, Route]) -> Mapping[UserId, Route]:
        return {user_id: route for user_id, route in routes.items() if self._is_mine(user_id)}

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self.server_name


def _by_modules(reasons: Reasons) -> bool:
    return any(isinstance(why, Module) for why in reasons)


def held_servers(awaited: Awaited) -> AbstractSet[ServerName]:
    """Return the servers for whose users a module that still thinks has altered states before."""
    return {server_of(viewer) for viewers in awaited.values() for viewer in viewers}


def settled_routes(routes: Routes, awaited: Awaited) -> Routes:
    """Return the *routes* to servers where no module that still thinks has altered states before.

    A state that is altered for one user of a server never goes to that server as it is.
    """
    if not awaited:
        return routes
    waiting = held_servers(awaited)
    return {viewer: seen for viewer, seen in routes.items() if server_of(viewer) not in waiting}


def _withheld(routes: Routes) -> Mapping[ServerName, AbstractSet[UserId]]:
    """Return, by server, the users who are withheld: a user there should see an altered state."""
    withheld: dict[ServerName, set[UserId]] = {}
    for viewer, seen in routes.items():
        for user_id, route in seen.items():
            if route.state is None:
                withheld.setdefault(server_of(viewer), set()).add(user_id)
    return withheld


class RemoteUsers:
    """The users of other servers who are remembered: a limited number of each domain, and of all.

    A domain is what somebody has registered, whatever the servers below it are called. Where the
    places are taken, the user who was not heard of for longest gives theirs up: one of the same
    domain, or, where all places are taken, one of the domain that has the most.
    """

    def __init__(
        self, known: Iterable[UserId], *, of_one_domain: int = 20_000, of_all: int = 100_000
    ) -> None:
        """*known* are remembered already, those who were not heard of for longest first."""
        self._of_one_domain = of_one_domain
        self._of_all = of_all
        self._users: Recent[UserId, None] = Recent(of_all, _domain)
        for user_id in known:
            self._users.put(user_id, None)

    def __contains__(self, user_id: UserId) -> bool:
        return user_id in self._users

    def heard_of(self, user_id: UserId) -> None:
        """Note that a user who is remembered was heard of."""
        self._users.get(user_id)

    def admit(
        self, user_id: UserId, is_offline: Callable[[UserId], bool]
    ) -> Sequence[UserId] | None:
        """Remember one more user; return who is to be forgotten for that. None: there is no place.

        Only a domain that has more places than the user's own gives up one of a user who is not
        offline: for whoever sees that user is told that they went offline.
        """
        gives_up = None
        if self._users.size_of_group(user_id) >= self._of_one_domain:
            gives_up = self._users.idlest_of_group(user_id)
        elif len(self._users) >= self._of_all:
            gives_up = self._users.idlest()
        if gives_up is not None:
            has_more = self._users.size_of_group(gives_up) > self._users.size_of_group(user_id) + 1
            if not has_more and not is_offline(gives_up):
                return None
            self._users.drop(gives_up)
        self._users.put(user_id, None)
        return () if gives_up is None else (gives_up,)


def _domain(user_id: UserId) -> str:
    return registrable_domain(server_of(user_id))
