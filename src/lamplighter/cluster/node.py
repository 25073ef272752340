"""A node of a cluster while it runs: it reads the log, and takes and gives partitions.

Each partition should be owned by the node that `heirs_of` names among those that live. Every node
looks at each renewal whether that is so: it takes partitions that nobody owns and that should be
its own, and gives those that should be another's. It gives them in three steps, so that nothing is
told twice or forgotten: it holds back new events of these users, waits until all that it has
decided is in the log and saved, and then lets the other own them.

    a owns 0-63; b joins
    a: renews, sees b; holds back events of the 31 partitions that should be b's
    a: everything decided is in the log and saved; gives them
    both read `Owned(b, ...)`: a sends b what it held back, b decides from there on
"""

import asyncio
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

import structlog

from lamplighter.clock import Clock, sleep, within
from lamplighter.cluster.entries import Entry
from lamplighter.cluster.lease import RENEWED_EVERY, LeaseHolder
from lamplighter.cluster.log import (
    Agreed,
    ClusterStanding,
    Lease,
    Log,
    LogNews,
    MessageId,
    NodeName,
    Owned,
    PartitionId,
    ToldToAll,
)
from lamplighter.cluster.partitions import ALL_PARTITIONS, heirs_of
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.shared import SharedStream
from lamplighter.errors import ClusterRefused, ClusterUnavailable, LogLost
from lamplighter.ids import StreamPosition

__all__ = ["Agreement", "ClusterNode", "Ownership"]

_log = structlog.get_logger(__name__)

#: A node that gives partitions waits so long for its database.
_DRAINS_FOR: Final = timedelta(seconds=2)
#: The longest that one read of the log waits.
_READS_FOR: Final = timedelta(seconds=1)


class Ownership(Protocol):
    """What follows on a node from who owns what. Only `drained` awaits."""

    def began(self, lease: Lease) -> None:
        """This node may write, with *lease*."""

    def ended(self) -> None:
        """This node may write nothing any more, and owns nothing."""

    def cut_off(self, error: ClusterUnavailable) -> None:
        """This node is out: it answers nothing but errors, until `began`."""

    def hold(self, partitions: AbstractSet[PartitionId]) -> None:
        """Hold back events of users in *partitions*, until `release` or another owner."""

    def release(self, partitions: AbstractSet[PartitionId]) -> None:
        """Go on with the events that were held back: this node still owns *partitions*."""

    async def drained(self) -> None:
        """Return once all that this node has decided is in the log and saved, or is lost."""

    def owned(self, owner: Lease, partitions: AbstractSet[PartitionId]) -> None:
        """Learn that *owner* owns *partitions* from this place in the log on."""

    def heard(self, by: Lease, payload: bytes) -> None:
        """Take in a message of another node."""

    def living(self, leases: AbstractSet[Lease]) -> None:
        """Learn whose leases live, at each renewal."""

    async def log_lost(self) -> Entry:
        """Read from the database what was unread when the log lost its data.

        Returns what follows for the consumer of the stream, where the log begins anew. Raises
        `ClusterUnavailable`.
        """

    async def catch_up(self) -> None:
        """Hear, from the database, what was written and unheard when the log lost its data.

        Raises `ClusterUnavailable`, and `ClusterRefused` where only a start can catch up.
        """


class Agreement(Protocol):
    """What follows on a node from what all nodes agree on."""

    def began(self, lease: Lease) -> None:
        """This node may write, with *lease*."""

    def ended(self) -> None:
        """This node may write nothing any more."""

    def living(self, leases: AbstractSet[Lease], head: StreamPosition) -> None:
        """Learn at each renewal whose leases live where the log ends at *head*."""

    def agreed(self, record: Agreed) -> Entry:
        """Do what the nodes have agreed on; return what follows for the consumer of the stream.

        Raises `ClusterRefused` if this node cannot.
        """


