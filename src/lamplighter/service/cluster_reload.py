"""A reload of modules on all nodes of a cluster, or on none.

The node that is told to reload is the *asker*. Every step is an entry of the stream, so all nodes
see the steps in one order:

1. The asker appends `ReloadAsked`. Each node, the asker too, loads the modules of its own
   configuration, which must have the asker's digest, tries them, and appends `ModulesTried`.
2. When all living nodes can use them, the asker appends `HoldAsked`. Each node
   stops asking modules, lets what they have said come into the stream, and appends `ModulesHeld`.
3. When all living nodes hold, the asker lets them *agree* on the new digest. This is one step where
   the log is: if a node lives that does not hold, nothing happens. If not, the facts that nodes
   compare at a join are those of the new modules, and the log has a record `Agreed`.
4. At that record every node uses its new modules, and forgets what the old ones have said.

In all other cases the asker appends `ReloadCalledOff`, and the result names the node and its
problem.

Invariant 15 holds in the whole cluster. What old modules have said is in the log before `Agreed`:
a living node holds, so it had appended everything before its `ModulesHeld`, and it appends no more
before it has read `Agreed`; a node without a lease can append nothing. What new modules say comes
after it. So in the order of the log there is one instant between the two, the same on every node.

What may happen meanwhile:

- A node dies: the others do without it. The asker dies: its lease ends, after which nothing can be
  agreed. A node that learns so, and has read the log up to where that was so, goes on with its old
  modules. Until then it knows that it does not know.
- A node joins: it does not hold, so nothing is agreed, unless it takes part from the start.
- Two nodes are told at once: all nodes take part in the reload that is first in the log, and
  answer the other one that there is another.
- A node is cut off while the others agree. It cannot join again, because it differs. When it reads
  `Agreed` it uses the new modules if it holds; else it ends (`ClusterRefused`), and a restart takes
  the modules of its configuration.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

import structlog

from lamplighter.clock import Clock, within
from lamplighter.cluster.entries import (
    Entry,
    HoldAsked,
    ModulesHeld,
    ModulesSwapped,
    ModulesTried,
    ReloadAsked,
    ReloadCalledOff,
    ReloadEntry,
)
from lamplighter.cluster.lease import LeaseHolder
from lamplighter.cluster.log import Agreed, Lease, Log
from lamplighter.cluster.parts import ToldValue
from lamplighter.cluster.shared import SharedStream
from lamplighter.errors import (
    ClusterRefused,
    ClusterUnavailable,
    ConfigError,
    LeaseLost,
    ModuleError,
)
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.containment import described
from lamplighter.routing.registrations import Registrations
from lamplighter.service.background import Background
from lamplighter.service.reload import Reload, ReloadResult, carried_out
from lamplighter.service.swap import ModuleSwap

__all__ = ["FACT_OF_MODULES", "ClusterReload", "NewModules", "Reloadable"]

_log = structlog.get_logger(__name__)

#: The fact of a node that has the digest of its modules.
FACT_OF_MODULES: Final = "the modules"
#: Each node has loaded and tried the modules within this time.
_TRIED_WITHIN: Final = timedelta(minutes=1)
#: Whoever has asked for a reload learns within this time whether all nodes have agreed.
_AGREED_WITHIN: Final = timedelta(seconds=10)
#: Each node holds within this time.
_HELD_WITHIN: Final = timedelta(seconds=3)


class NewModules(Protocol):
    """Modules that are loaded and tried, and not in use."""

    @property
    def needs_restart(self) -> Sequence[str]:
        """The changed keys of the configuration that take effect only after a restart."""

    @property
    def registrations(self) -> Registrations:
        """What the modules have registered."""

    def use(self) -> None:
        """Let their calls take effect from now on, and none of the old modules'."""

    async def begin(self) -> None:
        """Begin their background work, after `use`, and stop the old modules."""

    async def discard(self) -> None:
        """Stop modules that are not in use."""


class Reloadable(Protocol):
    """The modules of one node."""

    def names(self) -> Sequence[str]:
        """Return the names of the modules that run."""

    def told(self) -> ToldValue:
        """Return what the modules of the configuration are, as it is; raise `ConfigError`."""

    async def prepare(self, told: ToldValue) -> NewModules:
        """Load and try the modules of the configuration as it is, which must be those of *told*.

        Raises `ConfigError` or `ModuleError`. One at a time: the next call waits until the modules
        of the last one have begun, or are discarded.
        """


