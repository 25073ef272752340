"""Wires presence: its core, over the adapters that the configuration asks for."""

from collections.abc import Sequence

from lamplighter.clock import Clock
from lamplighter.config import Config, Rate
from lamplighter.presence.machine import Rules, SyncIsActivity
from lamplighter.presence.timers import Timers
from lamplighter.routing.interest import SharedRooms
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.settings import CoreSettings
from lamplighter.service.witness import Witness
from lamplighter.web.limits import Limiter, RateLimiter, Unlimited

__all__ = ["core_settings", "limiter", "wire_presence"]


async def wire_presence(
    config: Config, ports: CorePorts, rooms: SharedRooms, witnesses: Sequence[Witness]
) -> Core:
    """Build presence, with what was saved restored; the stream goes on after its position."""
    core = Core(core_settings(config), ports, rooms, await ports.store.load(), witnesses)
    await core.memory.restore()
    return core


def limiter(rate: Rate | None, clock: Clock) -> Limiter:
    """Return what says "too fast" beyond *rate*; None is no limit."""
    if rate is None:
        return Unlimited()
    return RateLimiter(rate.per_second, rate.burst, clock)


def core_settings(config: Config) -> CoreSettings:
    """Return what *config* says of presence."""
    presence = config.presence
    timers = Timers(
        last_active_granularity=presence.last_active_granularity,
        sync_online_timeout=presence.sync_online_timeout,
        idle_timeout=presence.idle_timeout,
        busy_timeout=presence.busy_timeout,
        federation_ping=presence.federation_ping,
        federation_timeout=presence.federation_timeout,
    )
    return CoreSettings(
        config.server_name,
        presence.enabled,
        Rules(timers, SyncIsActivity(presence.sync_is_activity)),
        include_offline_users_on_sync=presence.include_offline_users_on_sync,
        module_timeout=config.module_timeout,
    )
