"""States that other servers are sent although none has changed: pings, and snapshots."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lamplighter.cluster.entries import Reminded, ShownElsewhere
from lamplighter.cluster.stream import Stream
from lamplighter.ids import UserId
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.roster import Roster

__all__ = ["Reminders"]


@dataclass(eq=False)
class Reminders:
    """Asks the modules about states as they are, and appends what they answer to the stream."""

    stream: Stream
    router: ModuleRouter
    roster: Roster

    async def remind(self, states: Sequence[UserPresenceState]) -> None:
        """Send *states*, in which nothing differs, to other servers once more."""
        if states:
            about = self.stream.position
            routes = await self.router.routes(states)
            self.stream.append(Reminded(about, tuple(states), routes))

    async def show(self, viewers: AbstractSet[UserId], states: Sequence[UserPresenceState]) -> None:
        """Send the servers of *viewers*, remote users, what each may see of *states*.

        A user who changes while modules think is shown as they are then, unless they went offline.
        """
        while states:
            about = self.stream.position
            routes = await self.router.routes(states)
            users = [UserId(state.user_id) for state in states]
            changed = {it for it in users if self.roster.has_changed_since(it, about)}
            current = tuple(state for state in states if state.user_id not in changed)
            self.stream.append(ShownElsewhere(about, frozenset(viewers), current, routes))
            newer = map(self.roster.get, changed)
            states = [state for state in newer if state.state != Presence.OFFLINE]
