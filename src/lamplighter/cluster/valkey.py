"""The log of a cluster on Valkey or Redis.

Each step is a script that the server carries out (`valkey_scripts.py`), or a plain read. There are
two connections: one waits for news, the other does everything else.

Positions say whether a reader has everything: each record names the one before it. A reader that
is sure of the position *after* expects a record that names it. One that is not sure, or has waited
in vain, compares with the head of the log.
"""

import logging
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

import msgspec

from lamplighter.clock import Clock, Timestamp, milliseconds
from lamplighter.cluster.log import (
    LEASE,
    Agreed,
    Birth,
    ClusterStanding,
    Lease,
    LogNews,
    LogRecord,
    MessageId,
    NodeFacts,
    NodeName,
    NodeStanding,
    Owned,
    PartitionId,
    Said,
    ToldToAll,
)
from lamplighter.cluster.parts import Part
from lamplighter.cluster.positions import (
    RECORD,
    at_time,
    format_position,
    parse_position,
    record_of,
)
from lamplighter.cluster.valkey_address import ValkeyAddress
from lamplighter.cluster.valkey_link import ErrorReply, Link, Reply, Word
from lamplighter.cluster.valkey_scripts import (
    AGREE,
    GIVE,
    JOIN,
    LEAVE,
    RENEW,
    SAY,
    STANDING,
    TAKE,
    TELL,
    Script,
)
from lamplighter.errors import (
    ClusterRefused,
    LeaseLost,
    LogLost,
    NodeNameInUse,
    NodesDiffer,
)
from lamplighter.ids import ServerName, StreamPosition

__all__ = ["ValkeyLog"]

#: The ID of an entry of a stream, and its fields with their values.
_Entry: TypeAlias = tuple[bytes, list[bytes]]

_log = logging.getLogger(__name__)

#: How many records, and how many messages, one `read` returns.
_AT_ONCE: Final = 100
_POLICY: Final = re.compile("^maxmemory_policy:([a-z-]+)", re.MULTILINE)
#: How long a message waits for its reader.
_MESSAGES_KEPT: Final = timedelta(minutes=1)


