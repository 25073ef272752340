"""Of whom a module has shown something else than what is, and to whom.

Where its answer is missing, what it usually alters is withheld: nobody sees, by a module's
failure, what it used to hide.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes

__all__ = ["Alterations"]

#: So many viewers, and users for each, are remembered.
_MOST: Final = 20_000


class Alterations:
    """What one module has altered, as far as it has said since."""

    def __init__(self) -> None:
        #: Viewers to whom the module shows something else than what is, and of whom.
        self.by_viewer: dict[UserId, set[UserId]] = {}

    def learn(self, checked: CheckedRoutes, asked: Mapping[UserId, UserPresenceState]) -> None:
        """Take in an answer about the states *asked*."""
        for viewer, states in checked.routes.items():
            for user_id, state in states.items():
                if state != asked.get(user_id, state):
                    self._remember(viewer, user_id)
                elif viewer in self.by_viewer:
                    self._forget(viewer, user_id)
        for viewer, users in checked.withheld.items():
            for user_id in users:
                self._remember(viewer, user_id)

    def completed(self, checked: CheckedRoutes, about: AbstractSet[UserId]) -> CheckedRoutes:
        """Return an answer *about* these users with all that is withheld by it."""
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

    def _forget(self, viewer: UserId, user_id: UserId) -> None:
        users = self.by_viewer[viewer]
        users.discard(user_id)
        if not users:
            del self.by_viewer[viewer]
