"""Builds what a node of a cluster has beside a core: owning, hearing what others write, reloads."""

from dataclasses import dataclass

from lamplighter.clock import Clock
from lamplighter.cluster.lease import LeaseHolder
from lamplighter.cluster.log import Log
from lamplighter.cluster.shared import SharedStream
from lamplighter.ports import PresenceStore
from lamplighter.service.background import Background
from lamplighter.service.cluster_reload import ClusterReload
from lamplighter.service.core import Core
from lamplighter.service.destinations import Destinations
from lamplighter.service.directory_events import HeardEvents
from lamplighter.service.node_messages import NodeMessages
from lamplighter.service.owned_users import OwnedUsers
from lamplighter.service.owners import Owners
from lamplighter.service.waiting_events import WaitingEvents

__all__ = ["NodeCore"]


@dataclass(frozen=True, slots=True)
class NodeCore:
    """The parts of one node around its core."""

    owners: Owners
    #: The listener of a homeserver that tells every node of all that happens.
    heard_events: HeardEvents
    reload: ClusterReload

    @classmethod
    def around(
        cls,
        core: Core,
        stream: SharedStream,
        log: Log,
        holder: LeaseHolder,
        clock: Clock,
        background: Background,
        store: PresenceStore,
    ) -> "NodeCore":
        """Let the events of *core*, which has just been built over *stream*, find their owners."""
        messages = NodeMessages(log, background)
        remembered = core.settings.rules.timers.federation_timeout
        users = OwnedUsers(
            clock,
            stream,
            core.tracker,
            core.roster,
            core.publisher,
            core.keeper,
            core.intake,
            core.announcing,
            background,
            store,
            core.settings.is_off,
        )
        owners = Owners(
            clock,
            stream,
            core.publisher,
            core.late,
            core.intake,
            core.connections,
            background,
            core.feed,
            messages,
            WaitingEvents(clock, core.connections, messages),
            users,
            core.resuming,
            core.ends,
            Destinations(
                clock, stream, core.router, core.roster, core.remotes, background, remembered
            ),
            core.memory,
        )
        heard_events = HeardEvents(
            core.deliverer,
            core.memberships,
            core.ended,
            core.feed,
            owners,
            core.connections,
            core.sizes,
        )
        reload = ClusterReload(clock, log, holder, stream, core.swap, background)
        core.hear_reload = reload.hear
        return cls(owners, heard_events, reload)
