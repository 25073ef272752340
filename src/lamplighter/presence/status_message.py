"""What a status message may be, whether a client, a server, a module or the disk has it.

Implements the field `status_msg` of <https://spec.matrix.org/latest/client-server-api/#mpresence>;
the limit is ours, and that of our own federation.
"""

from typing import Final, NewType

__all__ = ["MAX_STATUS_MSG", "StatusMessage", "cut", "fault_of", "parse"]

#: How long a status message may be, in bytes of UTF-8.
MAX_STATUS_MSG: Final = 1024

#: At most 1,024 bytes of UTF-8 that every client, server and database takes.
StatusMessage = NewType("StatusMessage", str)


def parse(message: str | None) -> StatusMessage | None:
    """Return *message* as one that may be told; None and the empty one say nothing.

    Raises `ValueError`, which says what is wrong with it.
    """
    if not message:
        return None
    fault = fault_of(message)
    if fault is not None:
        raise ValueError(fault)
    return StatusMessage(message)


def fault_of(message: str | None) -> str | None:
    """Return what is wrong with *message*, as a predicate; None if nothing is."""
    if not message:
        return None
    if len(message) > MAX_STATUS_MSG:  # no character takes less than a byte
        return f"is longer than {MAX_STATUS_MSG} bytes"
    try:
        size = len(message.encode())
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    if size > MAX_STATUS_MSG:
        return f"is longer than {MAX_STATUS_MSG} bytes"
    return "holds a NUL" if "\0" in message else None


def cut(message: str | None) -> str | None:
    """Return as much of *message* as may be told: it may be older than this rule."""
    if message is None or fault_of(message) is None:
        return message
    sound = message.replace("\0", "").encode(errors="replace")[:MAX_STATUS_MSG]
    return sound.decode(errors="ignore") or None