class ValkeyLog:
    """A `Log` on Valkey or Redis, for one node."""

    def __init__(
        self,
        address: ValkeyAddress,
        server_name: ServerName,
        clock: Clock,
        *,
        patience: timedelta = timedelta(seconds=1),
        kept: timedelta = timedelta(minutes=10),
    ) -> None:
        """Every call is answered within *patience*. Records are kept for the time *kept*.

        One server can have the logs of several server names.
        """
        self._prefix = f"lamp:{server_name}:"
        self._kept = milliseconds(kept)
        self._calls = Link(address, clock, patience)
        #: Whoever waits for news holds up all that is asked after it.
        self._reads = Link(address, clock, patience)
        #: Which data this node has joined.
        self._birth: Birth | None = None
        #: The epoch of its last lease.
        self._epoch = 0
        #: The position of the newest record that this node has read, or knows to be the newest.
        self._sure: StreamPosition | None = None

    async def join(self, name: NodeName, facts: NodeFacts, floor: StreamPosition) -> Lease:
        await self._refuse_to_be_evicted()
        # Where the data are lost, nothing else may tell of a lease with which nothing was written.
        least = max(floor, at_time(Timestamp(self._epoch)))
        reply = await self._run(
            JOIN,
            name,
            facts.address,
            _json(facts.alike),
            _json(facts.parts),
            record_of(floor) // RECORD,
            least // RECORD,
            milliseconds(LEASE),
            self._birth or "",
            secrets.token_hex(8),
            self._kept,
        )
        match [it.decode() for it in cast("list[bytes]", reply)]:
            case ["in use"]:
                raise NodeNameInUse(f"a living node has the name {name}")
            case ["differ", other, alike, parts]:
                theirs = NodeFacts("", _read_facts(alike), _read_parts(parts))
                raise NodesDiffer(facts.unlike(NodeName(other), theirs) or "nodes differ")
            case ["lease", epoch, birth]:
                if birth != self._birth:
                    self._birth, self._sure = Birth(birth), None
                self._epoch = int(epoch)
                return Lease(name, self._epoch)
        raise ErrorReply(f"unexpected: {reply!r}")

    async def renew(self, lease: Lease, applied: StreamPosition) -> ClusterStanding:
        lives = (milliseconds(LEASE), milliseconds(_MESSAGES_KEPT), self._kept)
        applied_records = record_of(applied) // RECORD
        return _standing(await self._run_with(lease, RENEW, applied_records, *lives))

    async def standing(self) -> ClusterStanding:
        reply = await self._run(STANDING)
        if reply is None:
            raise LogLost("the log has no data")
        return _standing(reply)

    async def take(
        self, lease: Lease, partitions: Collection[PartitionId]
    ) -> frozenset[PartitionId]:
        return _partitions(await self._run_with(lease, TAKE, self._kept, *partitions))

    async def give(
        self, lease: Lease, heir: Lease, partitions: Collection[PartitionId]
    ) -> frozenset[PartitionId]:
        return _partitions(
            await self._run_with(lease, GIVE, _written(heir), self._kept, *partitions)
        )

    async def leave(self, lease: Lease) -> None:
        await self._run(LEAVE, _written(lease))

    async def tell(
        self, lease: Lease, partitions: Collection[PartitionId], payload: bytes, count: int
    ) -> StreamPosition:
        if count < 1:
            raise ValueError("a record has an entry")
        return _position(await self._run_with(lease, TELL, count, payload, self._kept, *partitions))

    async def agree(self, lease: Lease, nodes: Collection[Lease], facts: NodeFacts) -> bool:
        written = (_json(facts.alike), _json(facts.parts))
        agreed = [_written(it) for it in nodes]
        return await self._run_with(lease, AGREE, *written, self._kept, *agreed) == 1

    async def say(self, lease: Lease, to: Lease, payloads: Sequence[bytes]) -> bool:
        kept = milliseconds(_MESSAGES_KEPT)
        return await self._run_with(lease, SAY, _written(to), kept, *payloads) == 1

    async def head(self) -> StreamPosition:
        reply = await self._calls.ask("HMGET", f"{self._prefix}state", "birth", "head")
        birth, head = cast("list[bytes | None]", reply)
        if birth is None or head is None:
            raise LogLost("the log has no data")
        if self._birth not in (None, birth.decode()):
            raise LogLost("the log has lost its data, and has others")
        return _position(head)

    async def read(
        self, lease: Lease, after: StreamPosition, inbox_after: MessageId, longest: timedelta
    ) -> LogNews:
        behind = after != self._sure and await self._is_behind(after)
        waiting = () if behind or not longest else ("BLOCK", milliseconds(longest))
        reply = await self._reads.ask(
            *("XREAD", "COUNT", _AT_ONCE, *waiting),
            *("STREAMS", self._log_key, f"{self._prefix}in:{_written(lease)}"),
            *(format_position(after), inbox_after or "0"),
            longest=longest,
        )
        if reply is not None:
            news = self._news(cast("list[tuple[bytes, list[_Entry]]]", reply), after)
        else:
            news = LogNews((), ())
            await self._is_behind(after)
        if behind and not news.records:
            raise LogLost("the log has deleted what this node has not read")
        return news

    async def close(self) -> None:
        await self._calls.close()
        await self._reads.close()

    @property
    def _log_key(self) -> str:
        return f"{self._prefix}log:{self._birth}"

    def _news(self, streams: "list[tuple[bytes, list[_Entry]]]", after: StreamPosition) -> LogNews:
        records: tuple[LogRecord, ...] = ()
        messages: tuple[Said, ...] = ()
        for key, entries in streams:
            if key.decode() == self._log_key:
                before = _position(entries[0][1][5])
                if before > after or (after == self._sure and before != after):
                    raise LogLost("the log has lost what this node has not read, or has read")
                records = tuple(_record(*entry) for entry in entries)
                self._sure = records[-1].position
            else:
                messages = tuple(_message(*entry) for entry in entries)
        return LogNews(records, messages)

    async def _is_behind(self, after: StreamPosition) -> bool:
        """Tell whether the log has, or had, records after *after*.

        Raises `LogLost` if the log has lost the record at *after*, or its data.
        """
        head = await self.head()
        if record_of(after) > head:
            raise LogLost("the log has lost what this node has read")
        self._sure = after if after == head else None
        return after < head

    async def _run_with(self, lease: Lease, script: Script, *words: Word) -> Reply:
        reply = await self._run(script, _written(lease), *words)
        if reply is None:
            raise LeaseLost(f"the lease of {lease.node} has ended, or another owns the partition")
        return reply

    async def _run(self, script: Script, *words: Word) -> Reply:
        try:
            return await self._calls.ask("EVALSHA", script.digest, 1, self._prefix, *words)
        except ErrorReply as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self._calls.ask("EVAL", script.source, 1, self._prefix, *words)

    async def _refuse_to_be_evicted(self) -> None:
        """Raise `ClusterRefused` if the server may delete keys of ours where memory is short."""
        try:
            memory = cast("bytes", await self._calls.ask("INFO", "memory"))
        except ErrorReply as error:
            _log.info("cannot ask for maxmemory-policy, which must be noeviction: %s", error)
            return
        found = _POLICY.search(memory.decode())
        if found is not None and found[1] != "noeviction":
            raise ClusterRefused(
                f"maxmemory-policy is {found[1]} at the server of the log, which would delete what"
                " nodes need; it must be noeviction"
            )