class ClusterNode:
    """The `LeaseListener` of a node: between the log, the stream, and what follows of ownership."""

    def __init__(
        self,
        clock: Clock,
        log: Log,
        holder: LeaseHolder,
        stream: SharedStream,
        ownership: Ownership,
        agreement: Agreement,
        give_up: Callable[[ClusterRefused], None],
    ) -> None:
        """*give_up* learns that only a restart of the process helps."""
        self._clock = clock
        self._log = log
        self._holder = holder
        self._stream = stream
        self._ownership = ownership
        self._agreement = agreement
        self._give_up = give_up
        self._inbox = MessageId("")
        self._reading: asyncio.Task[None] | None = None
        self._giving: asyncio.Task[None] | None = None
        self._is_leaving = False

    def start(self) -> None:
        """Begin to read the log, and to own partitions."""
        self._holder.tell(self)
        standing = self._holder.standing
        for owner in set(standing.owners.values()):
            self._ownership.owned(owner, standing.owned_by(owner))
        self._reading = asyncio.ensure_future(self._read())

    async def leave(self) -> None:
        """Give all partitions to other nodes, and end the lease."""
        self._is_leaving = True
        if self._giving is not None:
            await asyncio.wait([self._giving])
        lease = self._holder.lease
        if lease is not None:
            with suppress(ClusterUnavailable):
                standing = await self._log.renew(lease, self._stream.read_until)
                others = {name: it for name, it in _ready(standing).items() if it != lease}
                await self._give(lease, _shares(standing, lease, others))
        await self._holder.end()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._log.close()

    # --- what the lease tells -------------------------------------------------------------

    @property
    def applied(self) -> StreamPosition:
        return self._stream.read_until

    def began(self, lease: Lease) -> None:
        self._inbox = MessageId("")
        self._stream.begin(lease)
        self._ownership.began(lease)
        self._agreement.began(lease)

    async def log_lost(self, standing: ClusterStanding) -> None:
        self._stream.go_on_after(standing.complete_after, await self._ownership.log_lost())
        try:
            await self._ownership.catch_up()
        except ClusterRefused as error:
            self._give_up(error)
            raise

    def ended(self, error: ClusterUnavailable) -> None:
        if self._giving is not None:
            self._giving.cancel()
        self._stream.end(error)
        self._ownership.ended()
        self._agreement.ended()

    def cut_off(self, error: ClusterUnavailable) -> None:
        self._ownership.cut_off(error)

    def refused(self, error: ClusterRefused) -> None:
        self._give_up(error)

    async def renewed(self, lease: Lease, standing: ClusterStanding) -> None:
        """Take what nobody owns, and begin to give what others should own."""
        living = {it.lease for it in standing.nodes}
        self._ownership.living(living)
        self._agreement.living(living, standing.head)
        if self._is_leaving:
            return
        nodes = _ready(standing) | {lease.node: lease}
        heirs = heirs_of(frozenset(nodes))
        unowned = ALL_PARTITIONS - standing.owners.keys()
        if wanted := {it for it in unowned if heirs[it] == lease.node}:
            await self._log.take(lease, wanted)
        shares = _shares(standing, lease, nodes)
        if shares and (self._giving is None or self._giving.done()):
            self._giving = asyncio.ensure_future(self._give(lease, shares))

    # --------------------------------------------------------------------------------------

    async def _give(self, lease: Lease, shares: Mapping[Lease, AbstractSet[PartitionId]]) -> None:
        kept = {partition for share in shares.values() for partition in share}
        self._ownership.hold(kept)
        try:
            with suppress(TimeoutError):
                await within(self._clock, _DRAINS_FOR, self._ownership.drained())
            for heir, share in shares.items():
                kept -= await self._log.give(lease, heir, share)
        except ClusterUnavailable as error:
            self._holder.fail(error)  # it is unknown what was given
        finally:
            if self._holder.lease == lease:
                self._ownership.release(kept)

    async def _read(self) -> None:
        """Read what all nodes write, and what they say to this one: with its last lease, too."""
        lease: Lease | None = None
        while True:
            lease = self._holder.lease or lease
            if lease is None:
                await sleep(self._clock, RENEWED_EVERY)
                continue
            try:
                after_, inbox = self._stream.read_until, self._inbox
                self._take_in(await self._log.read(lease, after_, inbox, _READS_FOR), lease)
            except LogLost as error:
                await self._look_for_loss(error)
            except ClusterUnavailable as error:
                _log.debug("the log cannot be read", problem=str(error))
                await sleep(self._clock, RENEWED_EVERY)
            except ClusterRefused as error:
                self._give_up(error)
                return
            except Exception:  # noqa: BLE001 - whatever it is, a node that has missed something ends
                _log.exception("the log cannot be read any further")
                self._give_up(ClusterRefused("this node could not take in what the log has"))
                return

    def _take_in(self, news: LogNews, lease: Lease) -> None:
        for record in news.records:
            match record:
                case Owned():
                    self._stream.pass_by(record.position)
                    self._ownership.owned(record.owner, record.partitions)
                case Agreed():
                    self._stream.pass_by(record.position, self._agreement.agreed(record))
                case ToldToAll():
                    self._stream.take_in(record)
        for message in news.messages:
            if self._holder.lease == lease:
                self._inbox = message.id
                self._ownership.heard(message.by, message.payload)

    async def _look_for_loss(self, error: LogLost) -> None:
        """Wait until this node has joined the log that has lost its data.

        If the log has lost nothing, this node was away for too long: only a start reads what it has
        missed.
        """
        with suppress(ClusterUnavailable):
            standing = await self._log.standing()
            is_same = standing.birth == self._holder.standing.birth
            if is_same and self._stream.read_until < standing.complete_after:
                self._give_up(ClusterRefused(f"this node has missed a part of the log: {error}"))
        await sleep(self._clock, RENEWED_EVERY)


def _ready(standing: ClusterStanding) -> dict[NodeName, Lease]:
    """Return the nodes that can own something: those that read the log."""
    return {it.lease.node: it.lease for it in standing.nodes if it.applied > BEGINNING}


def _shares(
    standing: ClusterStanding, lease: Lease, nodes: Mapping[NodeName, Lease]
) -> dict[Lease, set[PartitionId]]:
    """Return what *lease* owns and others of *nodes* should, by whose it should be."""
    shares: dict[Lease, set[PartitionId]] = {}
    heirs = heirs_of(frozenset(nodes))
    for partition in standing.owned_by(lease):
        heir = heirs.get(partition)
        if heir is not None and heir != lease.node:
            shares.setdefault(nodes[heir], set()).add(partition)
    return shares