@dataclass(eq=False, slots=True)
class _Round:
    """A reload that is under way, as this node has it."""

    number: StreamPosition
    by: Lease
    #: What every node must have as its modules.
    told: ToldValue
    #: The lease with which this node takes part; None if it had none when it was asked.
    lease: Lease | None
    #: What this node would use.
    modules: NewModules | None = None
    #: Whether this node has begun to hold, and whether it holds.
    begins_to_hold: bool = False
    holds: bool = False
    #: What the nodes have answered.
    tried: dict[Lease, str | None] = field(default_factory=dict)
    held: dict[Lease, frozenset[UserId]] = field(default_factory=dict)
    is_agreed: bool = False


@dataclass(eq=False)
class ClusterReload:
    """The part of one node in reloads; it is told what the log has, in the log's order."""

    clock: Clock
    log: Log
    holder: LeaseHolder
    stream: SharedStream
    swap: ModuleSwap
    background: Background
    _modules: Reloadable | None = field(init=False, default=None)
    _lease: Lease | None = field(init=False, default=None)
    _round: _Round | None = field(init=False, default=None)
    #: Something has happened for which the asker waits.
    _news: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _one_at_a_time: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def reload_of(self, modules: Reloadable) -> Reload:
        """Return what reloads *modules*, those of this node, and the modules of all others."""
        self._modules = modules
        return lambda: self._reload_once(modules)

    # --- the asker ------------------------------------------------------------------------

    async def _reload_once(self, modules: Reloadable) -> ReloadResult:
        """Reload, even if whoever waits is gone: a step that is under way must be seen through."""
        result: asyncio.Future[ReloadResult] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                async with self._one_at_a_time:
                    result.set_result(await carried_out(self._reload(modules), modules.names))
            finally:
                result.cancel()  # if there is none, because the server stops

        self.background.run(work())
        return await asyncio.shield(result)

    async def _reload(self, modules: Reloadable) -> Sequence[str]:
        lease, asked = self._lease, self._living
        if lease is None:
            raise LeaseLost("this node has no lease")
        told = modules.told()
        number = await self._append(ReloadAsked(lease, told.text, told.parts))
        try:
            round_ = self._round
            if round_ is None or round_.number != number:
                by = lease if round_ is None else round_.by
                raise ModuleError(f"node {by.node} reloads the modules of all nodes already")
            await self._answered(round_, round_.tried, asked, _TRIED_WITHIN)
            self.stream.append(HoldAsked(number))
            await self._answered(round_, round_.held, asked, _HELD_WITHIN)
            return await self._agree(round_, lease)
        except BaseException:
            self.stream.append(ReloadCalledOff(number))
            raise

    async def _append(self, entry: Entry) -> StreamPosition:
        appended: asyncio.Future[StreamPosition] = asyncio.get_running_loop().create_future()
        self.stream.append(entry, appended.set_result, appended.set_exception)
        return await asyncio.shield(appended)

    async def _answered(
        self,
        round_: _Round,
        answers: Mapping[Lease, object],
        asked: AbstractSet[Lease],
        longest: timedelta,
    ) -> None:
        """Return once all living nodes have answered; raise `ModuleError` if one has a problem."""

        async def all_answer() -> None:
            while missing := self._living - answers.keys():
                _check(round_, missing - asked)
                self._check_that_it_goes_on(round_)
                self._news.clear()
                await self._news.wait()
            _check(round_, ())

        try:
            await within(self.clock, longest, all_answer())
        except TimeoutError:
            silent = min(self._living - answers.keys())
            raise ModuleError(f"node {silent.node} does not answer") from None
        self._check_that_it_goes_on(round_)

    async def _agree(self, round_: _Round, lease: Lease) -> Sequence[str]:
        facts = self.holder.facts.having(FACT_OF_MODULES, round_.told)
        problem = "the log of the cluster has lost its data"
        try:
            if not await self.log.agree(lease, round_.held.keys(), facts):
                raise ModuleError("another node has joined meanwhile")
        except ClusterUnavailable as error:
            self.holder.fail(error)  # whether they have agreed is seen in the log
            problem = str(error)
        try:
            await within(self.clock, _AGREED_WITHIN, self._ended(round_))
        except TimeoutError:
            raise ClusterUnavailable(
                f"whether all nodes have agreed is unknown as yet ({problem})"
            ) from None
        if not round_.is_agreed:
            raise ClusterUnavailable(problem)
        assert round_.modules is not None  # this node uses them
        return round_.modules.needs_restart

    async def _ended(self, round_: _Round) -> None:
        """Return once the nodes have agreed, or this node knows that they have not."""
        while not round_.is_agreed and self._round is round_:
            self._news.clear()
            await self._news.wait()

    def _check_that_it_goes_on(self, round_: _Round) -> None:
        if self._lease != round_.by or self._round is not round_:
            raise LeaseLost("this node has lost its lease")

    @property
    def _living(self) -> AbstractSet[Lease]:
        return {it.lease for it in self.holder.standing.nodes}

    # --- every node -----------------------------------------------------------------------

    def hear(self, position: StreamPosition, entry: ReloadEntry) -> None:
        """Take a step, or learn of one that another node has taken."""
        round_ = self._round
        if isinstance(entry, ReloadAsked):
            told = ToldValue(entry.digest, entry.parts)
            self._asked(_Round(position, entry.by, told, self._lease))
        elif round_ is not None and round_.number == entry.reload:
            match entry:
                case ModulesTried():
                    round_.tried[entry.by] = entry.problem
                case HoldAsked():
                    self.background.run(self._hold(round_))
                case ModulesHeld():
                    round_.held[entry.by] = entry.altered
                case ReloadCalledOff():
                    self._call_off()
        self._news.set()

    def began(self, lease: Lease) -> None:
        self._lease = lease

    def ended(self) -> None:
        self._lease = None
        self._news.set()

    def living(self, leases: AbstractSet[Lease], head: StreamPosition) -> None:
        round_ = self._round
        has_read = self.stream.read_until >= head
        if round_ is not None and has_read and {round_.by, round_.lease} - leases:
            # There will be no agreement, and there is none: this node would have read of it.
            self._call_off()
        self._news.set()

    def agreed(self, record: Agreed) -> Entry:
        round_ = self._round
        if round_ is None or round_.by != record.by or not round_.holds or round_.modules is None:
            self._call_off()
            raise ClusterRefused(
                "the other nodes have replaced their modules while this node was away: start it"
                " again with the same modules"
            )
        self._round = None
        self.holder.agreed(self.holder.facts.having(FACT_OF_MODULES, round_.told))
        self.swap.adopt(round_.modules.registrations)
        round_.modules.use()
        self.swap.go_on()
        self.background.run(round_.modules.begin())
        if self._lease is not None and self._lease != round_.lease:
            self.holder.fail(LeaseLost("this node has joined with its old modules"))
        if round_.by != self._lease:
            names = list(self._modules.names()) if self._modules else []
            _log.info("modules reloaded", modules=names, asked_by=round_.by.node)
        round_.is_agreed = True
        self._news.set()
        return ModulesSwapped(frozenset[UserId]().union(*round_.held.values()))

    def _asked(self, round_: _Round) -> None:
        under_way = self._round
        if under_way is not None and under_way.by.node != round_.by.node:
            problem = f"node {under_way.by.node} reloads the modules of all nodes already"
            self.background.run(self._answer(round_, problem))
            return
        self._call_off()
        self._round = round_
        self.background.run(self._try(round_))

    async def _try(self, round_: _Round) -> None:
        assert self._modules is not None  # known before the node reads the log
        problem = None
        try:
            modules = await self._modules.prepare(round_.told)
        except (ConfigError, ModuleError) as error:
            problem = str(error)
        except Exception as failure:  # noqa: BLE001 - the old modules stay in use, whatever it is
            _log.exception("modules cannot be tried")
            problem = f"it failed: {described(failure)}"
        else:
            if self._round is not round_:
                await modules.discard()
                return
            round_.modules = modules
        if problem is not None:
            _log.error("modules not reloaded: the old ones go on", problem=problem)
        await self._answer(round_, problem)

    async def _answer(self, round_: _Round, problem: str | None) -> None:
        if round_.lease is not None:
            self.stream.append(ModulesTried(round_.number, round_.lease, problem))

    async def _hold(self, round_: _Round) -> None:
        if self._round is not round_ or round_.modules is None:
            return
        round_.begins_to_hold = True
        altered = await self.swap.hold(round_.modules.registrations)
        if self._round is round_ and round_.lease is not None:
            round_.holds = True
            self.stream.append(ModulesHeld(round_.number, round_.lease, altered))

    def _call_off(self) -> None:
        """Go on with the modules that are in use."""
        round_, self._round = self._round, None
        if round_ is None:
            return
        if round_.by != self._lease:
            by = round_.by.node
            _log.info("modules not reloaded: the old ones go on", asked_by=by)
        if round_.begins_to_hold:
            self.swap.go_on()
        if round_.modules is not None:
            self.background.run(round_.modules.discard())


def _check(round_: _Round, joined: Collection[Lease]) -> None:
    for lease, problem in round_.tried.items():
        if problem is not None:
            raise ModuleError(f"node {lease.node}: {problem}")
    for lease in joined:
        raise ModuleError(f"node {lease.node} has joined meanwhile")
