"""A presence router module whose configuration shows users to viewers, and veils some of them."""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from random import Random  # noqa: TID251 - seeded: the same rule each time
from typing import Final

from lamplighter.ids import UserId

__all__ = ["FILE", "MODULE", "Rule", "random_rule"]

FILE: Final = "rule_of_chaos.py"
#: Its configuration has, by viewer, the users whom it shows, and those whose message it hides.
MODULE: Final = """\
class Rule:
    def __init__(self, config, api):
        self.shown, self.veiled = config["shown"], config["veiled"]
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, states):
        routes = {}
        for viewer in {*self.shown, *self.veiled}:
            shown = self.shown.get(viewer, ())
            veiled = self.veiled.get(viewer, ())
            routes[viewer] = {it for it in states if it.user_id in shown} | {
                it.copy_and_replace(status_msg=None) for it in states if it.user_id in veiled
            }
        return routes

    async def get_interested_users(self, user_id):
        return {*self.shown.get(user_id, ()), *self.veiled.get(user_id, ())}
"""
_VIEWERS: Final = 15
_USERS_OF_EACH: Final = 4
#: One user in so many is shown without the message.
_VEILED: Final = 3


@dataclass(frozen=True, eq=False)
class Rule:
    """One configuration of the module."""

    version: int
    shown: Mapping[UserId, AbstractSet[UserId]]
    veiled: Mapping[UserId, AbstractSet[UserId]]

    def veils(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the viewer sees the user, but not the user's message."""
        return user_id in self.veiled.get(viewer, ())

    def shows(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the viewer sees the user as the user is."""
        return user_id in self.shown.get(viewer, ())

    def configuration(self) -> str:
        """Return what the configuration of a node says of modules."""
        config = {
            "shown": {viewer: sorted(users) for viewer, users in self.shown.items()},
            "veiled": {viewer: sorted(users) for viewer, users in self.veiled.items()},
        }
        return f"modules: {json.dumps([{'module': 'rule_of_chaos.Rule', 'config': config}])}\n"


def random_rule(version: int, users: Sequence[UserId], random: Random) -> Rule:
    """Return a rule that shows some of *users* to some others."""
    shown: dict[UserId, set[UserId]] = {}
    veiled: dict[UserId, set[UserId]] = {}
    for viewer in random.sample(users, _VIEWERS):
        for user_id in random.sample(users, _USERS_OF_EACH):
            if user_id != viewer:
                kind = shown if random.randrange(_VEILED) else veiled
                kind.setdefault(viewer, set()).add(user_id)
    return Rule(version, shown, veiled)