def _written(lease: Lease) -> str:
    return f"{lease.node}:{lease.epoch}"


def _lease(written: bytes) -> Lease:
    node, epoch = written.decode().split(":")
    return Lease(NodeName(node), int(epoch))


def _position(counted: Reply) -> StreamPosition:
    """Return the position that a script has written as a number of records."""
    return StreamPosition(int(cast("bytes", counted)) * RECORD)


def _partitions(numbers: "Reply | list[bytes]") -> frozenset[PartitionId]:
    return frozenset(PartitionId(int(it)) for it in cast("list[bytes]", numbers))


def _standing(reply: Reply) -> ClusterStanding:
    birth, head, complete_after, now, owners, living = cast("list[Any]", reply)
    nodes = sorted(
        (
            NodeStanding(_lease(lease), address.decode(), _position(applied))
            for lease, address, applied in living
        ),
        key=lambda node: node.lease,
    )
    return ClusterStanding(
        tuple(nodes),
        _owners(tuple(owners), frozenset(node.lease for node in nodes)),
        _position(head),
        _position(complete_after),
        Timestamp(now),
        Birth(birth.decode()),
    )


@lru_cache(16)  # every renewal is answered with all owners, who seldom change
def _owners(written: tuple[bytes, ...], living: frozenset[Lease]) -> Mapping[PartitionId, Lease]:
    owned = sorted(zip(map(int, written[::2]), map(_lease, written[1::2]), strict=True))
    return {PartitionId(it): owner for it, owner in owned if owner in living}


def _record(entry_id: bytes, fields: list[bytes]) -> LogRecord:
    """Return the record of a stream's entry: by, count, after, and what it is."""
    position = parse_position(entry_id.decode())
    if position is None:
        raise LogLost(f"not a record of ours: {entry_id!r}")
    by = _lease(fields[1])
    match fields[6]:
        case b"owned":
            return Owned(position, by, _partitions(fields[7].split()))
        case b"agreed":
            return Agreed(position, by, _read_facts(fields[7]))
        case _:
            return ToldToAll(position, by, int(fields[3]), fields[7])


def _message(entry_id: bytes, fields: list[bytes]) -> Said:
    return Said(MessageId(entry_id.decode()), _lease(fields[1]), fields[3])


def _json(facts: Mapping[str, object]) -> bytes:
    """Return facts in the form in which they are compared."""
    return msgspec.json.encode(facts, order="sorted")


def _read_facts(written: str | bytes) -> dict[str, str]:
    return msgspec.json.decode(written, type=dict[str, str])


def _read_parts(written: str) -> dict[str, tuple[Part, ...]]:
    return msgspec.json.decode(written, type=dict[str, tuple[Part, ...]])
