"""Which users' states a module alters for which viewers, and what is withheld without the module.

A module may show a viewer another state than the real one, for instance one without the status
message. If that module fails, the server must not fall back to the real state: the failure would
reveal what the module hides. So the server remembers, for each module, which users the module
altered for which viewers in its last answers. Where the module's answer is missing, those users
are *withheld* from those viewers: the server sends nothing about them.

For example, a module hides Bob's status message from Alice, and then raises an exception when the
server asks about Bob again. Alice, who shares a room with Bob, gets no update about Bob until the
module answers. Carol, for whom the module altered nothing, gets the real state at once.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes

__all__ = ["Alterations"]

#: The most viewers that are remembered, and the most users for each of them.
_MOST: Final = 20_000


class Alterations:
    """The alterations of one module, by its last answer about each viewer and user."""

    def __init__(self) -> None:
        #: Viewer to the users whom the module alters for the viewer.
        self.by_viewer: dict[UserId, set[UserId]] = {}

    def learn(self, checked: CheckedRoutes, asked: Mapping[UserId, UserPresenceState]) -> None:
        """Remember what an answer about the states *asked* alters."""
        for viewer, states in checked.routes.items():
            for user_id, state in states.items():
                if state != asked.get(user_id, state):
                    self._remember(viewer, user_id)
                elif (users := self.by_viewer.get(viewer)) is not None:
                    users.discard(user_id)
                    if not users:
                        del self.by_viewer[viewer]
        for viewer, withheld in checked.withheld.items():
            for user_id in withheld:
                self._remember(viewer, user_id)

    def completed(self, checked: CheckedRoutes, about: AbstractSet[UserId]) -> CheckedRoutes:
        """Return an answer *about* these users, together with everything that is withheld."""
        withheld = dict(checked.withheld)
        if checked.unanswered or checked.torn or checked.is_cut:
            for viewer, users in self.by_viewer.items():
                missing = users & checked.unanswered
                if checked.is_cut or viewer in checked.torn:
                    missing |= (users & about) - checked.routes.get(viewer, {}).keys()
                if missing:
                    withheld[viewer] = withheld.get(viewer, frozenset()) | missing
        if not withheld:
            return checked
        routes = {
            viewer: {it: state for it, state in states.items() if it not in hidden}
            if (hidden := withheld.get(viewer))
            else states
            for viewer, states in checked.routes.items()
        }
        return replace(checked, routes=routes, withheld=withheld)

    def _remember(self, viewer: UserId, user_id: UserId) -> None:
        if len(self.by_viewer) < _MOST or viewer in self.by_viewer:
            users = self.by_viewer.setdefault(viewer, set())
            if len(users) < _MOST:
                users.add(user_id)
