"""How positions in the stream of presence changes are written: `<ms>-<seq>`.

The milliseconds are those of the clock when the batch was published, so a position made after a
restart is larger than any made before it. Inside, a position is one integer: comparing two costs
nothing.

In a cluster, the low bits of a record's position are zero (`RECORD`). The positions from there to
the next record are those of each node alone.
"""

import re
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.ids import StreamPosition

__all__ = [
    "BEGINNING",
    "RECORD",
    "at_time",
    "following",
    "format_position",
    "instant_of",
    "parse_position",
    "record_of",
]

#: Before every change.
BEGINNING: Final = StreamPosition(0)

#: This many batches fit into one millisecond; more of them borrow from the next.
_SEQ_BITS: Final = 20
#: From one entry of a cluster's log to the next. Sixteen fit into one millisecond; more of them
#: borrow from the next.
RECORD: Final = 1 << 16
_SEQ_MASK: Final = (1 << _SEQ_BITS) - 1
_WRITTEN: Final = re.compile(r"([0-9]{1,13})-([0-9]{1,7})")


def at_time(now: Timestamp) -> StreamPosition:
    """Return the first position of the millisecond *now*."""
    return StreamPosition(now << _SEQ_BITS)


def following(last: StreamPosition, now: Timestamp) -> StreamPosition:
    """Return the position after *last* at the time *now*, even if the clock was set back."""
    return StreamPosition(max(last + 1, at_time(now)))


def record_of(position: StreamPosition) -> StreamPosition:
    """Return the position of the newest entry of a cluster's log at or before *position*."""
    return StreamPosition(position & -RECORD)


def instant_of(position: StreamPosition) -> Timestamp:
    """Return the millisecond in which *position* was given, or a later one if it was borrowed."""
    return Timestamp(position >> _SEQ_BITS)


def format_position(position: StreamPosition) -> str:
    """Return *position* as it stands in a token."""
    return f"{position >> _SEQ_BITS}-{position & _SEQ_MASK}"


def parse_position(text: str) -> StreamPosition | None:
    """Return the position that *text* writes, or None if it is not one."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        return None
    ms, seq = int(written[1]), int(written[2])
    return StreamPosition(ms << _SEQ_BITS | seq) if seq <= _SEQ_MASK else None
