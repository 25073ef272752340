# mypy: ignore-errors
# ruff: noqa: SLF001
"""A router in the manner of a payment network's: its services may see all users.

It reaches into `_hs` for its worker's name and for the clock, and works in the background.
Configuration: `services: [localpart, ...]`, `check_seconds: 15`, `joining: [localpart, ...]`
(one more service is found at every check).
"""

import logging
from dataclasses import dataclass, field
from enum import Enum

from synapse.config import ConfigError
from synapse.handlers.presence import UserPresenceState
from synapse.module_api import ModuleApi, run_in_background

log = logging.getLogger(__name__)


class WorkerType(Enum):
    MAIN = None
    FEDERATION_SENDER = "synapse.app.federation_sender"
    OTHER = "_other"


@dataclass
class ServicesConfig:
    services: list[str]
    check_seconds: int
    joining: list[str] = field(default_factory=list)


class ServicesRouter:
    def __init__(self, config: ServicesConfig, module_api: ModuleApi):
        self._module_api = module_api
        self._joining = list(config.joining)
        self.users = [module_api.get_qualified_user_id(name) for name in config.services]
        if self.worker_type is WorkerType.MAIN and self.users:
            run_in_background(self.send_current_presences_to, self.users)
        self._module_api._hs.get_clock().looping_call(
            self.check_services, config.check_seconds * 1000
        )

    @property
    def worker_type(self):
        try:
            return WorkerType(self._module_api._hs.config.worker_app)
        except ValueError:
            return WorkerType.OTHER

    @staticmethod
    def parse_config(config_dict: dict) -> ServicesConfig:
        try:
            check_seconds = int(config_dict.get("check_seconds", "15"))
        except ValueError:
            raise ConfigError("`check_seconds` needs to be an integer") from None
        return ServicesConfig(
            config_dict.get("services", []), check_seconds, config_dict.get("joining", [])
        )

    async def get_users_for_states(
        self, state_updates: list[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        return {user: set(state_updates) for user in self.users}

    async def get_interested_users(self, user_id: str):
        return "ALL" if user_id in self.users else set()

    def check_services(self) -> None:
        if self._joining:
            user = self._module_api.get_qualified_user_id(self._joining.pop(0))
            self.users.append(user)
            run_in_background(self.send_current_presences_to, [user])

    async def send_current_presences_to(self, users: list[str]) -> None:
        await self._module_api.send_local_online_presence_to(users)
        log.info("Presences sent to %d users", len(users))
