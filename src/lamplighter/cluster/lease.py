"""A node's lease: it joins the cluster, renews the lease, and joins again when the lease is lost.

A node counts itself out `OUT` after it sent the last renewal that was answered, by its own steady
clock: before the log ends the lease (`LEASE`). A node that only lost its lease, because a record
could not be written, tries to get another one first; its clients do not notice unless it is out.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

import structlog

from lamplighter.clock import Clock, Timer, Timestamp, after, sleep
from lamplighter.cluster.log import LEASE, ClusterStanding, Lease, Log, NodeFacts, NodeName
from lamplighter.cluster.positions import BEGINNING
from lamplighter.errors import (
    ClusterRefused,
    ClusterUnavailable,
    LeaseLost,
    NodeNameInUse,
    NodesDiffer,
)
from lamplighter.ids import StreamPosition

__all__ = ["OUT", "RENEWED_EVERY", "LeaseHolder", "LeaseListener"]

_log = structlog.get_logger(__name__)

RENEWED_EVERY: Final = timedelta(milliseconds=500)
#: A node counts itself out so long after it sent the last renewal that was answered.
OUT: Final = timedelta(seconds=3)
#: The answer to a renewal that was under way for longer does not tell the time any more: the node
#: would be behind, and would take news of a second ago for the newest.
_TELLS_TIME: Final = timedelta(milliseconds=100)
#: A node that the others refuse for so long, because it differs, tries no more.
_DIFFERS_FOR: Final = timedelta(seconds=10)


class LeaseListener(Protocol):
    """What a node does as its lease begins and ends."""

    @property
    def applied(self) -> StreamPosition:
        """Up to where the node has read the log."""

    def began(self, lease: Lease) -> None:
        """The node has another lease."""

    async def log_lost(self, standing: ClusterStanding) -> None:
        """The log has lost its data since the last lease; `began` follows.

        Raises `ClusterUnavailable` where the node cannot go on yet: it tries again with the next
        lease.
        """

    def ended(self, error: ClusterUnavailable) -> None:
        """The node has no lease any more."""

    def cut_off(self, error: ClusterUnavailable) -> None:
        """The node is out: it answers nothing but errors until `began`."""

    def refused(self, error: ClusterRefused) -> None:
        """The node does not get another lease: only a restart of the process helps."""

    async def renewed(self, lease: Lease, standing: ClusterStanding) -> None:
        """The lease was renewed."""


class LeaseHolder:
    """Gets leases for one node, one after the other."""

    def __init__(
        self,
        name: NodeName,
        facts: NodeFacts,
        clock: Clock,
        log: Log,
        tell_time: Callable[[Timestamp], None],
    ) -> None:
        """*tell_time* gets the time of the log's clock with each renewal that is answered soon."""
        self._name = name
        self._facts = facts
        self._clock = clock
        self._log = log
        self._tell_time = tell_time
        self._lease: Lease | None = None
        #: What `fail` has given up. It lives on in the log, under the name of this node.
        self._given_up: Lease | None = None
        self._standing: ClusterStanding | None = None
        self._listener: LeaseListener | None = None
        self._watch: Callable[[ClusterStanding], None] = lambda _standing: None
        #: When the last renewal that was answered was sent.
        self._renewed = Timestamp(0)
        #: Goes off when the node is out.
        self._until_out: Timer | None = None
        #: Since when the node has been refused because it differs; None if it is not.
        self._differs_since: Timestamp | None = None
        #: Whether the log's last answer was an error, or did not come.
        self._is_unanswered = False
        #: How many leases were lost.
        self.lost = 0
        self._keeping: asyncio.Task[None] | None = None

    @property
    def lease(self) -> Lease | None:
        """The lease; None while the node has none."""
        return self._lease

    @property
    def is_certain(self) -> bool:
        """Whether the log cannot have ended the lease: after a pause of the process it may have."""
        return self._lease is not None and self._clock.now() < after(self._renewed, OUT)

    @property
    def standing(self) -> ClusterStanding:
        """How the cluster was at the last renewal; there is one after `join`."""
        if self._standing is None:
            raise RuntimeError("this node has never joined")
        return self._standing

    @property
    def facts(self) -> NodeFacts:
        """What this node says of itself when it joins."""
        return self._facts

    def agreed(self, facts: NodeFacts) -> None:
        """Say *facts* at the next join: the nodes have agreed on them."""
        self._facts = facts

    async def join(self, floor: StreamPosition) -> None:
        """Get the first lease, and keep it. Positions go on above *floor*.

        Raises `ClusterRefused` if the cluster does not take this node, and `ClusterUnavailable`.
        """
        try:
            await self._join(floor)
        except NodeNameInUse:
            # Perhaps it is this node itself before it was killed. That lease ends soon.
            await sleep(self._clock, LEASE + RENEWED_EVERY)
            await self._join(floor)
        self._keeping = asyncio.ensure_future(self._keep())

    def tell(self, listener: LeaseListener) -> None:
        """Tell *listener* of this lease, if it has not ended, and of all that follows."""
        self._listener = listener
        if self._lease is not None:
            listener.began(self._lease)

    def watch(self, watch: Callable[[ClusterStanding], None]) -> None:
        """Show *watch* how the cluster is, at each renewal."""
        self._watch = watch

    def fail(self, error: ClusterUnavailable) -> None:
        """Give the lease up: the node cannot write, or does not know whether it has written."""
        if self._lease is None:
            return
        _log.warning("this node has lost its lease", problem=str(error))
        self.lost += 1
        self._let_go(error)

    async def end(self) -> None:
        """End the lease for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._until_out is not None:
            self._until_out.cancel()
        lease = self._lease
        if lease is not None:
            self._let_go(LeaseLost("this node stops"))
            with suppress(ClusterUnavailable):
                await self._log.leave(lease)

    def _let_go(self, error: ClusterUnavailable) -> None:
        self._given_up, self._lease = self._lease, None
        if self._listener is not None:
            self._listener.ended(error)

    async def _join(self, floor: StreamPosition) -> None:
        sent = self._clock.now()
        self._put(*await self._joined(floor), sent)

    async def _joined(self, floor: StreamPosition) -> tuple[Lease, ClusterStanding]:
        lease = await self._log.join(self._name, self._facts, floor)
        # A position of 0 says that this node is not ready to own anything.
        return lease, await self._log.renew(lease, BEGINNING)

    def _put(self, lease: Lease, standing: ClusterStanding, sent: Timestamp) -> None:
        is_first = lease != self._lease
        self._lease, self._standing, self._renewed = lease, standing, sent
        if self._until_out is not None:
            self._until_out.cancel()
        self._until_out = self._clock.call_at(after(sent, OUT), self._be_out)
        self._differs_since = None
        self._watch(standing)
        if is_first or self._clock.now() <= after(sent, _TELLS_TIME):
            self._tell_time(standing.now)

    async def _keep(self) -> None:
        while True:
            await sleep(self._clock, RENEWED_EVERY)
            try:
                await self._renew_or_join()
            except LeaseLost as error:
                self.fail(error)
            except NodesDiffer as error:
                if self._is_refused_for_good(error):
                    return
            except ClusterRefused as error:
                _log.error("this node cannot join its cluster again", problem=str(error))
            except ClusterUnavailable as error:
                say = _log.debug if self._is_unanswered else _log.warning
                say("the log does not answer", problem=str(error))
                self._is_unanswered = True
            except Exception:  # noqa: BLE001 - whatever it is, the lease is kept
                _log.exception("a renewal failed")
            else:
                self._is_unanswered = False

    def _is_refused_for_good(self, error: NodesDiffer) -> bool:
        """Tell whether the others have differed for so long that they will go on to do so.

        It may be that they have agreed on something that this node has yet to read.
        """
        now = self._clock.now()
        if self._differs_since is None:
            self._differs_since = now
            _log.error("this node cannot join its cluster again", problem=str(error))
        is_for_good = now >= after(self._differs_since, _DIFFERS_FOR)
        if is_for_good and self._listener is not None:
            self._listener.refused(error)
        return is_for_good

    def _be_out(self) -> None:
        error = LeaseLost("this node has not reached the log for too long")
        self.fail(error)
        if self._listener is not None:
            self._listener.cut_off(error)

    async def _renew_or_join(self) -> None:
        lease, listener, sent = self._lease, self._listener, self._clock.now()
        applied = BEGINNING if listener is None else listener.applied
        if lease is not None:
            standing = await self._log.renew(lease, applied)
            if self._lease is not lease:
                return  # it has failed meanwhile
            self._put(lease, standing, sent)
        else:
            if self._given_up is not None:
                await self._log.leave(self._given_up)
                self._given_up = None
            lease, standing = await self._joined(applied)
            if listener is not None and standing.birth != self.standing.birth:
                self._given_up = lease  # until the node can go on with it
                await listener.log_lost(standing)
                self._standing = standing  # the node can go on in this log, if not with this lease
                if self._clock.now() >= after(sent, OUT):
                    raise LeaseLost("it took too long to go on in the log")
                self._given_up = None
            self._put(lease, standing, sent)
            if listener is not None:
                listener.began(lease)
        if listener is not None:
            await listener.renewed(lease, standing)
