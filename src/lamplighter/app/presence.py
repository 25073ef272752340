"""Wires presence: its core, over the adapters that the configuration asks for."""

import secrets
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from lamplighter.clock import Timestamp
from lamplighter.cluster.positions import at_time
from lamplighter.config import Config
from lamplighter.delivery.tokens import epoch_of_name
from lamplighter.ids import RoomId, StreamEpoch
from lamplighter.ports import JoinedMember, SavedPresence
from lamplighter.presence.machine import Rules, SyncIsActivity
from lamplighter.presence.timers import Timers
from lamplighter.routing.counting import CountingRooms
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.room_sizes import RoomSizes
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.settings import CoreSettings
from lamplighter.service.witness import Witness

__all__ = ["core_settings", "counting_rooms", "wire_presence"]


async def wire_presence(
    config: Config,
    ports: CorePorts,
    members: Sequence[JoinedMember],
    witnesses: Sequence[Witness],
    saved: Sequence[SavedPresence],
) -> Core:
    """Build presence, with what was *saved* restored; the stream goes on after its position.

    *members* are in the order of their joins.
    """
    federation = config.federation
    # The built-in rooms have no users of other servers.
    tells_servers = federation.enabled and federation.shared_rooms and config.homeserver
    home = config.server_name if tells_servers else None
    rooms = SharedRooms(counting_rooms(config), home)
    sizes = RoomSizes(config.routing.most_members, (it.room_id for it in members))
    core = Core(core_settings(config), ports, rooms, saved, witnesses, sizes)
    for room_id in sizes.too_large:
        rooms.cease(room_id)
    counting = await _counting_since(config, core, sizes.too_large)
    if not core.memory.epoch:
        # Tokens of a server that kept no epoch, and its presence, go on to say what they said.
        known = epoch_of_name(config.server_name) if saved else None
        await core.memory.begin_epoch(known or StreamEpoch(secrets.token_hex(4)))
    for member in members:
        # A join is not older than the instant it was stored at, nor than any token before it.
        joined_at = at_time(Timestamp(member.since + 1))
        room = counting.of(member.room_id)
        rooms.joined(member.room_id, member.user_id, max(joined_at, room.since))
        if not room.counts and joined_at < room.since:
            core.former_rooms.joined(member.room_id, member.user_id, room.since)
    return core


def counting_rooms(config: Config) -> Callable[[RoomId], bool]:
    """Return which rooms make their members visible to each other."""
    if not config.routing.shared_rooms:
        return lambda _room_id: False
    excluded = frozenset(config.routing.exclude_rooms)
    return lambda room_id: room_id not in excluded


async def _counting_since(
    config: Config, core: Core, too_large: AbstractSet[RoomId]
) -> CountingRooms:
    """Restore what was saved of visibility; return since when each room counts, or does not."""
    routing = config.routing
    shared_rooms, excluded = routing.shared_rooms, {*routing.exclude_rooms, *too_large}
    before = await core.memory.restore()
    last = before or CountingRooms.always(shared_rooms=shared_rooms, excluded=excluded)
    now = last.next(shared_rooms=shared_rooms, excluded=excluded, position=core.stream.position)
    if now != before:
        await core.memory.save_rooms(now)
    return now


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
