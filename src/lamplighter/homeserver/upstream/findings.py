"""What this server finds out at the homeserver, and how every node of a cluster learns of it.

A single node tells the listener at once. On many nodes, the one that finds something out tells all
of them by the stream, and each node believes it when it hears it: the node that found it, too. So
all nodes believe the same at the same place in the stream, and what several have found out happens
once. Findings are told in the order in which they were made; if the stream cannot be reached, they
are told when it can. The node that has told of a join or leave stores it.

    a: a transaction says that bob's membership has changed; the homeserver says that bob has left
    a: tells "bob has left the lobby"
    a and b hear it: each takes bob out of the lobby, and tells its listener
    a: stores that bob is not in the lobby, and that it was told
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

import msgspec
import structlog

from lamplighter.clock import Clock, Timestamp, sleep, within
from lamplighter.cluster.positions import instant_of
from lamplighter.errors import ClusterUnavailable
from lamplighter.homeserver.upstream.members_saving import MembersSaving
from lamplighter.ids import DeviceId, StreamPosition, UserId
from lamplighter.ports import DirectoryListener, MembershipChange, Spread
from lamplighter.service.background import Background

__all__ = ["Findings", "memberships_in"]

_log = structlog.get_logger(__name__)

#: The longest that whoever has found something out waits until this node has heard it.
_PATIENCE: Final = timedelta(seconds=2)
_PAUSE: Final = timedelta(seconds=1)


#: Takes in joins and leaves that are known from an instant on, and returns those that are new.
_Believe: TypeAlias = Callable[[Sequence[MembershipChange], Timestamp], Sequence[MembershipChange]]


class _Finding(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    memberships: tuple[MembershipChange, ...] = ()
    #: The user whose devices have ended, and the devices that are known.
    user_id: UserId = UserId("")
    device_ids: tuple[DeviceId, ...] = ()
    #: Whether the user's account has ended.
    is_deactivated: bool = False


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(list[_Finding])


class Findings:
    """Tells findings to a `DirectoryListener`: at once, or by the stream of the cluster."""

    def __init__(self, saving: MembersSaving, clock: Clock, background: Background) -> None:
        """*saving* stores joins and leaves."""
        self._saving = saving
        self._clock = clock
        self._background = background
        self._listener: DirectoryListener | None = None
        self._believe: _Believe | None = None
        self._ended: Callable[[UserId, frozenset[DeviceId]], None] | None = None
        self._spread: Spread | None = None
        #: What waits to be told, and what of it is under way.
        self._untold: list[_Finding] = []
        self._under_way: bytes | None = None
        self._telling: asyncio.Task[None] | None = None

    def spread_by(self, spread: Spread) -> None:
        """Tell every node by *spread*; before anything is found out."""
        self._spread = spread

    @property
    def are_for_many(self) -> bool:
        """Whether this is one of many nodes."""
        return self._spread is not None

    def listen(self, listener: DirectoryListener) -> None:
        """Tell *listener* what this node believes."""
        self._listener = listener

    def when_heard(
        self, believe: _Believe, ended: Callable[[UserId, frozenset[DeviceId]], None]
    ) -> None:
        """Call *believe*, which returns what is new of memberships, and *ended* for devices."""
        self._believe, self._ended = believe, ended

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        """Users have joined or left."""
        if changes:
            self._tell(_Finding(memberships=tuple(changes)))

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Devices of a user have ended; perhaps others, too, which this node does not know."""
        self._tell(_Finding(user_id=user_id, device_ids=tuple(device_ids)))

    def user_deactivated(self, user_id: UserId) -> None:
        """The account has ended."""
        self._tell(_Finding(user_id=user_id, is_deactivated=True))

    async def told(self) -> None:
        """Return once this node has heard of everything that it has found out, or soon."""
        if self._telling is not None:
            try:
                await within(self._clock, _PATIENCE, asyncio.shield(self._telling))
            except TimeoutError:
                _log.warning("the other nodes have not yet been told of a change")

    def heard(self, position: StreamPosition, news: bytes) -> None:
        """Hear what a node has found out, and told at *position*."""
        now = instant_of(position)
        new = [it for finding in _decoder.decode(news) for it in self._hear(finding, now)]
        if new and news == self._under_way:
            self._saving.told(position, _encode([_Finding(memberships=tuple(new))]))
            self._saving.note(new, now)

    def _tell(self, finding: _Finding) -> None:
        if self._spread is None:
            now = self._clock.now()
            self._saving.note(self._hear(finding, now), now)
            return
        self._untold.append(finding)
        if self._telling is None:
            self._telling = self._background.run(self._tell_all(self._spread))
            self._telling.add_done_callback(self._has_told)

    def _has_told(self, _telling: "asyncio.Task[None]") -> None:
        self._telling = None

    async def _tell_all(self, spread: Spread) -> None:
        while self._untold:
            told = list(self._untold)
            self._under_way = _encode(told)
            try:
                await spread(self._under_way)
            except ClusterUnavailable:
                await sleep(self._clock, _PAUSE)
            else:
                del self._untold[: len(told)]
                self._under_way = None

    def _hear(self, finding: _Finding, now: Timestamp) -> Sequence[MembershipChange]:
        """Take in what was found out; return the joins and leaves that are new."""
        listener, changes = self._listener, tuple[MembershipChange, ...]()
        if finding.memberships and self._believe is not None:
            changes = tuple(self._believe(finding.memberships, now))
            if changes and listener is not None:
                listener.memberships_changed(changes)
        if finding.user_id and self._ended is not None:
            self._ended(finding.user_id, frozenset(finding.device_ids))
            if listener is not None:
                listener.devices_gone(finding.user_id, finding.device_ids)
                if finding.is_deactivated:
                    listener.user_deactivated(finding.user_id)
        return changes


def memberships_in(news: bytes) -> Sequence[MembershipChange]:
    """Return who has joined and left by what a node has found out."""
    return [change for finding in _decoder.decode(news) for change in finding.memberships]
