"""Servers that come to share a room with our users, and servers that share none any more."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lamplighter.ids import RoomId, ServerName, UserId, server_of
from lamplighter.ports import Outgoing
from lamplighter.presence.state import Presence
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.background import Background
from lamplighter.service.reminders import Reminders
from lamplighter.service.roster import Roster

__all__ = ["RoomServers"]


@dataclass(eq=False)
class RoomServers:
    """Sends a server that is new to a user the user's state; takes back what waits at the end.

    Where *rooms* finds no servers, nothing happens. Every node hears of joins and leaves; each
    shows users to the servers to which it sends. A node that takes a server over makes up for what
    the last one has not shown (`destinations.py`).
    """

    server_name: ServerName
    rooms: SharedRooms
    roster: Roster
    router: ModuleRouter
    reminders: Reminders
    background: Background
    outgoing: Outgoing
    #: Members of the new servers, one for each, and our users who are new to them.
    _viewers: set[UserId] = field(init=False, default_factory=set)
    _users: set[UserId] = field(init=False, default_factory=set)

    def joined(self, room_id: RoomId, newcomer: UserId) -> None:
        """Take in that a user has joined a room. What is new by many joins is sent together."""
        servers, server = self.rooms.servers(room_id), server_of(newcomer)
        viewers, users = set[UserId](), set[UserId]()
        if server != self.server_name:
            if len(servers.get(server, ())) == 1:
                viewers = {newcomer}
                known = filter(self._is_there, servers.get(self.server_name, ()))
            users = {it for it in known if self.rooms.rooms_with(it, server) == 1}
        elif self._is_there(newcomer):
            users = {newcomer}
            others = servers.keys() - {server}
            new = [it for it in others if self.rooms.rooms_with(newcomer, it) == 1]
            viewers = {next(iter(servers[it])) for it in new}
        self._begin_to_show(viewers, users)

    def _begin_to_show(self, viewers: AbstractSet[UserId], users: AbstractSet[UserId]) -> None:
        viewers = {it for it in viewers if self.outgoing.sends_to(server_of(it))}
        if viewers and users:
            if not self._users:
                self.background.run(self._show())
            self._viewers |= viewers
            self._users |= users

    def left(self, room_id: RoomId, leavers: AbstractSet[UserId]) -> None:
        """Take in that users have left a room: a server without a user there is sent no more."""
        servers = self.rooms.servers(room_id)
        were_here = {it for it in leavers if server_of(it) == self.server_name}
        gone = {server_of(it) for it in leavers} - servers.keys() - {self.server_name}
        for server in gone:
            self._part(were_here.union(servers.get(self.server_name, ())), server)
        for server in servers.keys() - {self.server_name} if were_here else ():
            self._part(were_here, server)

    def met(self, room_id: RoomId) -> None:
        """Take in that a room has begun to count: its servers are new to some of our users."""
        servers = self.rooms.servers(room_id)
        here = list(filter(self._is_there, servers.get(self.server_name, ())))
        others = servers.keys() - {self.server_name}
        is_new = [{it for it in here if self.rooms.rooms_with(it, other) == 1} for other in others]
        viewers = {
            next(iter(servers[it])) for it, users in zip(others, is_new, strict=True) if users
        }
        self._begin_to_show(viewers, set[UserId]().union(*is_new))

    def parted(self, members: Collection[UserId]) -> None:
        """Take in that *members*, of all servers, have lost a room that they shared."""
        here = {it for it in members if server_of(it) == self.server_name}
        for server in {server_of(it) for it in members} - {self.server_name}:
            self._part(here, server)

    async def _show(self) -> None:
        viewers, users = self._viewers, self._users
        self._viewers, self._users = set(), set()
        await self.reminders.show(viewers, [self.roster.get(it) for it in users])

    def _is_there(self, user_id: UserId) -> bool:
        return self.roster.get(user_id).state != Presence.OFFLINE

    def _part(self, users: set[UserId], server_name: ServerName) -> None:
        strangers = {it for it in users if not self.rooms.rooms_with(it, server_name)}
        dropped = self.outgoing.withdraw(server_name, strangers) if strangers else ()
        if dropped and self.router.modules:  # a module may have sent them there
            states = [self.roster.get(user_id) for user_id in dropped]
            self.background.run(self.reminders.remind(states))
