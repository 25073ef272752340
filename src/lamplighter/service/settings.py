"""The operator's settings of presence."""

from dataclasses import dataclass, field
from datetime import timedelta

from lamplighter.config import PresenceMode
from lamplighter.ids import ServerName
from lamplighter.presence.machine import Rules

__all__ = ["CoreSettings"]


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """The settings of all parts of presence, for as long as the server runs."""

    server_name: ServerName
    mode: PresenceMode = PresenceMode.TRACKED
    rules: Rules = field(default_factory=Rules)
    include_offline_users_on_sync: bool = False
    #: How long an answer of a module may take.
    module_timeout: timedelta = timedelta(seconds=5)
    #: How often unannounced changes are saved and unused outboxes dropped.
    housekeeping: timedelta = timedelta(seconds=60)
    #: How often the age of modules' answers is looked at.
    interest_check: timedelta = timedelta(seconds=5)

    @property
    def is_off(self) -> bool:
        """Whether there is no presence at all."""
        return self.mode is PresenceMode.OFF

    @property
    def hears_clients(self) -> bool:
        """Whether what clients and other servers say counts, and not only what modules say."""
        return self.mode is PresenceMode.TRACKED
