"""What several modules send, put together: what one has altered, no other one undoes.

A module that passes a state on as it was given does not mean that the viewer should see it so, if
another module hides something of it; most modules pass on. So the order of modules matters only
between two that alter the same user for the same viewer, in different ways.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from lamplighter.clock import Clock
from lamplighter.ids import UserId
from lamplighter.log_limits import LogLimit
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.plan import Route
from lamplighter.routing.reasons import Module

__all__ = ["Conflict", "Conflicts", "Merging"]

_Alteration: TypeAlias = tuple[Module, UserPresenceState | None]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two modules that alter the same user for the same viewer, in different ways."""

    #: Whose state the viewer sees: the later one in config order.
    decides: str
    overruled: str
    viewer: UserId
    user_id: UserId


class Merging:
    """The routes of several modules' answers, added in config order."""

    def __init__(self, about: Mapping[UserId, UserPresenceState]) -> None:
        """*about* are the states that the modules were asked about, as they are."""
        self._about = about
        self.routes: dict[UserId, dict[UserId, Route]] = {}
        #: The first viewer and user of each two modules that do not agree, the later one first.
        self.conflicts: dict[tuple[str, str], Conflict] = {}
        #: What modules have altered, or withhold, by viewer and user.
        self._alterations: dict[tuple[UserId, UserId], list[_Alteration]] = {}

    def add(
        self,
        module: Module,
        alters: Mapping[UserId, AbstractSet[UserId]],
        checked: CheckedRoutes,
    ) -> None:
        """Add the answer of one more module; *alters* is for whom it has altered whom before."""
        #: By state, the route of it as it is: mostly it is the same for many viewers.
        plain: dict[int, Route] = {}
        for viewer, states in checked.routes.items():
            seen = self.routes.setdefault(viewer, {})
            usually = alters.get(viewer, frozenset())
            for user_id, state in states.items():
                before = seen.get(user_id)
                if self._is_altered(user_id, state, usually):
                    seen[user_id] = self._altered(before, module, state, viewer, user_id)
                elif before is None:
                    seen[user_id] = plain.get(id(state)) or plain.setdefault(
                        id(state), Route(state, (module,))
                    )
                else:
                    seen[user_id] = _passed_on(before, module, state)
        for viewer, users in checked.withheld.items():
            seen = self.routes.setdefault(viewer, {})
            for user_id in users:
                seen[user_id] = self._altered(seen.get(user_id), module, None, viewer, user_id)

    def _is_altered(
        self, user_id: UserId, state: UserPresenceState, usually: AbstractSet[UserId]
    ) -> bool:
        original = self._about.get(user_id)
        if original is None:  # nobody was asked about them: it is not known how they are
            return user_id in usually
        return state is not original and state != original

    def _altered(
        self,
        before: Route | None,
        module: Module,
        state: UserPresenceState | None,
        viewer: UserId,
        user_id: UserId,
    ) -> Route:
        """Return the route *before*, with what one more module shows the viewer instead."""
        alterations = self._alterations.setdefault((viewer, user_id), [])
        alterations.append((module, state))
        modules = before.modules if before else ()
        altering = tuple(it for it, other in alterations if other == state)
        if state is None:
            return Route(None, modules, altering)
        # What is withheld is no other alteration: it is not known what it would have been.
        overruled = tuple(it for it, other in alterations if other not in (state, None))
        for it in overruled:
            conflict = Conflict(module.name, it.name, viewer, user_id)
            self.conflicts.setdefault((module.name, it.name), conflict)
        return Route(state, (*modules, module), altering, overruled)


def _passed_on(before: Route, module: Module, state: UserPresenceState) -> Route:
    """Return the route *before*, with what one more module sends the viewer as it is."""
    return Route(
        before.state if before.altering else state,
        (*before.modules, module),
        before.altering,
        before.overruled,
    )


class Conflicts:
    """Says in the log which modules alter the same in different ways, each two once in a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said = LogLimit()

    def say(self, conflicts: Mapping[tuple[str, str], Conflict]) -> None:
        """Write to the log what it has not been told lately."""
        for modules, conflict in conflicts.items():
            left_out = self._said.admits(modules, self._clock.now())
            if left_out is not None:
                _log.warning(
                    "modules alter the same presence in different ways: the later one decides",
                    decides=conflict.decides,
                    overruled=conflict.overruled,
                    viewer=conflict.viewer,
                    user=conflict.user_id,
                    **({"left_out": left_out} if left_out else {}),
                )
